"""Counts of the engine's events, by action, and of OOM kills."""

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence

from watchd.metrics.containers.oom_counts import OomCounts
from watchd.model import EngineView, Event

STAYS = 600.0  # seconds that the counts of a container stay after its end, so that alerts can fire


class EventCounts:
    """Counts events: one of the watch's listeners."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: Counter[tuple[str, str]] = Counter()
        self._oom = OomCounts()
        self._drift: Counter[str] = Counter({"missing": 0, "stale": 0, "changed": 0})
        self._tells_oom = True

    def events(self) -> dict[tuple[str, str], int]:
        """Return how many events of each type and action have come."""
        with self._lock:
            return dict(self._events)

    @property
    def tells_oom(self) -> bool:
        """Return whether the engine has events of OOM kills."""
        return self._tells_oom

    def oom_events(self, container_id: str, now: float, *, only_some: bool = False) -> int | None:
        """Return how many of a container's processes were killed for want of memory, to be served at `now`.

        None where the engine has no events of that; and, with `only_some`, where none was.
        """
        with self._lock:
            if not self._tells_oom or (only_some and not self._oom.has_any(container_id)):
                return None
            return self._oom.serve(container_id, now)

    def drift(self) -> Mapping[str, int]:
        """Return the number of containers that a full list showed to differ from what events had reported."""
        with self._lock:
            return dict(self._drift)

    def on_events(self, events: Sequence[Event], before: EngineView, after: EngineView, *, listed: bool) -> None:
        """Count events, and the changes that a list showed and no event reported."""
        now = time.monotonic()
        known, current = before.container_by_id, after.container_by_id
        with self._lock:
            self._tells_oom = after.engine.tells_oom
            self._events.update((event.type, event.action) for event in events)
            self._oom.count(events, now)
            self._oom.forget(current, STAYS, now)
            if listed and "container" not in before.failures:
                told = {event.id for event in events if event.type == "container"}
                self._drift["missing"] += len(current.keys() - known.keys() - told)
                self._drift["stale"] += len(known.keys() - current.keys() - told)
                both = (current.keys() & known.keys()) - told
                self._drift["changed"] += sum(current[id_] != known[id_] for id_ in both)
