"""Polling of a feed in the background, for the screen."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from watchd.errors import WatchdError
from watchd.top.columns import Snapshot
from watchd.top.feed import ENGINE_DOWN, Feed, NotReady

INTERVAL = 2.0  # seconds
_SLOW_INTERVAL = 10.0  # seconds: disks, next run and graphs change slowly


class Poller:
    """Poll a feed, in its own threads from `start` to `stop`; `snapshot` is the latest result.

    Containers have a thread of their own, since the daemon may take long for the rest (a plan).
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._poll, args=each, name="watchd-top", daemon=True)
            for each in ((self._poll_containers, INTERVAL), (self._poll_rest, _SLOW_INTERVAL))
        ]
        self._tails_at = 0.0  # monotonic
        self._errors: dict[Callable[[], None], str] = {}  # of the last try
        self.snapshot = Snapshot(by_daemon=feed.by_daemon)

    def start(self) -> None:
        """Start polling."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop polling."""
        self._stopping.set()

    def _poll(self, fetch: Callable[[], None], interval: float) -> None:
        wait = 0.0
        while not self._stopping.wait(wait):
            wait = interval
            error_text = ""
            try:
                fetch()
            except NotReady:
                wait = INTERVAL
            except WatchdError as error:
                error_text = str(error)
            with self._lock:
                self._errors[fetch] = error_text
                text = "; ".join(dict.fromkeys(each for each in self._errors.values() if each))
                self.snapshot = replace(self.snapshot, error=text)

    def _poll_containers(self) -> None:
        containers = self._feed.containers()
        self._update(containers=containers)
        if time.monotonic() >= self._tails_at:
            self._tails_at = time.monotonic() + _SLOW_INTERVAL
            self._update(tails=self._feed.tails())
        if not containers["engine_up"]:
            raise WatchdError(ENGINE_DOWN)

    def _poll_rest(self) -> None:
        self._update(disks=self._feed.disks())
        self._update(next_run=self._feed.next_run())

    def _update(self, **changes: Any) -> None:
        with self._lock:
            self.snapshot = replace(self.snapshot, **changes)
