"""Watched time, by clocks that are set."""

import pytest

from watchd.engine.watch import coverage as module
from watchd.engine.watch.coverage import Coverage


class Clock:
    """The module's clocks: one that people set, and one that only goes on."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.elapsed = 50.0

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.elapsed

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.elapsed += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def coverage(clock: Clock) -> Coverage:
    coverage = Coverage()
    coverage.begin()
    clock.wait(10.0)
    return coverage


def test_time_in_which_the_stream_is_open_is_watched(coverage: Coverage, clock: Clock) -> None:
    assert coverage.unwatched(clock.now - 10.0, clock.now) == 0.0
    assert coverage.unwatched(clock.now - 15.0, clock.now) == 5.0


@pytest.mark.parametrize("jump", [3600.0, 2.0])
def test_what_a_clock_skips_is_not_watched(coverage: Coverage, clock: Clock, jump: float) -> None:
    watched_until = clock.now
    clock.now += jump
    assert coverage.unwatched(watched_until, clock.now) == jump
    assert coverage.unwatched(clock.now, clock.now) == 0.0


def test_what_a_clock_skips_between_a_look_and_its_record_is_not_watched(coverage: Coverage, clock: Clock) -> None:
    """The look began before the clock was set: the next one must not take the skipped time for watched."""
    looked = clock.now
    clock.now += 3600.0
    coverage.unwatched(looked - 1.0, looked)
    clock.wait(1.0)
    assert coverage.unwatched(looked, clock.now) == 3600.0


def test_a_clock_that_is_set_back_makes_nothing_watched(coverage: Coverage, clock: Clock) -> None:
    watched_until = clock.now
    clock.now -= 3600.0
    assert coverage.unwatched(watched_until, clock.now) == 0.0
    clock.wait(5.0)
    assert coverage.unwatched(clock.now - 5.0, clock.now) == 0.0
