"""Which containers there are, as the watch on the engine tells it."""

import threading
from collections import Counter
from collections.abc import Sequence

from watchd.model import Container, Event


class Inventory:
    """All containers in any state. Written by the watch (it is one of its listeners), read by scrapes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._containers: dict[str, Container] = {}
        self._events: Counter[tuple[str, str]] = Counter()

    def current(self) -> tuple[Container, ...]:
        """Return the containers as they are now."""
        with self._lock:
            return tuple(self._containers.values())

    def events(self) -> dict[tuple[str, str], int]:
        """Return how many events of each type and action have come."""
        with self._lock:
            return dict(self._events)

    def reconciled(self, containers: Sequence[Container]) -> None:
        """Take these for all there are."""
        with self._lock:
            self._containers = {container.id: container for container in containers}

    def changed(self, container: Container) -> None:
        """Take in a container that is new or not as it was."""
        with self._lock:
            self._containers[container.id] = container

    def gone(self, container_id: str) -> None:
        """Forget a container."""
        with self._lock:
            self._containers.pop(container_id, None)

    def happened(self, events: Sequence[Event]) -> None:
        """Count events."""
        with self._lock:
            self._events.update((event.type, event.action) for event in events)
