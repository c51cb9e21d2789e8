"""Ends of containers: the event and the last reading come together, in whichever order, or what is missing is told."""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from watchd.engine.watch.mirror import Mirror
from watchd.errors import StateError
from watchd.metrics.exits import unsaved as unsaved_exits
from watchd.metrics.exits.exit_metrics import ExitMetrics
from watchd.metrics.exits.exits import MOST_SETS, OTHER, Exits, Owner
from watchd.metrics.exits.life import LastReading
from watchd.model import Container, Event, Exit

ID = "a" * 64
T = 1_800_000_000.0
JOB = Owner("ci/job:1", "shop", "tests")
LABELS = {"com.docker.compose.project": "shop", "com.docker.compose.service": "tests"}
RUNNING = Container(ID, "job", "ci/job:1", "sha256:1", "running", T - 1, started_at=T, pid=7, labels=LABELS)


def event(action: str, at: float, container_id: str = ID, **attributes: str) -> Event:
    return Event(
        "container", action, container_id, int(at * 1e9), {"image": "ci/job:1", "name": "job", **LABELS, **attributes}
    )


class Saved:
    """A store that is busy until it is not."""

    def __init__(self) -> None:
        self.busy = False
        self.exits: list[Exit] = []

    def record_exits(self, _engine: str, exits: Iterable[Exit]) -> None:
        if self.busy:
            raise StateError("database is locked")
        self.exits += exits


def saved(exits: Exits) -> list[Exit]:
    store = Saved()
    exits.save(store, "engine")
    return store.exits


def reading(at: float, cpu: float = 1.5, peak: int | None = 4096) -> LastReading:
    return LastReading(ID, at, cpu, peak)


def happened(exits: Exits, events: list[Event], *inspected: Container) -> None:
    after = Mirror().replace(containers=inspected)
    exits.on_events(events, Mirror().view, after, listed=False)


def reconciled(exits: Exits, listed: list[Container]) -> None:
    exits.on_events([], Mirror().view, Mirror().replace(containers=tuple(listed)), listed=True)


