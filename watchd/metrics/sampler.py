"""Reads containers where nobody scrapes, so that the last hour is there to be looked at."""

import math
import threading
import time

from watchd.metrics.collector import Collector
from watchd.metrics.recent import STEP
from watchd.metrics.source import Source
from watchd.pulse import Pulse

_LONGEST_LOOK = 300.0  # seconds
_FIRST_AFTER = 1.0  # seconds: the engine's containers are listed by then, if it is well
_SLACK = STEP / 2  # that a scrape may be late


class Sampler:
    """Reads every `STEP`, in a thread of its own from `start` to `stop`; not while others do.

    The engine's API is not asked so: that costs the engine a hundred times what reading cgroups does.
    """

    def __init__(self, collector: Collector, source: Source) -> None:
        self._collector = collector
        self._source = source
        self._own = -math.inf  # when this thread made the last of its readings, monotonic
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="watchd-sampler", daemon=True)
        self.pulse = Pulse("reading containers", _LONGEST_LOOK)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout: float = 1.0) -> None:
        """End, waiting at most `timeout` seconds for what it is at."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _work(self) -> None:
        wait = _FIRST_AFTER
        while not self._stopping.wait(wait):
            with self.pulse.busy():
                wait = self._look()

    def _look(self) -> float:
        """Read, where that is due. Return the seconds until it may be again."""
        recent = self._collector.recent
        patience = STEP if recent.taken_at == self._own else STEP + _SLACK
        due_in = recent.taken_at + patience - time.monotonic()
        if due_in > 0:
            return due_in
        if self._source.name != "api":
            self._collector.look(time.time())
            self._own = recent.taken_at
        return STEP
