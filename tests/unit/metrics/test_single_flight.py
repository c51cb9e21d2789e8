"""Many who ask at the same time cost no more than one."""

import itertools
import threading

import pytest

from watchd.metrics.single_flight import SingleFlight


class _CountingLock:
    """A lock that knows how many have come to it, whether they got in or wait."""

    def __init__(self) -> None:
        self.comers = threading.Semaphore(0)
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self.comers.release()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_callers_at_the_same_time_share_one_result() -> None:
    first_is_in, others_wait, numbers = threading.Event(), threading.Event(), itertools.count(1)

    def make() -> int:
        first_is_in.set()
        assert others_wait.wait(60)
        return next(numbers)

    shared = SingleFlight(make)
    lock = _CountingLock()
    shared._lock = lock  # type: ignore[assignment]
    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(shared())) for _ in range(8)]
    threads[0].start()
    assert first_is_in.wait(60)
    for thread in threads[1:]:
        thread.start()
    for _ in threads:
        assert lock.comers.acquire(timeout=60)
    others_wait.set()
    for thread in threads:
        thread.join(60)

    assert results == [1] * 8
    assert shared() == 2, "who comes afterwards gets a new one"


def test_a_failure_is_the_callers_own() -> None:
    calls = itertools.count(1)

    def make() -> str:
        if next(calls) == 1:
            raise ValueError("once")
        return "made"

    shared = SingleFlight(make)
    with pytest.raises(ValueError, match="once"):
        shared()
    assert shared() == "made"
