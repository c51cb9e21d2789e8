"""Reads containers while nobody scrapes, so that their last hour is known."""

import math
import threading
import time

from watchd.metrics.containers.collector import ContainerCollector
from watchd.metrics.recent.recent import STEP
from watchd.metrics.sources.source import Source
from watchd.runtime.watchdog import Heartbeat

_LONGEST_READING = 300.0  # seconds
_FIRST_AFTER = 1.0  # seconds: a healthy engine has listed its containers by then
_SLACK = STEP / 2  # that a scrape may be late


class Sampler:
    """Read containers every `STEP`, in a thread of its own, unless others do.

    Not through the engine's API, which costs the engine a hundred times what reading cgroups does.
    """

    def __init__(self, collector: ContainerCollector, source: Source) -> None:
        self._collector = collector
        self._source = source
        self._own = -math.inf  # time of this thread's last reading, monotonic
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="watchd-sampler", daemon=True)
        self._heartbeat = Heartbeat("reading containers", _LONGEST_READING, thread="watchd-sampler")

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout: float = 1.0) -> None:
        """Stop the thread, and wait at most `timeout` seconds for it."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _work(self) -> None:
        wait = _FIRST_AFTER
        while not self._stopping.wait(wait):
            with self._heartbeat.busy():
                wait = self._read_if_due()

    def _read_if_due(self) -> float:
        """Read if nobody did lately. Return the seconds until the next check."""
        recent = self._collector.recent
        patience = STEP if recent.taken_at == self._own else STEP + _SLACK
        due_in = recent.taken_at + patience - time.monotonic()
        if due_in > 0:
            return due_in
        if self._source.name != "api":
            self._collector.update_recent(time.time())
            self._own = recent.taken_at
        return STEP
