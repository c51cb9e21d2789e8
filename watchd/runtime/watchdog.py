"""Watchdog: heartbeats of every thread. A stuck thread is a bug, and only a restart helps.

A heartbeat is supervised for as long as somebody refers to it: parts make theirs and do nothing else.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar
from weakref import WeakSet

STUCK_AFTER = 1200.0  # seconds at one step: the longest that an engine is given to answer are 900

P = ParamSpec("P")
T = TypeVar("T")

_lock = threading.Lock()
_supervised: WeakSet["Heartbeat"] = WeakSet()


class Heartbeat:
    """Progress of a thread, or of each thread of a pool: stuck when one step takes more than `limit` seconds.

    `thread` is the name of the thread, or the prefix of its pool's names; None: the work runs in a thread that has
    another heartbeat. Safe to use from several threads.
    """

    def __init__(self, what: str, limit: float | None = None, *, thread: str | None = None) -> None:
        self.what = what
        self.limit = STUCK_AFTER if limit is None else min(limit, STUCK_AFTER)
        self.thread = thread
        self._steps: dict[object, float] = {}  # when each step began, monotonic; empty: idle
        with _lock:
            _supervised.add(self)

    def beat(self) -> None:
        """Begin the next step."""
        self._steps = dict.fromkeys(self._steps or (None,), time.monotonic())

    def idle(self) -> None:
        """Wait for work, for any time."""
        self._steps.clear()

    @contextmanager
    def busy(self) -> Iterator[Callable[[], None]]:
        """Work on a step of its own until the end of the block. Yield what begins the next one in its place."""
        step = object()

        def begin_next() -> None:
            self._steps[step] = time.monotonic()

        begin_next()
        try:
            yield begin_next
        finally:
            self._steps.pop(step, None)

    def probe(self, wake: Callable[[], object]) -> None:
        """Check a thread that may wait for long: `wake` makes it call `idle`, unless it is stuck."""
        if not self._steps:
            self.beat()
        wake()

    @property
    def is_stuck(self) -> bool:
        """Return whether a step takes too long."""
        return any(time.monotonic() - began > self.limit for began in list(self._steps.values()))


class Pool(ThreadPoolExecutor):
    """Pool of threads named `name`, whose tasks are supervised: each may take `limit` seconds."""

    def __init__(self, workers: int, name: str, what: str, limit: float | None = None) -> None:
        super().__init__(workers, thread_name_prefix=name)
        self._heartbeat = Heartbeat(what, limit, thread=name)
        self._current = threading.local()  # the task of each thread

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Schedule a call."""

        def call() -> T:
            with self._heartbeat.busy() as self._current.begin_next:
                return function(*args, **kwargs)

        return super().submit(call)

    def beat(self) -> None:
        """Begin the next step of a task that has several. Called by the task."""
        self._current.begin_next()


def supervised() -> list[Heartbeat]:
    """Return all heartbeats that are in use."""
    with _lock:
        return list(_supervised)
