"""The last events of the engine, for who looks on: one of the watch's listeners."""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from watchd.engine.quirks import EXEC_NOISE
from watchd.model import Container, EngineInfo, Event

MOST = 200
_SHOWN = frozenset(("name", "exitCode", "containerExitCode"))  # of the attributes, which are a container's labels, too


class LastEvents:
    """Keeps the last `MOST` of them, without commands in containers: health probes would leave no room for others."""

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
            self._events.extend(_shown(event) for event in events if event.action not in EXEC_NOISE)

    def reconciled(self, engine: EngineInfo | None, containers: Sequence[Container]) -> None:
        """What there is, is not what happened."""

    def changed(self, container: Container) -> None:
        """The event says it."""

    def gone(self, container_id: str) -> None:
        """The event says it."""


def _shown(event: Event) -> Event:
    return replace(event, attributes={name: event.attributes[name] for name in _SHOWN & event.attributes.keys()})
