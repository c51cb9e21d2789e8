"""One run at a time, across all generations of settings."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from watchd.runtime.watchdog import Heartbeat


class RunGate:
    """Let one run happen at a time, and note its current step."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._step = ""
        self.heartbeat = Heartbeat("a run", thread="watchd-schedule")

    @property
    def step(self) -> str:
        """Current step of the current run; empty if there is none."""
        return self._step

    def begin_step(self, step: str) -> None:
        """Note the next step of the current run."""
        self._step = step
        self.heartbeat.beat()

    @contextmanager
    def one_run(self) -> Iterator[None]:
        """Wait for the current run to end, and keep others out."""
        with self._lock, self.heartbeat.busy():
            try:
                yield
            finally:
                self._step = ""

    def wait_until_idle(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for the current run to end. Return whether it has."""
        idle = self._lock.acquire(timeout=timeout)
        if idle:
            self._lock.release()
        return idle
