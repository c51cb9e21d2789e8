"""Watched time: no event in it can have been missed."""

import threading
import time

_CLOCK_STEP = 1.0  # seconds that the clock may jump before time is no longer taken for watched


class Coverage:
    """Since when the engine is watched without a gap. Times are seconds since the epoch.

    That is while the event stream is open, pings are answered, and events are read in time. Safe to use from several
    threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: float | None = None
        self._lost_from: float | None = None  # counted as watched before it turned out otherwise
        self._offset = 0.0  # of the clock from the monotonic one, as it was last

    def begin(self) -> None:
        """The stream of events is open."""
        with self._lock:
            self._since, self._offset = time.time(), _offset()

    def end(self, lost_from: float | None = None) -> None:
        """The stream is closed, or the engine has not answered since `lost_from`."""
        with self._lock:
            self._since = None
            self._lose(lost_from)

    def restart(self, lost_from: float) -> None:
        """Events were missed after `lost_from`; the stream is still open."""
        with self._lock:
            if self._since is not None:
                self._since, self._offset = time.time(), _offset()
            self._lose(lost_from)

    def unwatched(self, watched_until: float, now: float) -> float:
        """Return how many of the seconds since `watched_until` were not watched."""
        with self._lock:
            offset = _offset()
            if self._since is not None and abs(offset - self._offset) > _CLOCK_STEP:
                self._since = time.time()  # the clock was set, or the machine slept; `now` may be from before
            self._offset = offset
            since = now if self._since is None else self._since
            return max(0.0, since - min(watched_until, self._lost_from or watched_until))

    def bridged(self, since: float) -> None:
        """Past events covered all time since then."""
        with self._lock:
            if self._lost_from is not None and self._lost_from >= since:
                self._lost_from = None

    def recorded(self) -> None:
        """Forget the lost time: it was recorded."""
        with self._lock:
            self._lost_from = None

    def _lose(self, lost_from: float | None) -> None:
        if lost_from is not None:
            self._lost_from = min(lost_from, self._lost_from or lost_from)


def _offset() -> float:
    return time.time() - time.monotonic()
