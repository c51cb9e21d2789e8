"""Processes killed for want of memory, by container, so that a query sees the first of them rise."""

from collections.abc import Container as Collection
from collections.abc import Sequence
from dataclasses import dataclass

from watchd.model import Event

EARLY = 60.0
"""Seconds from its start in which a container's kills count as early; as long its series stays without them.

`increase()` needs a value from before: a series that begins at 4 has no increase. Never done with values of the kernel.
"""


@dataclass(slots=True)
class _Killed:
    started: float | None = None  # seconds since the epoch; None: watchd did not see it
    served: float | None = None  # when its series was first served, the same
    early: int = 0
    all: int = 0
    last: float = 0.0  # when the last was counted, monotonic


class OomCounts:
    """Counts of the kills that events tell."""

    def __init__(self) -> None:
        self._killed: dict[str, _Killed] = {}

    def count(self, events: Sequence[Event], now: float) -> None:
        """Count the kills among events; `now` is monotonic."""
        for event in events:
            if event.type != "container":
                continue
            if event.action == "start":
                killed = self._killed.setdefault(event.id, _Killed())
                if killed.started is None:
                    killed.started = event.time
            elif event.action == "oom":
                killed = self._killed.setdefault(event.id, _Killed())
                killed.all += 1
                killed.early += killed.started is not None and event.time - killed.started <= EARLY
                killed.last = now

    def forget(self, known: Collection[str], stays: float, now: float) -> None:
        """Forget containers that are not known any more, those with kills after so many seconds."""
        for container_id, killed in list(self._killed.items()):
            if container_id not in known and (not killed.all or now - killed.last > stays):
                del self._killed[container_id]

    def serve(self, container_id: str, now: float) -> int:
        """Return how many to show of a container at `now` (seconds since the epoch)."""
        killed = self._killed.get(container_id)
        if killed is None:
            return 0
        if killed.served is None:
            killed.served = now
        return killed.all - (killed.early if now - killed.served < EARLY else 0)

    def has_any(self, container_id: str) -> bool:
        """Return whether any of its processes was killed."""
        return container_id in self._killed and self._killed[container_id].all > 0
