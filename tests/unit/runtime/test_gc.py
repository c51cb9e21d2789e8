"""Keeping the garbage collector out of the way."""

import gc
import weakref
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from watchd.runtime.gc import gc_paused, tidy


class _Cycle:
    def __init__(self) -> None:
        self.own = self


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.set_threshold(*threshold)
    gc.unfreeze()


def test_the_last_pause_to_end_resumes_the_collector() -> None:
    with ExitStack() as first, ExitStack() as second:
        first.enter_context(gc_paused())
        second.enter_context(gc_paused())
        first.close()
        assert not gc.isenabled()
        second.close()
        assert gc.isenabled()


def test_what_a_pause_makes_is_not_walked() -> None:
    with gc_paused():
        made: list[list[int]] = [[] for _ in range(1000)]
    assert not any(each is made for each in gc.get_objects())


def test_cycles_that_were_not_walked_go_when_it_is_tidied() -> None:
    with gc_paused():
        gone = weakref.ref(_Cycle())
    gc.collect()
    assert gone() is not None
    tidy()
    assert gone() is None
    assert gc.get_freeze_count() > 0
