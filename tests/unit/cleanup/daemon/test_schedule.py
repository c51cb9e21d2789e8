"""Schedules of policies: missed runs are made up for once, and quiet hours are waited for."""

import logging
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.harness.waiting import wait_until
from tests.unit.cleanup.builders import EXITED, UNUSED, cleanup
from watchd.cleanup.daemon import schedule as module
from watchd.cleanup.daemon.schedule import Overdue, Schedule
from watchd.config import Cleanup


class Runs:
    """A schedule, and what it ran."""

    def __init__(self, settings: Cleanup, since: dict[str, float] | None = None) -> None:
        self.ran: list[frozenset[str]] = []
        self.at_once = 0
        self.most_at_once = 0
        self._lock = threading.Lock()
        self.schedule = Schedule(settings, self._run, since or {})
        self.schedule.start()

    def _run(self, due: frozenset[str]) -> None:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(0.05)
        with self._lock:
            self.at_once -= 1
            self.ran.append(due)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAKE_UP_AFTER", timedelta(seconds=0.1))


def settings(schedule: str) -> Cleanup:
    return cleanup(EXITED, UNUSED, schedule=schedule, jitter="0s")


def ago(**time_: float) -> float:
    return (datetime.now(UTC) - timedelta(**time_)).timestamp()


HOURLY = f"{(datetime.now(UTC) + timedelta(minutes=30)).minute} * * * *"  # not due soon


@pytest.mark.parametrize(
    ("schedule", "last_run", "missed"),
    [
        ("6h", ago(hours=7), True),
        ("6h", ago(hours=5), False),
        ("6h", ago(hours=-5), False),  # the clock was set back
        (HOURLY, ago(hours=3), True),
        ("0 0 1 1 *", ago(seconds=1), False),
        ("0 0 1 1 *", ago(days=800), True),
    ],
    ids=["7h ago", "5h ago", "in 5h", "3h ago", "1s ago", "800d ago"],
)
@pytest.mark.usefixtures("soon")
def test_a_run_that_was_missed_is_made_up_for_once(schedule: str, last_run: float, *, missed: bool) -> None:
    runs = Runs(settings(schedule), {"exited": last_run})
    if missed:
        wait_until(lambda: runs.ran != [], seconds=5, what="the run")
        assert runs.ran[0] == {"exited"}, "the other one is new, so it has missed nothing"
    time.sleep(0.3)
    assert len(runs.ran) == (1 if missed else 0)
    runs.schedule.stop()


@pytest.mark.parametrize(
    ("hours_ago", "hours"),
    [
        ({"exited": 5, "unused": 5}, 1),
        ({"exited": 5}, 1),  # the other one is new, and joins it
        ({"exited": 7, "unused": 2}, 4),  # one is made up for, and both run at the next time
        ({"exited": -5}, 6),  # the clock was set back
        ({}, 6),
        ({"exited": 5.995}, 1 / 60),  # what watchd knows has to be up to date again
    ],
)
def test_an_interval_goes_on_from_the_last_run(hours_ago: dict[str, float], hours: float) -> None:
    began = time.time()
    runs = Runs(settings("6h"), {policy: began - 3600 * each for policy, each in hours_ago.items()})
    times = [job.next_run_time.timestamp() for job in runs.schedule._scheduler.get_jobs() if job.args[0]]
    runs.schedule.stop()
    assert times == [pytest.approx(began + hours * 3600, abs=60)]
    assert times[0] >= began + 59


def test_what_is_put_off_runs_once_and_together() -> None:
    runs = Runs(settings("6h"))
    runs.schedule.put_off(frozenset(("exited",)), time.time() + 3600)
    soon = time.time() + 0.3
    runs.schedule.put_off(frozenset(("exited", "unused")), soon)
    wait_until(lambda: runs.ran != [], seconds=5, what="the run")
    assert time.time() >= soon
    wait_until(lambda: len(runs.schedule._scheduler.get_jobs()) == 1, seconds=5, what="nothing but the 6h is left")
    assert runs.ran == [{"exited", "unused"}]
    runs.schedule.stop()


def test_policies_with_a_schedule_of_their_own_run_apart_and_never_at_once() -> None:
    runs = Runs(settings("1s"))
    wait_until(lambda: len(runs.ran) >= 2, seconds=10, what="two runs")
    runs.schedule.stop()
    apart = Runs(cleanup({**EXITED, "schedule": "1s"}, {**UNUSED, "schedule": "1000ms"}, jitter="0s"))
    wait_until(lambda: len(apart.ran) >= 4, seconds=10, what="four runs")
    assert set(apart.ran) == {frozenset(("exited",)), frozenset(("unused",))}
    assert apart.most_at_once == 1
    apart.schedule.stop()


