"""The last events of the engine, for who looks on: one of the watch's listeners."""

import threading
from collections import deque
from collections.abc import Sequence

from watchd.model import Container, EngineInfo, Event

MOST = 200
# A health probe every second would leave no room for anything else.
_PROBES = frozenset(("exec_create", "exec_start", "exec_die", "exec_died", "exec_detach", "exec"))


class LastEvents:
    """Keeps the last `MOST` of them, but those of probes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: deque[Event] = deque(maxlen=MOST)

    def current(self) -> list[Event]:
        """Return them, the last one first."""
        with self._lock:
            return list(self._events)[::-1]

    def happened(self, events: Sequence[Event]) -> None:
        """Keep these."""
        with self._lock:
            self._events.extend(event for event in events if event.action not in _PROBES)

    def reconciled(self, engine: EngineInfo | None, containers: Sequence[Container]) -> None:
        """What there is, is not what happened."""

    def changed(self, container: Container) -> None:
        """The event says it."""

    def gone(self, container_id: str) -> None:
        """The event says it."""
