"""Reads all running containers from their cgroups: no engine is asked, so none can be slow, down or burdened."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from watchd.metrics.formats import Malformed
from watchd.metrics.hierarchy import Hierarchy, Unresolved
from watchd.metrics.kernel_files import Gone
from watchd.metrics.partitions import BlockDevices
from watchd.metrics.reader import ContainerReader
from watchd.metrics.source import Reading
from watchd.metrics.usage import GROUPS
from watchd.model import Container

LINGERS = 5.0
"""Seconds after which a container that the engine says runs, and whose cgroup is not there, has not just ended."""

_log = logging.getLogger(__name__)


_HINT = (
    "it ended and the engine did not tell; or watchd has to run among the host's processes (docker run --pid host), or"
    " with metrics.source = api"
)


class _NotHere(Exception):
    """A container runs where it cannot be seen from here."""


@dataclass(slots=True)
class _Followed:
    """A running container whose descriptors are kept."""

    container: Container
    reader: ContainerReader


class CgroupSource:
    """Keeps the descriptors of all running containers and reads them when asked.

    `procfs` shows the engine's processes.
    """

    name = "cgroup"

    def __init__(self, hierarchy: Hierarchy, *, procfs: Path = Path("/proc"), groups: Iterable[str] = GROUPS) -> None:
        self.errors: Counter[str] = Counter()
        self._hierarchy = hierarchy
        self._procfs = procfs
        self._groups = frozenset(groups)
        self._devices = BlockDevices(procfs)
        self._followed: dict[str, _Followed] = {}
        self._gone: dict[tuple[str, int], float] = {}  # by ID and PID: since when, of those the engine says run
        self._warned: set[tuple[str, str]] = set()

    def read(self, containers: Sequence[Container], now: float) -> Mapping[str, Reading]:
        """Read the running ones of `containers` at `now`, and let go of all others. One that ended has no reading."""
        running = {container.id: container for container in containers if container.is_running}
        for container_id in self._followed.keys() - running.keys():
            self._let_go(container_id)
        self._warned = {(container_id, source) for container_id, source in self._warned if container_id in running}
        readings = {}
        gone = []
        for container_id, container in running.items():
            try:
                readings[container_id] = self._read(container, now)
            except Gone:
                self._let_go(container_id)
                gone.append(container)
            except (Unresolved, Malformed, OSError) as error:
                self._let_go(container_id)
                self._failed(container, "cgroup", error)
        self._remember(gone, now)
        return readings

    def close(self) -> None:
        """Let go of all containers."""
        for container_id in list(self._followed):
            self._let_go(container_id)

    def _read(self, container: Container, now: float) -> Reading:
        """Read a container with the descriptors that are kept of it, or with new ones after a restart."""
        followed = self._followed.get(container.id)
        if followed is not None and followed.container.pid == container.pid:
            changed, followed.container = followed.container is not container, container
            try:
                return self._reading(followed, now, changed=changed)
            except Gone:
                pass  # perhaps its cgroup was made anew around the same process
        self._let_go(container.id)
        reader = ContainerReader(container, self._hierarchy, self._procfs, self._groups, self._devices.name)
        followed = self._followed[container.id] = _Followed(container, reader)
        return self._reading(followed, now, changed=True)

    def _reading(self, followed: _Followed, now: float, *, changed: bool) -> Reading:
        usage = followed.reader.read(
            lambda source, error: self._failed(followed.container, source, error), now, changed=changed
        )
        return Reading(usage, now, followed.reader.path)

    def _remember(self, gone: Iterable[Container], now: float) -> None:
        """See who has just ended, and who runs where it cannot be seen from here."""
        self._gone = {(one.id, one.pid): self._gone.get((one.id, one.pid), now) for one in gone}
        for one in gone:
            if now - self._gone[one.id, one.pid] >= LINGERS:
                where = f"process {one.pid} or its cgroup is not to be seen in {self._procfs}"
                self._failed(one, "cgroup", _NotHere(f"the engine says that it runs, but {where}: {_HINT}"))

    def _let_go(self, container_id: str) -> None:
        followed = self._followed.pop(container_id, None)
        if followed is not None:
            followed.reader.close()

    def _failed(self, container: Container, source: str, error: Exception) -> None:
        self.errors[source] += 1
        if (container.id, source) not in self._warned:  # once for each container, not at every scrape
            self._warned.add((container.id, source))
            _log.warning("cannot read %s of container %s: %s", source, container.name, error)
