"""Which containers there are and what happened to them, as the watch on the engine tells it."""

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence

from watchd.model import Container, EngineInfo, Event

STAYS = 600.0  # seconds that what is told of a container stays after its end, so that alerts on that can fire


class Inventory:
    """All containers in any state. Written by the watch (it is one of its listeners), read by scrapes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engine: EngineInfo | None = None
        self._container_cgroups = self._tells_oom = True
        self._listed = False
        self._containers: dict[str, Container] = {}
        self._events: Counter[tuple[str, str]] = Counter()
        self._oom_events: dict[str, tuple[int, float]] = {}  # by container ID: how many, and (monotonic) of the last
        self._drift: Counter[str] = Counter({"missing": 0, "stale": 0, "changed": 0})

    def current(self) -> tuple[Container, ...]:
        """Return the containers as they are now."""
        with self._lock:
            return tuple(self._containers.values())

    @property
    def engine(self) -> EngineInfo | None:
        """The engine, as it was when its containers were last listed; None before, and where it does not tell."""
        return self._engine

    @property
    def container_cgroups(self) -> bool:
        """Whether containers have cgroups of their own, as far as is known."""
        return self._container_cgroups

    @property
    def tells_oom(self) -> bool:
        """Whether the engine tells of processes that were killed for want of memory, as far as is known."""
        return self._tells_oom

    def events(self) -> dict[tuple[str, str], int]:
        """Return how many events of each type and action have come."""
        with self._lock:
            return dict(self._events)

    def oom_events(self) -> Mapping[str, int] | None:
        """Return how many processes were killed for want of memory, by container ID: those that had any, of late.

        None where the engine has no events of that.
        """
        with self._lock:
            if not self._tells_oom:
                return None
            return {container_id: count for container_id, (count, _) in self._oom_events.items()}

    def drift(self) -> Mapping[str, int]:
        """Return how many containers a full list showed to be missing here, gone there, or not as events had told."""
        with self._lock:
            return dict(self._drift)

    def reconciled(self, engine: EngineInfo | None, containers: Sequence[Container]) -> None:
        """Take these for all there are."""
        listed = {container.id: container for container in containers}
        with self._lock:
            if self._listed:
                known = self._containers
                self._drift["missing"] += len(listed.keys() - known.keys())
                self._drift["stale"] += len(known.keys() - listed.keys())
                self._drift["changed"] += sum(listed[id_] != known[id_] for id_ in listed.keys() & known.keys())
            self._engine = engine
            if engine is not None:  # one that does not tell just now is what it was
                self._container_cgroups = engine.container_cgroups
                self._tells_oom = engine.tells_oom
            self._containers = listed
            self._listed = True

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
        now = time.monotonic()
        with self._lock:
            self._events.update((event.type, event.action) for event in events)
            for event in events:
                if event.type == "container" and event.action == "oom":
                    count, _ = self._oom_events.get(event.id, (0, 0.0))
                    self._oom_events[event.id] = count + 1, now
            for container_id, (_, last) in list(self._oom_events.items()):
                if container_id not in self._containers and now - last > STAYS:
                    del self._oom_events[container_id]