def test_what_is_due_at_the_same_moment_is_due_together() -> None:
    daily, also = {**EXITED, "schedule": "0 4 * * *"}, {**UNUSED, "schedule": "0 4 */1 * *"}
    runs = Runs(cleanup(daily, also, jitter="0s"))
    try:
        due = runs.schedule.next_run()
    finally:
        runs.schedule.stop()
    assert due is not None
    assert due[1] == {"exited", "unused"}


def test_a_run_that_outlasts_its_interval_is_logged_once_with_what_it_is_doing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()
    came_due: list[str] = []
    begin = Overdue.begin

    def counted(self: Overdue, schedule: str) -> bool:
        came_due.append(schedule)
        return begin(self, schedule)

    monkeypatch.setattr(Overdue, "begin", counted)
    schedule = Schedule(settings("1s"), lambda _: ended.wait(60), {}, step=lambda: "removing container job")
    schedule.start()
    wait_until(lambda: len(came_due) >= 4, seconds=20, what="the run to come due twice more than once, and again")
    ended.set()
    schedule.stop()
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert told == [
        (
            "the run of exited, unused takes longer than its schedule (1s), it is still removing container job:"
            " what comes due is skipped"
        )
    ]


def test_what_takes_too_long_each_time_is_logged_once_until_a_run_is_in_time() -> None:
    overdue = Overdue()
    told = []
    for comes_due_again in (True, True, False, True):
        assert overdue.begin("1s")
        if comes_due_again:
            assert not overdue.begin("1s")
            told.append(overdue.is_news("1s"))
        assert overdue.begin("6h"), "another schedule has its own"
        overdue.end("6h")
        overdue.end("1s")
    assert told == [True, False, True]


def test_what_quiet_hours_delayed_runs_even_if_the_same_is_still_under_way() -> None:
    runs: list[frozenset[str]] = []

    def run(due: frozenset[str]) -> None:
        if not runs:
            schedule.put_off(due, time.time() + 0.1)
            time.sleep(0.5)
        runs.append(due)

    schedule = Schedule(settings("0 0 1 1 *"), run, {})
    schedule.start()
    schedule._queue("0 0 1 1 *", frozenset(("exited",)))
    wait_until(lambda: len(runs) == 2, seconds=5, what="both runs")
    schedule.stop()


def test_a_run_that_gave_way_goes_on_after_what_waits_and_once() -> None:
    runs: list[frozenset[str]] = []
    volumes, exited = frozenset(("volumes",)), frozenset(("exited",))
    waited: list[bool] = []

    def run(due: frozenset[str]) -> None:
        runs.append(due)
        if runs.count(volumes) < 3 and due == volumes:
            schedule._queue("1m", exited)
            waited.append("exited" in schedule.waiting)
            schedule.resume_later(due)
        elif due == exited:
            waited.append("exited" in schedule.waiting)

    schedule = Schedule(settings("0 0 1 1 *"), run, {})
    schedule._queue("0 0 1 1 *", volumes)
    schedule.start()
    wait_until(lambda: len(runs) == 5, seconds=5, what="all runs")
    assert runs == [volumes, exited, volumes, exited, volumes]
    assert waited == [True, False, True, False]
    schedule.stop()


def test_what_comes_due_during_its_own_run_waits_until_that_runs_again() -> None:
    seen: list[frozenset[str]] = []
    due = frozenset(("exited", "unused"))

    def run(_: frozenset[str]) -> None:
        if not seen:
            schedule._queue("1m", due)  # skipped, as it is under way
            seen.append(schedule.waiting)
            schedule.resume_later(due)
        else:
            seen.append(schedule.waiting)

    schedule = Schedule(settings("0 0 1 1 *"), run, {})
    schedule._queue("1m", due)
    schedule.start()
    wait_until(lambda: len(seen) == 2, seconds=5, what="both runs")
    assert seen == [due, frozenset()]
    schedule.stop()


@pytest.mark.parametrize("jitter", ["0s", "10m"])
def test_a_fixed_hour_that_the_clock_shows_twice_is_run_once(jitter: str) -> None:
    berlin = cleanup(EXITED, schedule="30 2 * * *", timezone="Europe/Berlin", jitter=jitter)
    trigger = module._trigger("30 2 * * *", berlin)
    noon = datetime(2026, 10, 24, 12, tzinfo=UTC)
    first = trigger.get_next_fire_time(None, noon)
    assert timedelta() <= first - datetime(2026, 10, 25, 0, 30, tzinfo=UTC) <= timedelta(minutes=10)
    second = trigger.get_next_fire_time(first, first + timedelta(seconds=1))
    assert timedelta() <= second - datetime(2026, 10, 26, 1, 30, tzinfo=UTC) <= timedelta(minutes=10)
