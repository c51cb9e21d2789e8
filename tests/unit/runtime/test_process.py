"""Real-time priority, tried in a thread of its own: it is that thread's alone."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from watchd.runtime import process


def _in_a_thread(work: Callable[[], object]) -> int:
    """Return the scheduling policy of a thread that did something."""

    def done() -> int:
        work()
        return os.sched_getscheduler(0)

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(done).result()


def _may_go_first() -> bool:
    def tried() -> None:
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))

    return _in_a_thread(tried) == os.SCHED_RR


@pytest.mark.skipif(not _may_go_first(), reason="this process may not have real-time priority")
def test_a_thread_goes_first_where_it_may() -> None:
    assert _in_a_thread(process.go_first) == os.SCHED_RR


def test_it_stays_as_it_is_where_it_may_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refused)
    assert _in_a_thread(process.go_first) == _in_a_thread(lambda: None)
