"""Growth of what containers have on the disk, by the sizes measured in the last hour."""

from collections import deque
from collections.abc import Mapping

_APART = 600.0  # seconds between two looks that are kept, and at least between two that tell a growth
_SPAN = 3600.0  # seconds that a growth is told over


class Growth:
    """Keep sizes in bytes by container ID for an hour. Times are monotonic. `take` is called by one thread."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, Mapping[str, int]]] = deque()

    def take(self, sizes: Mapping[str, int], now: float) -> None:
        """Keep the sizes of this moment, unless there are none, or others were kept a moment ago."""
        if not sizes or (self._looks and now - self._looks[-1][0] < _APART):
            return
        while self._looks and now - self._looks[0][0] > _SPAN:
            self._looks.popleft()
        self._looks.append((now, sizes))

    def per_hour(self, container_id: str) -> float | None:
        """Return the bytes an hour by which something of a container grows; None: not known yet."""
        known = [(at, sizes[container_id]) for at, sizes in tuple(self._looks) if container_id in sizes]
        if len(known) < 2:
            return None
        (first, before), (last, after) = known[0], known[-1]
        return (after - before) / (last - first) * 3600
