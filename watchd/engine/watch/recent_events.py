"""The last events of the engine, for the page."""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from watchd.engine.decode.quirks import EXEC_NOISE
from watchd.model import EngineView, Event

MOST = 200
_SHOWN = frozenset(("name", "exitCode", "containerExitCode", "container"))  # of the attributes, which are labels, too
CONTAINER_NAME = "containerName"
"""Attribute that is added to the events of networks and volumes: the name of the container that they are about."""

HEALTH = "watchdHealth"
"""Attribute that is added to the events of a container's health: what it is since then."""


class LastEvents:
    """The last `MOST` events, without commands in containers, which health probes are: one of the watch's listeners."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: deque[Event] = deque(maxlen=MOST)

    def current(self) -> list[Event]:
        """Return the events, the last one first."""
        with self._lock:
            return list(self._events)[::-1]

    def on_events(self, events: Sequence[Event], before: EngineView, after: EngineView, *, listed: bool) -> None:  # noqa: ARG002 - Listener's
        """Keep these."""
        shown = [_shown(event, before, after) for event in events if event.action not in EXEC_NOISE]
        with self._lock:
            self._events.extend(shown)


def _shown(event: Event, before: EngineView, after: EngineView) -> Event:
    attributes = {name: event.attributes[name] for name in _SHOWN & event.attributes.keys()}
    about = attributes.get("container", "")
    container = after.container_by_id.get(about) or before.container_by_id.get(about)
    if container is not None:
        attributes[CONTAINER_NAME] = container.name
    changed = after.container_by_id.get(event.id) if event.action == "health_status" else None
    if changed is not None and changed.health:
        attributes[HEALTH] = changed.health
    return replace(event, attributes=attributes)