@pytest.fixture
def exits() -> Exits:
    return Exits(None)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Lets an hour go by."""
    clock = time.monotonic
    return lambda: monkeypatch.setattr(time, "monotonic", lambda: clock() + 3600)


def test_a_reading_before_the_event(exits: Exits) -> None:
    happened(exits, [event("start", T)])
    exits.ended(reading(T + 9.9))
    happened(exits, [event("die", T + 10, exitCode="3")])

    total = exits.totals()[JOB]
    assert (total.cpu, total.run, total.memory_peak, total.by_exit_code) == (1.5, 10, 4096, {3: 1})
    assert exits.unaccounted() == {"missed": 0}
    assert saved(exits) == [Exit(ID, "job", *JOB, started=T, ended=T + 10, exit_code=3, cpu=1.5, memory_peak=4096)]
    assert saved(exits) == [], "once is enough"


def test_a_reading_after_the_event(exits: Exits) -> None:
    happened(exits, [event("start", T), event("die", T + 10, exitCode="0")])
    assert exits.totals()[JOB].cpu is None
    exits.ended(reading(T + 10.2))

    assert exits.totals()[JOB].cpu == 1.5
    assert exits.unaccounted() == {"missed": 0}


def test_one_that_ended_before_the_engine_told_of_its_start(exits: Exits) -> None:
    exits.ended(reading(T - 0.01))
    happened(exits, [event("start", T), event("die", T + 0.1, exitCode="0")])

    assert exits.totals()[JOB].cpu == 1.5


def test_the_start_is_taken_exactly_from_inspect_where_that_came_in_time(exits: Exits) -> None:
    happened(exits, [event("start", T), event("die", T + 10, exitCode="0")], replace(RUNNING, started_at=T - 0.25))

    assert exits.totals()[JOB].run == 10.25


def test_runs_of_one_container_are_told_apart(exits: Exits) -> None:
    """The first one's reading is missing: the second one's must not be taken for it."""
    happened(
        exits,
        [event("start", T), event("die", T + 10, exitCode="1"), event("start", T + 20)],
        replace(RUNNING, started_at=T + 20),
    )  # what inspect says after both
    exits.ended(reading(T + 29.9, cpu=2.5))
    happened(exits, [event("die", T + 30, exitCode="0")])

    total = exits.totals()[JOB]
    assert (total.cpu, total.run, total.by_exit_code) == (2.5, 20, {0: 1, 1: 1})


def test_a_quick_restart_loses_no_end(exits: Exits) -> None:
    """Inspect tells of the second run before the events of the first one are looked at."""
    happened(
        exits,
        [event("start", T), event("die", T + 0.5, exitCode="1"), event("start", T + 3.1)],
        replace(RUNNING, started_at=T + 3),
    )
    happened(exits, [event("die", T + 4, exitCode="0")])

    assert exits.totals()[JOB].by_exit_code == {0: 1, 1: 1}
    assert exits.totals()[JOB].run == pytest.approx(1.5)


def test_what_could_not_be_read_is_told(exits: Exits, later: Callable[[], None]) -> None:
    happened(exits, [event("start", T), event("die", T + 10, exitCode="0")])
    assert exits.unaccounted() == {"missed": 0}, "it may still come"
    later()

    assert exits.unaccounted() == {"missed": 1}
    (exit_,) = saved(exits)
    assert (exit_.cpu, exit_.memory_peak, exit_.exit_code) == (None, None, 0)
    assert exits.totals()[JOB].run == 10, "the engine tells that"


def test_an_end_that_still_waits_at_the_close_is_not_lost(exits: Exits) -> None:
    happened(exits, [event("start", T), event("die", T + 10, exitCode="0")])
    assert saved(exits) == []
    exits.close()

    [end] = saved(exits)
    assert (end.ended, end.exit_code, end.cpu) == (T + 10, 0, None)
    assert exits.unaccounted() == {"missed": 1}


def test_where_no_cgroup_can_be_read_every_end_is_unaccounted() -> None:
    exits = Exits("cgroup_v1")
    for number in range(3):
        happened(exits, [event("start", T + number), event("die", T + number + 0.5, exitCode="0")])

    assert exits.unaccounted() == {"cgroup_v1": 3}
    assert exits.totals()[JOB].by_exit_code == {0: 3}


def test_a_peak_is_the_highest_and_cpu_time_adds_up(exits: Exits) -> None:
    for number, (cpu, peak) in enumerate([(1.0, 100), (2.0, 300), (0.5, None)]):
        happened(exits, [event("start", T + number)])
        exits.ended(reading(T + number + 0.4, cpu, peak))
        happened(exits, [event("die", T + number + 0.5, exitCode="0")])

    assert (exits.totals()[JOB].cpu, exits.totals()[JOB].memory_peak) == (3.5, 300)


def test_ends_that_no_event_told_are_found_when_the_engine_is_back(exits: Exits) -> None:
    stays, gone = replace(RUNNING, id="b" * 64), replace(RUNNING, id="c" * 64)
    reconciled(exits, [RUNNING, stays, gone])
    exits.ended(reading(T + 9.9))

    reconciled(exits, [replace(RUNNING, status="exited", pid=0, exit_code=137, finished_at=T + 10), stays])

    total = exits.totals()[JOB]
    assert (total.cpu, total.by_exit_code) == (1.5, {137: 1})
    assert [exit_.exit_code for exit_ in saved(exits)] == [137]


def test_one_that_was_restarted_unseen_has_ended_once(exits: Exits) -> None:
    reconciled(exits, [RUNNING])
    exits.ended(reading(T + 9.9))

    reconciled(exits, [replace(RUNNING, started_at=T + 12, finished_at=T + 10)])
    reconciled(exits, [replace(RUNNING, started_at=T + 12, finished_at=T + 10)])

    assert exits.totals()[JOB].cpu == 1.5
    assert len(saved(exits)) == 1


@pytest.mark.parametrize("told_after", [0.2, 30.0])
def test_an_end_that_a_list_and_then_its_event_tell_of_is_one(exits: Exits, told_after: float) -> None:
    """An engine that was killed, and ended its containers when it came back."""
    reconciled(exits, [RUNNING])
    exits.ended(reading(T + 9.9))
    reconciled(exits, [replace(RUNNING, status="exited", exit_code=137, finished_at=T + 10)])
    happened(exits, [event("die", T + 10 + told_after, exitCode="137")])

    assert exits.totals()[JOB].by_exit_code == {137: 1}
    assert [end.cpu for end in saved(exits)] == [1.5]

    happened(exits, [event("start", T + 50), event("die", T + 51, exitCode="0")])
    assert exits.totals()[JOB].by_exit_code == {137: 1, 0: 1}, "the next one is another"


def test_of_an_end_that_only_a_list_told_nothing_stays_after_the_container(exits: Exits) -> None:
    reconciled(exits, [RUNNING])
    reconciled(exits, [])
    reconciled(exits, [])
    happened(exits, [event("start", T + 20), event("die", T + 21, exitCode="0")])

    assert exits.totals()[JOB].by_exit_code == {0: 1}
    assert not exits._listed


def test_an_end_of_one_that_is_no_longer_listed_is_one_too(exits: Exits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: T + 11)
    reconciled(exits, [RUNNING])
    reconciled(exits, [])
    happened(exits, [event("die", T + 10, exitCode="0"), event("destroy", T + 10)])
    exits.close()

    assert len(saved(exits)) == 1


def test_an_event_of_the_run_before_ends_no_run(exits: Exits) -> None:
    reconciled(exits, [RUNNING])
    reconciled(exits, [replace(RUNNING, started_at=T + 20, finished_at=T + 10)])
    happened(exits, [event("die", T + 10, exitCode="3")])
    happened(exits, [event("die", T + 30, exitCode="4")])
    exits.close()

    assert [(end.started, end.ended, end.exit_code) for end in saved(exits)] == [
        (T, T + 10, None),
        (T + 20, T + 30, 4),
    ]


def test_a_quick_restart_is_another_end(exits: Exits) -> None:
    happened(exits, [event("start", T), event("die", T + 1, exitCode="1")])
    happened(exits, [event("start", T + 1.1), event("die", T + 1.3, exitCode="1")])

    assert exits.totals()[JOB].by_exit_code == {1: 2}


def test_a_cgroup_that_is_no_container_of_this_engine_leaves_nothing(exits: Exits, later: Callable[[], None]) -> None:
    exits.ended(LastReading("f" * 64, T, 1.0, 1))
    later()

    assert exits.totals() == {}
    assert not exits._readings


def test_label_sets_are_bounded(exits: Exits) -> None:
    for number in range(MOST_SETS + 20):
        image = {"image": f"job:{number}"}
        life = [event("start", T, str(number), **image), event("die", T + 1, str(number), exitCode="0", **image)]
        happened(exits, life)

    totals = exits.totals()
    assert len(totals) == MOST_SETS + 1
    assert totals[OTHER].by_exit_code == {0: 20}


def test_nothing_stays_of_thousands_of_short_containers(exits: Exits, later: Callable[[], None]) -> None:
    for number in range(3_000):
        container_id = f"{number:064x}"
        life = [event("start", T, container_id), event("die", T + 1, container_id, exitCode="0")]
        happened(exits, life, replace(RUNNING, id=container_id))
        if number % 2:
            exits.ended(LastReading(container_id, T + 1, 0.5, 1))
        happened(exits, [event("destroy", T + 2, container_id)])
    later()

    assert exits.unaccounted() == {"missed": 1_500}
    assert exits.totals()[JOB].cpu == 750.0
    kept = (exits._lives, exits._ended, exits._deaths, exits._readings)
    assert [len(by_id) for by_id in kept] == [0] * 4


@pytest.mark.parametrize("attributes", [{}, {"exitCode": "x"}, {"containerExitCode": "5"}])
def test_odd_events(exits: Exits, attributes: dict[str, str]) -> None:
    happened(exits, [Event("container", "die", ID, int(T * 1e9), attributes), Event("network", "create", "n", 1)])

    expected = {5: 1} if attributes.get("containerExitCode") else {}
    assert exits.totals()[Owner("", "", "")].by_exit_code == expected


def end(exits: Exits, number: int) -> None:
    happened(exits, [event("start", T + number), event("die", T + number + 0.5, exitCode="0")])
    exits.close()  # no reading comes


def test_what_a_busy_database_does_not_take_is_kept_and_written_once(
    exits: Exits, caplog: pytest.LogCaptureFixture
) -> None:
    store = Saved()
    end(exits, 1)
    store.busy = True
    exits.save(store, "engine")
    end(exits, 2)
    exits.save(store, "engine")
    store.busy = False
    exits.save(store, "engine")
    exits.save(store, "engine")
    assert [exit_.started for exit_ in store.exits] == [T + 1, T + 2]
    assert exits.unrecorded() == 0
    assert caplog.text.count("database is locked") == 1


def test_what_is_beyond_the_bound_is_dropped_the_oldest_first_and_counted(
    exits: Exits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unsaved_exits, "MOST_UNSAVED", 3)
    store = Saved()
    store.busy = True
    for number in range(5):
        end(exits, number)
        exits.save(store, "engine")
    store.busy = False
    exits.save(store, "engine")
    assert [exit_.started for exit_ in store.exits] == [T + 2, T + 3, T + 4]
    (family,) = (each for each in ExitMetrics(exits).collect() if each.name == "watchd_exits_unrecorded")
    assert [(sample.name, sample.value) for sample in family.samples] == [("watchd_exits_unrecorded_total", 2)]
