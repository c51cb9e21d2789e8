"""Generations of settings: when they run, when they no longer do, and what quiet hours end."""

import http.server
import json
import logging
import socketserver
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from tests.harness.waiting import wait_until
from tests.unit.cleanup.builders import EXITED, HOUR, NOW, UNUSED_VOLUMES, anonymous, cleanup, disk, hex_id, policy
from tests.unit.cleanup.fake_engine import FakeEngine
from tests.unit.engine import replies
from watchd.cleanup.daemon.cleaner import Cleaner, CleanerParts
from watchd.cleanup.daemon.daemon_run import DaemonRun
from watchd.cleanup.daemon.disk_watch import Removed
from watchd.cleanup.daemon.gate import RunGate
from watchd.cleanup.daemon.prune_metrics import PruneMetrics
from watchd.cleanup.observe.observer import Observer
from watchd.cleanup.plan.plan import Outcome, Outcomes
from watchd.cleanup.run.executor import IN_PARALLEL
from watchd.cleanup.run.run import RUN_LOCK, RunResult
from watchd.config import Cleanup
from watchd.config.schema.config import Engine
from watchd.engine.client import EngineClient
from watchd.engine.data import disks
from watchd.engine.data.disks import Measured
from watchd.errors import EngineUnreachable, StateError
from watchd.runtime import watchdog
from watchd.runtime.locks import hold
from watchd.store import Store
from watchd.units import format_time

if TYPE_CHECKING:
    from watchd.cleanup.report.notification import Notification
    from watchd.model import EngineView

QUIET = ["09:00-18:00"]  # NOW is 08:00
IN_QUIET_HOURS = NOW + HOUR
QUIET_END = NOW + 10 * HOUR
DUE = frozenset(("volumes",))


class Gate(RunGate):
    """A gate that tells when someone comes to it."""

    def __init__(self) -> None:
        super().__init__()
        self.came = threading.Event()

    @contextmanager
    def one_run(self) -> Iterator[None]:
        self.came.set()
        with super().one_run():
            yield


class Host:
    """An engine with three volumes, a disk, a clock, and the parts of a daemon's cleaner."""

    def __init__(self, directory: Path, store: Store) -> None:
        self.engine = FakeEngine(directory, *map(anonymous, "abc"))
        self.store = store
        self.now = NOW
        self.used = 85
        self.gate = Gate()
        self.metrics = PruneMetrics({})
        self.views: list[EngineView] = []
        self.notified: list[Notification] = []
        self.read_only: list[bool] = []
        self.parts = CleanerParts(
            connect=self._connect,
            store=store,
            observer=Observer(store, writable=True, count_unwatched=False),
            metrics=self.metrics,
            locate_disks=lambda: Measured({"volume": disk(self.used)}),
            on_fresh_view=self.views.append,
            notify=self.notified.append,
            clock=lambda: self.now,
            gate=self.gate,
        )

    def cleaner(self, *policies: Mapping[str, Any], **settings: Any) -> Cleaner:
        return Cleaner(self.settings(*policies, **settings), self.parts)

    def settings(self, *policies: Mapping[str, Any], **settings: Any) -> Cleanup:
        return cleanup(*(policies or (UNUSED_VOLUMES,)), schedule="0 4 1 1 *", **settings)

    def become_quiet(self) -> None:
        self.now = IN_QUIET_HOURS

    def outcomes(self) -> dict[str, int]:
        """Return the removals and other outcomes that metrics count."""
        (family,) = [each for each in self.metrics.collect() if each.name == "watchd_prune_outcomes"]
        return {sample.labels["outcome"]: int(sample.value) for sample in family.samples if sample.value}

    def acting(self) -> set[str]:
        (family,) = [each for each in self.metrics.collect() if each.name == "watchd_prune_under_pressure"]
        return {sample.labels["policy"] for sample in family.samples}

    def _connect(self, read_only: bool) -> FakeEngine:  # noqa: FBT001 - as CleanerParts calls it
        self.read_only.append(read_only)
        return self.engine


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    with closing(Store.open(tmp_path / "state")) as store:
        host = Host(tmp_path, store)
        monkeypatch.setattr(disks, "statvfs", lambda *_: disk(host.used))
        yield host


