"""Samples all running containers from their cgroups: no engine is asked, so none can be slow, down or burdened."""

import logging
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from watchd.metrics.formats import Malformed
from watchd.metrics.hierarchy import Hierarchy, Unresolved
from watchd.metrics.labels import ContainerId, ContainerLabels, render
from watchd.metrics.partitions import BlockDevices
from watchd.metrics.reader import ContainerReader, Gone
from watchd.metrics.usage import GROUPS, Sample, Times, Usage
from watchd.model import Container

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Followed:
    """A running container whose descriptors are kept."""

    container: Container
    reader: ContainerReader
    labels: str  # rendered; made again when the container was renamed


class CgroupSampler:
    """Keeps the descriptors of all running containers and reads them when asked. Safe to call from any thread.

    `procfs` shows the engine's processes; `cgroupfs` is where the host's hierarchies are, None: where this process
    has them mounted. Raise NoCgroups where there are none.
    """

    def __init__(
        self,
        *,
        procfs: Path = Path("/proc"),
        cgroupfs: Path | None = None,
        groups: Iterable[str] = GROUPS,
        container_id: ContainerId = "cgroup",
        label_globs: Iterable[str] = (),
    ) -> None:
        self.hierarchy = Hierarchy.read(procfs, cgroupfs)
        self.errors: Counter[str] = Counter()
        """How often what could not be read, by group, or "cgroup" where the container's could not be found."""
        self._procfs = procfs
        self._groups = frozenset(groups)
        self._labels = ContainerLabels(container_id, label_globs)
        self._devices = BlockDevices(procfs)
        self._followed: dict[str, _Followed] = {}
        self._warned: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._finished = 0
        self._latest: tuple[Sample, ...] = ()

    def collect(self, containers: Sequence[Container], now: float) -> tuple[Sample, ...]:
        """Sample the running ones of `containers` at `now` (seconds since the epoch) and let go of all others.

        One that ended meanwhile has no sample. Callers that come while a collection is under way share its result.
        """
        finished_before = self._finished
        with self._lock:
            if self._finished == finished_before:
                self._latest = self._collect(containers, now)
                self._finished += 1
            return self._latest

    def close(self) -> None:
        """Let go of all containers."""
        with self._lock:
            for container_id in list(self._followed):
                self._let_go(container_id)

    def _collect(self, containers: Sequence[Container], now: float) -> tuple[Sample, ...]:
        running = {container.id: container for container in containers if container.is_running}
        for container_id in self._followed.keys() - running.keys():
            self._let_go(container_id)
        self._warned = {(container_id, source) for container_id, source in self._warned if container_id in running}
        self._devices.refresh()
        samples = (self._sample(container, now) for container in running.values())
        return tuple(sample for sample in samples if sample is not None)

    def _sample(self, container: Container, now: float) -> Sample | None:
        try:
            followed, usage = self._read(container)
        except Gone:
            self._let_go(container.id)
            return None
        except (Unresolved, Malformed, OSError) as error:
            self._let_go(container.id)
            self._failed(container, "cgroup", error)
            return None
        times = Times(seen=now, created=container.created_at, started=container.started_at)
        return Sample(container.id, followed.labels, times, usage)

    def _read(self, container: Container) -> tuple[_Followed, Usage]:
        """Read a container with the descriptors that are kept of it, or with new ones after a restart."""
        followed = self._followed.get(container.id)
        if followed is not None and followed.container.pid == container.pid:
            if followed.container is not container:
                followed.container, followed.labels = container, self._rendered(container, followed.reader)
            try:
                return followed, followed.reader.read(lambda source, error: self._failed(container, source, error))
            except Gone:
                pass  # perhaps its cgroup was made anew around the same process
        self._let_go(container.id)
        reader = ContainerReader(container, self.hierarchy, self._procfs, self._groups, self._devices.name)
        followed = _Followed(container, reader, self._rendered(container, reader))
        self._followed[container.id] = followed
        return followed, reader.read(lambda source, error: self._failed(container, source, error))

    def _rendered(self, container: Container, reader: ContainerReader) -> str:
        return render(self._labels.of(container, reader.path))

    def _let_go(self, container_id: str) -> None:
        followed = self._followed.pop(container_id, None)
        if followed is not None:
            followed.reader.close()

    def _failed(self, container: Container, source: str, error: Exception) -> None:
        self.errors[source] += 1
        if (container.id, source) not in self._warned:  # once for each container, not at every scrape
            self._warned.add((container.id, source))
            _log.warning("cannot read %s of container %s: %s", source, container.name, error)
