"""Calls on several processors at once, for commands that calculate for long."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, TypeVar

T = TypeVar("T")
Result = TypeVar("Result")

most_processes: int | None = None  # None: one on each processor
_calls: Callable[[Any], Any] | None = None  # what the processes inherit: it need not be copied to them


def each(do: Callable[[T], Result], values: Sequence[T]) -> Iterator[Result]:
    """Yield the results of calls for each value, in their order. Raise `BrokenProcessPool` if a process is killed.

    Processes are forked, so only where this one has no other thread.
    """
    global _calls  # noqa: PLW0603 - forked processes have it
    processors = min(most_processes or len(os.sched_getaffinity(0)), len(values))
    if processors < 2 or threading.active_count() > 1:
        yield from map(do, values)
        return
    _calls = do
    with ProcessPoolExecutor(processors, get_context("fork")) as pool:
        yield from pool.map(_call, values)


def _call(value: Any) -> Any:
    assert _calls is not None  # noqa: S101 - set before the process was forked
    return _calls(value)
