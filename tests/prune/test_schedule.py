"""When policies run: by their schedules, once for what was missed, and after quiet hours."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.harness.waiting import wait_until
from tests.prune.builders import EXITED, UNUSED, cleanup
from watchd.config import Cleanup
from watchd.prune import schedule as module
from watchd.prune.schedule import Schedule


class Runs:
    """A schedule, and what it ran."""

    def __init__(self, settings: Cleanup, last_runs: dict[str, float] | None = None) -> None:
        self.ran: list[frozenset[str]] = []
        self.at_once = 0
        self.most_at_once = 0
        self._lock = threading.Lock()
        self.schedule = Schedule(settings, self._run, last_runs)
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
    monkeypatch.setattr(module, "_MAKE_UP_AFTER", 0.1)


def settings(schedule: str) -> Cleanup:
    return cleanup(EXITED, UNUSED, schedule=schedule, jitter="0s")


def ago(**time_: float) -> float:
    return (datetime.now(UTC) - timedelta(**time_)).timestamp()


@pytest.mark.parametrize(
    ("schedule", "last_run", "missed"),
    [
        ("6h", ago(hours=7), True),
        ("6h", ago(hours=5), False),
        ("6h", ago(hours=-5), False),  # the clock was set back
        ("* * * * *", ago(minutes=3), True),
        ("0 0 1 1 *", ago(seconds=1), False),
        ("0 0 1 1 *", ago(days=800), True),
    ],
)
@pytest.mark.usefixtures("soon")
def test_a_run_that_was_missed_is_made_up_for_once(schedule: str, last_run: float, *, missed: bool) -> None:
    runs = Runs(settings(schedule), {"exited": last_run})
    if missed:
        wait_until(lambda: runs.ran != [], seconds=5, what="the run")
        assert runs.ran[0] == {"exited"}, "the other one never ran, so it has missed nothing"
    time.sleep(0.3)
    assert len(runs.ran) == (1 if missed else 0)
    assert runs.schedule.stop()


def test_what_is_put_off_runs_once_and_together() -> None:
    runs = Runs(settings("6h"))
    soon = time.time() + 0.3
    runs.schedule.put_off(frozenset(("exited",)), soon)
    runs.schedule.put_off(frozenset(("exited", "unused")), soon)
    wait_until(lambda: runs.ran != [], seconds=5, what="the run")
    assert time.time() >= soon
    time.sleep(0.2)
    assert runs.ran == [{"exited", "unused"}]
    assert runs.schedule.stop()


def test_policies_with_a_schedule_of_their_own_run_apart_and_never_at_once() -> None:
    runs = Runs(settings("1s"))
    wait_until(lambda: len(runs.ran) >= 2, seconds=10, what="two runs")
    assert runs.schedule.stop()
    apart = Runs(cleanup({**EXITED, "schedule": "1s"}, {**UNUSED, "schedule": "1000ms"}, jitter="0s"))
    wait_until(lambda: len(apart.ran) >= 4, seconds=10, what="four runs")
    assert set(apart.ran) == {frozenset(("exited",)), frozenset(("unused",))}
    assert apart.most_at_once == 1
    assert apart.schedule.stop()


def test_what_is_due_at_the_same_moment_is_due_together() -> None:
    daily, also = {**EXITED, "schedule": "0 4 * * *"}, {**UNUSED, "schedule": "0 4 */1 * *"}
    runs = Runs(cleanup(daily, also, jitter="0s"))
    try:
        due = runs.schedule.next_run()
    finally:
        runs.schedule.stop()
    assert due is not None
    assert due[1] == {"exited", "unused"}