def pressure(high: int) -> dict[str, Any]:
    return policy("volumes", "volume", pressure={"high": f"{high}%", "low": "50%"})


@contextmanager
def in_thread(target: Any, *arguments: Any) -> Iterator[None]:
    """Call something meanwhile; it has ended after that."""
    thread = threading.Thread(target=target, args=arguments)
    thread.start()
    try:
        yield
    finally:
        thread.join(60)
        assert not thread.is_alive()


def run_by_schedule(cleaner: Cleaner) -> None:
    cleaner._run(DUE)


def run_under_pressure(cleaner: Cleaner) -> None:
    cleaner._disk_watch.look()


def put_off(cleaner: Cleaner) -> tuple[frozenset[str], float]:
    return cleaner._schedule._put_off, cleaner._schedule._put_off_until


class TestContainersThatAreDue:
    def test_a_long_run_of_volumes_gives_way_to_them_and_goes_on_later(
        self, host: Host, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        caplog.set_level(logging.INFO)
        # Planning takes no time: else slow planning would give all volumes their time.
        monkeypatch.setattr("watchd.cleanup.daemon.cleaner.DaemonRun", partial(DaemonRun, clock=lambda: 0.0))
        host.engine.there |= {each.name: each for each in map(anonymous, map(str, range(57)))}
        cleaner = host.cleaner(UNUSED_VOLUMES, EXITED)
        host.engine.on_remove = lambda: cleaner._schedule._queue("1m", frozenset(("exited",)))
        result = cleaner._run(DUE)
        assert 1 <= len(host.engine.removed) <= IN_PARALLEL, "one of each thread"
        assert result is not None
        assert not result.succeeded
        assert caplog.text.count("containers are due: the run goes on after them") == 1
        assert [told.is_failure for told in host.notified] == [False]
        assert cleaner._schedule._unfinished == DUE
        assert cleaner.replaced_by(host.settings())._schedule._unfinished == DUE

    def test_a_run_under_pressure_does_not(self, host: Host) -> None:
        cleaner = host.cleaner(pressure(80), EXITED)
        cleaner._schedule._queue("1m", frozenset(("exited",)))
        host.engine.on_remove = lambda: setattr(host, "used", host.used - 1)
        run_under_pressure(cleaner)
        assert len(host.engine.removed) == 3

    def test_threads_that_find_them_due_at_the_same_time_log_it_once(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        both = threading.Barrier(2, timeout=60)

        class Stop(threading.Event):
            def is_set(self) -> bool:  # asked first
                both.wait()
                return False

        def due() -> bool:
            time.sleep(0.1)  # for the other one to ask as well, if nothing kept it from that
            return True

        run = DaemonRun(
            DUE,
            under_pressure=False,
            stop=Stop(),
            gate=RunGate(),
            metrics=PruneMetrics({}),
            quiet_until=lambda: None,
            on_fresh_view=lambda _: None,
            containers_due=due,
            clock=lambda: 0.0,
        )
        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(run.ends_before, ("volume", "volume"))) == [True, True]
        assert caplog.text.count("containers are due") == 1

    def test_other_objects_get_as_much_time_as_the_run_took_before_them(self) -> None:
        now = 0.0
        due = False
        run = DaemonRun(
            DUE,
            under_pressure=False,
            stop=threading.Event(),
            gate=RunGate(),
            metrics=PruneMetrics({}),
            quiet_until=lambda: None,
            on_fresh_view=lambda _: None,
            containers_due=lambda: due,
            clock=lambda: now,
        )
        now = 8.0
        assert not run.ends_before("container")
        now = 10.0
        assert not run.ends_before("volume")
        due = True
        now = 19.9
        assert not run.ends_before("volume")
        now = 20.0
        assert not run.ends_before("container")
        assert run.ends_before("volume")
        due = False
        assert run.ends_before("image"), "once it has begun to give way it ends"


class TestGenerations:
    @pytest.mark.parametrize(
        ("run", "before", "after"),
        [(run_under_pressure, pressure(80), pressure(95)), (run_by_schedule, UNUSED_VOLUMES, UNUSED_VOLUMES)],
    )
    def test_a_waiting_run_does_not_start_after_a_reload(self, host: Host, run: Any, before: Any, after: Any) -> None:
        cleaner = host.cleaner(before)
        with host.gate.one_run():
            host.gate.came.clear()
            with in_thread(run, cleaner):
                host.gate.came.wait(10)
                successor = cleaner.replaced_by(host.settings(after))
                host.gate._lock.release()  # the other run ends
            host.gate._lock.acquire()
        assert (host.engine.lists, host.engine.removed) == (0, []), "it did not even look"
        if run is run_under_pressure:
            run(successor)
            assert host.engine.removed == [], "by the new marks the disk is not too full"

    def test_a_reload_ends_the_current_run_after_the_current_object(
        self, host: Host, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        host.engine.there |= {each.name: each for each in map(anonymous, map(str, range(57)))}
        cleaner = host.cleaner()
        reloading = threading.Lock()
        successors: list[Cleaner] = []

        def reload_once() -> None:
            with reloading:  # the other threads have an object in hand meanwhile
                if not successors:
                    successors.append(cleaner.replaced_by(host.settings()))

        host.engine.on_remove = reload_once
        run_by_schedule(cleaner)
        removed = len(host.engine.removed)
        assert 1 <= removed <= IN_PARALLEL, "one of each thread"
        assert caplog.text.count("the current run stops after the current object") == 1
        assert f"Of the rest: {60 - removed} not reached" in caplog.text
        assert {(row.removal.name, row.outcome) for row in host.store.removals()} == {
            (name, "removed") for name in host.engine.removed
        }, "what was recorded and not tried is forgotten"

    def test_a_reload_during_planning_removes_nothing(self, host: Host) -> None:
        cleaner = host.cleaner()
        host.engine.on_list = lambda: cleaner.replaced_by(host.settings())
        run_by_schedule(cleaner)
        assert host.engine.removed == []

    def test_a_reload_of_an_idle_daemon_says_nothing_of_a_run(
        self, host: Host, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        host.used = 10
        cleaner = host.cleaner(pressure(80))
        cleaner.start()
        run_by_schedule(cleaner)
        successor = cleaner.replaced_by(host.settings())
        successor.close()
        assert "current run" not in caplog.text

    def test_a_closed_one_reports_no_pressure_over_that_of_the_next(self, host: Host) -> None:
        cleaner = host.cleaner(pressure(80))
        host.engine.on_list = lambda: cleaner.replaced_by(host.settings())
        run_under_pressure(cleaner)
        assert host.acting() == set()

    def test_a_closed_one_hands_over_what_quiet_hours_delayed(self, host: Host) -> None:
        host.become_quiet()
        cleaner = host.cleaner(quiet_hours=QUIET)
        run_by_schedule(cleaner)
        successor = cleaner.replaced_by(host.settings(quiet_hours=QUIET))
        assert put_off(successor) == (DUE, QUIET_END)
        renamed = successor.replaced_by(host.settings({**UNUSED_VOLUMES, "name": "other"}))
        assert put_off(renamed)[0] == frozenset()

    def test_starts_and_reloads_do_not_begin_an_interval_anew(self, host: Host) -> None:
        daily, other = cleanup(UNUSED_VOLUMES, schedule="24h"), cleanup(UNUSED_VOLUMES, schedule="12h")
        now = time.time()

        def hours_to_next(before: Cleanup | None = None) -> float:
            cleaner = Cleaner(daily, host.parts, before=before)
            next_at: float = cleaner._schedule._jobs["24h"].trigger.start_date.timestamp()
            return round((next_at - now) / HOUR, 1)

        host.now = now - 20 * HOUR
        Cleaner(daily, host.parts)
        host.now = now
        assert (hours_to_next(), hours_to_next(before=daily)) == (4, 4), "it never ran, and was scheduled 20 hours ago"
        host.store.ran(["volumes"], now - HOUR, None)
        assert (hours_to_next(), hours_to_next(before=daily)) == (23, 23)
        assert hours_to_next(before=other) == 24, "its schedule changed"
        assert hours_to_next(before=cleanup(EXITED, schedule="24h")) == 24, "it is new"

    def test_a_run_that_a_reload_ended_is_made_up_for(self, host: Host) -> None:
        hourly = cleanup(UNUSED_VOLUMES, schedule="@hourly")
        host.now = time.time() - 2 * HOUR
        cleaner = Cleaner(hourly, host.parts)
        host.now = time.time()
        names = [job.name for job in cleaner.replaced_by(hourly)._schedule._scheduler.get_jobs()]
        assert "made up for, it was missed: volumes" in names

    def test_a_reload_goes_on_where_the_state_cannot_be_written(
        self, host: Host, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cleaner = host.cleaner()
        monkeypatch.setattr(host.store, "schedule", Mock(side_effect=StateError("the disk is full")))
        assert cleaner.replaced_by(host.settings()).next_run() is None
        assert "their schedules begin now: the disk is full" in caplog.text

    def test_runs_of_two_generations_never_overlap(self, host: Host) -> None:
        first, second = host.cleaner(), host.cleaner()
        host.gate.came.clear()
        seen: list[bool] = []

        def other_run_waits() -> None:
            if not seen:
                seen.append(host.gate.wait_until_idle(0.05))

        host.engine.on_remove = other_run_waits
        with in_thread(run_by_schedule, first), in_thread(run_by_schedule, second):
            pass
        assert set(seen) == {False}
        assert len(host.engine.removed) == 3

    def test_only_one_that_enforces_may_write_to_the_engine(self, host: Host) -> None:
        host.cleaner().replaced_by(host.settings(mode="report"))
        assert host.read_only == [False, True]

    def test_each_view_is_passed_on(self, host: Host) -> None:
        run_by_schedule(host.cleaner())
        assert [len(view.volumes) for view in host.views] == [3]


class TestQuietHours:
    def check(self, cleaner: Cleaner, host: Host, removed: int) -> None:
        assert len(host.engine.removed) == removed
        assert put_off(cleaner) == (DUE, QUIET_END)

    def test_a_run_inside_them_only_plans(self, host: Host) -> None:
        cleaner = host.cleaner(quiet_hours=QUIET)
        host.become_quiet()
        run_by_schedule(cleaner)
        self.check(cleaner, host, removed=0)
        assert host.engine.lists == 1

    def test_they_can_begin_while_a_run_waits_for_another(self, host: Host) -> None:
        cleaner = host.cleaner(quiet_hours=QUIET)
        with host.gate.one_run():
            host.gate.came.clear()
            with in_thread(run_by_schedule, cleaner):
                host.gate.came.wait(10)
                host.become_quiet()
                host.gate._lock.release()
            host.gate._lock.acquire()
        self.check(cleaner, host, removed=0)
        assert host.outcomes() == {}, "it was planned as one of quiet hours"

    def test_they_can_begin_during_planning(self, host: Host) -> None:
        cleaner = host.cleaner(quiet_hours=QUIET)
        host.engine.on_list = host.become_quiet
        run_by_schedule(cleaner)
        self.check(cleaner, host, removed=0)
        assert host.outcomes() == {Outcome.DEFERRED: 3}

    def test_they_can_begin_while_another_process_executes_a_plan(self, host: Host) -> None:
        cleaner = host.cleaner(quiet_hours=QUIET)
        with ExitStack() as other:
            other.enter_context(hold(host.store.path.with_name(RUN_LOCK), "another"))
            with in_thread(run_by_schedule, cleaner):
                wait_until(lambda: "another process" in host.gate.step, seconds=10, what="the run to wait")
                host.become_quiet()
                other.close()
        self.check(cleaner, host, removed=0)

    def test_a_run_that_reaches_them_ends_after_the_current_object_and_tells_the_rest(
        self, host: Host, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        host.engine.there |= {each.name: each for each in map(anonymous, map(str, range(57)))}
        cleaner = host.cleaner(quiet_hours=QUIET)
        host.engine.on_remove = host.become_quiet
        run_by_schedule(cleaner)
        removed = len(host.engine.removed)
        assert 1 <= removed <= IN_PARALLEL, "one of each thread"
        self.check(cleaner, host, removed=removed)
        assert host.outcomes() == {Outcome.REMOVED: removed, Outcome.DEFERRED: 60 - removed}
        assert caplog.text.count(f"quiet hours, until {format_time(QUIET_END)}") == 1
        assert f"Of the rest: {60 - removed} deferred" in caplog.text
        host.engine.on_remove = lambda: None
        host.now = QUIET_END
        run_by_schedule(cleaner)
        assert len(host.engine.removed) == 60

    def test_a_run_under_pressure_that_they_end_is_not_exhausted(
        self, host: Host, caplog: pytest.LogCaptureFixture
    ) -> None:
        cleaner = host.cleaner(pressure(80), quiet_hours=QUIET)
        host.engine.on_list = host.become_quiet
        run_under_pressure(cleaner)
        assert host.engine.removed == []
        assert host.acting() == {"volumes"}
        assert "can make no more room" not in caplog.text

    def test_a_run_under_pressure_that_a_reload_ends_is_not_exhausted(
        self, host: Host, caplog: pytest.LogCaptureFixture
    ) -> None:
        cleaner = host.cleaner(pressure(80))
        host.engine.on_list = cleaner.close
        run_under_pressure(cleaner)
        assert host.engine.removed == []
        assert "can make no more room" not in caplog.text

    def test_no_run_under_pressure_begins_in_them(self, host: Host) -> None:
        cleaner = host.cleaner(pressure(80), quiet_hours=QUIET)
        host.become_quiet()
        run_under_pressure(cleaner)
        assert host.engine.lists == 0


def test_under_pressure_it_removes_until_the_low_mark(host: Host) -> None:
    def free() -> None:
        host.used -= 20

    host.engine.on_remove = free
    run_under_pressure(host.cleaner(pressure(80)))
    assert (len(host.engine.removed), host.used) == (2, 45)


def test_a_run_under_pressure_tells_what_it_removed_and_what_freed_nothing(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    endings = (Outcome.REMOVED, Outcome.REMOVED, Outcome.DEFERRED)
    outcomes: Outcomes = {("image", str(number), "remove", ""): ending for number, ending in enumerate(endings)}
    result = RunResult(Mock(), outcomes, in_vain=frozenset(("image",)))
    cleaner = host.cleaner(pressure(80))
    monkeypatch.setattr(cleaner, "_run", Mock(return_value=result))
    assert cleaner._run_under_pressure(DUE) == Removed(2, frozenset(("image",)))


def test_the_gate_tells_what_a_run_is_doing(host: Host) -> None:
    steps: list[str] = []
    host.engine.on_list = host.engine.on_remove = lambda: steps.append(host.gate.step)
    name, _, _ = host.engine.there
    host.engine.there = {name: host.engine.there[name]}
    run_by_schedule(host.cleaner())
    assert steps == ["listing the engine's objects", f"removing volume {name}"]
    assert host.gate.step == ""


class TestLog:
    def _lines(self, host: Host, caplog: pytest.LogCaptureFixture, *policies: Any, **settings: Any) -> list[str]:
        with caplog.at_level(logging.INFO):
            cleaner = host.cleaner(*policies, **settings)
            caplog.clear()
            run_by_schedule(cleaner)
        return [record.getMessage().partition(": ")[2] for record in caplog.records if record.name.startswith("watchd")]

    @pytest.mark.parametrize(
        ("settings", "line"),
        [
            ({"protect": {"volumes": ["*"]}}, "Nothing to remove."),
            ({"mode": "report"}, "Nothing to remove; 3 volumes would go if enforced, about 30B."),
        ],
    )
    def test_a_run_that_removes_nothing_writes_one_line(
        self, host: Host, caplog: pytest.LogCaptureFixture, settings: dict[str, Any], line: str
    ) -> None:
        assert self._lines(host, caplog, **settings) == [line]
        assert host.engine.removed == []

    def test_a_full_disk_with_nothing_to_remove_is_told_once_and_not_at_each_try(
        self, host: Host, caplog: pytest.LogCaptureFixture
    ) -> None:
        cleaner = host.cleaner(pressure(80), protect={"volumes": ["*"]})
        with caplog.at_level(logging.INFO):
            caplog.clear()
            for _ in range(3):
                cleaner._run(DUE, acting=DUE)
        assert not [record for record in caplog.records if "Nothing to remove" in record.getMessage()]

    def test_in_quiet_hours_the_line_says_what_waits(self, host: Host, caplog: pytest.LogCaptureFixture) -> None:
        host.become_quiet()
        lines = self._lines(host, caplog, quiet_hours=QUIET)
        assert lines == ["Nothing to remove; 3 volumes would go but for quiet hours, about 30B."]

    def test_a_run_that_removes_writes_each_removal(self, host: Host, caplog: pytest.LogCaptureFixture) -> None:
        lines = self._lines(host, caplog)
        assert len(lines) > 5
        assert len(host.engine.removed) == 3


def test_each_answer_of_a_slow_engine_is_progress_of_a_run(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """200 inspects of 8 seconds take longer than a step of a run may."""
    listed = [{**replies.LISTED_CONTAINER, "Id": hex_id(str(number))} for number in range(200)]
    clock = SimpleNamespace(now=0.0)
    stuck: list[bool] = []

    class Slow(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            clock.now += 8
            stuck.append(host.gate.heartbeat.is_stuck)
            reply = listed if "/containers/json" in self.path else {**replies.INFO, "ApiVersion": "1.41"}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(reply).encode())

        def address_string(self) -> str:
            return "slow"

        def log_message(self, *_: object) -> None:
            pass

    class Server(socketserver.ThreadingUnixStreamServer):
        request_queue_size = 64

    monkeypatch.setattr(watchdog, "time", SimpleNamespace(monotonic=lambda: clock.now))
    with Server(str(tmp_path / "slow"), Slow) as server, in_thread(server.serve_forever):
        client = EngineClient(Engine(host=f"unix://{tmp_path}/slow"), read_only=True)
        monkeypatch.setattr(host, "engine", client)
        run_by_schedule(host.cleaner())
        client.close()
        server.shutdown()
    assert len(stuck) > len(listed)
    assert clock.now > watchdog.STUCK_AFTER
    assert not any(stuck)


class TestNotifications:
    def test_a_run_that_removed_something_is_told_and_one_that_did_not_is_not(self, host: Host) -> None:
        cleaner = host.cleaner()
        cleaner._run(DUE)
        (told,) = host.notified
        assert (told.title, told.is_failure) == ("watchd cleaned up host", False)
        assert told.body.startswith("Removed 3 volumes, about ")
        assert "\nvolume " in told.body
        cleaner._run(DUE)
        assert host.notified == [told]

    def test_a_run_that_failed_is_told(self, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
        def refused(*_: Any, **__: Any) -> Any:
            raise EngineUnreachable("no answer from the engine")

        monkeypatch.setattr("watchd.cleanup.run.run.look_and_plan", refused)
        host.cleaner()._run(DUE)
        (told,) = host.notified
        assert (told.body, told.is_failure) == ("Run of volumes: no answer from the engine", True)

    def test_pressure_that_finds_nothing_left_is_told_once(self, host: Host) -> None:
        cleaner = host.cleaner(pressure(80))
        for exhausted in (False, True, True):
            cleaner._on_pressure({"volumes": exhausted})
        (told,) = host.notified
        assert told.body.startswith("Policy volumes can make no more room now.")
        assert told.is_failure
