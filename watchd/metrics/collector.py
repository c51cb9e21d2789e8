"""What a scrape shows of containers: what they use, what the engine says of them, and those that are just gone."""

import threading
import time
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from watchd.metrics.filesystems import Filesystems
from watchd.metrics.host import Host
from watchd.metrics.inventory import STAYS, Inventory
from watchd.metrics.labels import RenderedLabels
from watchd.metrics.objects import Objects
from watchd.metrics.recent import Recent
from watchd.metrics.source import Reading, Source
from watchd.metrics.usage import Filesystem, Health, Lifecycle, Sample, State, Usage
from watchd.model import Container, ContainerSize

MOST_GONE = 1000
"""How many containers that are gone are shown at the most: the last ones."""


@dataclass(slots=True)
class _Served:
    """A container as it was last shown running."""

    labels: str
    seen: float  # seconds since the epoch


class Collector:
    """Puts samples together. Whoever has it read keeps others from that meanwhile.

    `host` is None where the engine is on another one; `filesystems` are None where they are not to be shown.
    """

    def __init__(  # noqa: PLR0913 - the parts that a scrape is made of
        self,
        inventory: Inventory,
        source: Source,
        labels: RenderedLabels,
        objects: Objects,
        *,
        host: Host | None,
        filesystems: Filesystems | None,
    ) -> None:
        self._inventory = inventory
        self._source = source
        self._labels = labels
        self._objects = objects
        self._host = host
        self._filesystems = filesystems
        self._states: dict[str, tuple[Container, ContainerSize | None, bool, State]] = {}  # by ID, with what each is of
        self._served: dict[str, _Served] = {}  # by ID, the one that was served longest ago first
        self.oldest: float | None = None
        """When the oldest of the last readings was taken, in seconds since the epoch; None: there were none."""
        self.recent = Recent()
        self._one_at_a_time = threading.Lock()

    def collect(self, now: float) -> list[Sample]:
        """The samples at `now` (seconds since the epoch): the host's, the containers', and of those that are gone."""
        if not self._one_at_a_time.acquire(blocking=False):
            asked = time.monotonic()
            self._one_at_a_time.acquire()
            now += time.monotonic() - asked
        try:
            return self._collect(now)
        finally:
            self._one_at_a_time.release()

    def look(self, now: float) -> None:
        """Read for `recent` alone, unless someone is reading already."""
        if self._one_at_a_time.acquire(blocking=False):
            try:
                self._read(now)
            finally:
                self._one_at_a_time.release()

    def _read(self, now: float) -> tuple[Sequence[Container], Mapping[str, Reading], Sample | None]:
        containers = self._inventory.current()
        readings = self._source.read(containers, now)
        if not self._inventory.container_cgroups:
            readings = {id_: _without_cgroup(reading) for id_, reading in readings.items()}
        host = self._host.sample(now) if self._host else None
        self.recent.take(containers, readings, Reading(host.usage, now) if host else None)
        return containers, readings, host

    @property
    def _driver(self) -> str:
        engine = self._inventory.engine
        return engine.cgroup_driver if engine else ""

    def _collect(self, now: float) -> list[Sample]:
        containers, readings, host = self._read(now)
        driver = self._driver
        known = {container.id for container in containers}
        self._labels.forget_all_but(known)
        for container_id in self._states.keys() - known:
            del self._states[container_id]
        oom_events = self._inventory.oom_events()
        sizes = self._objects.sizes
        disk = self._disk()
        running = {
            container.id: self._labels.of(container, readings[container.id].cgroup_path, driver)
            for container in containers
            if container.id in readings
        }
        self._forget(now, readings)
        samples = [] if host is None else [host]
        samples += self._gone(known, oom_events)
        for container in containers:
            reading = readings.get(container.id)
            labels = running.get(container.id) or self._labels.of(container, None, driver)
            if reading is not None:
                self._served.pop(container.id, None)  # so that it becomes the last
                self._served[container.id] = _Served(labels, reading.at)
            size = sizes.containers.get(container.id) if sizes else None
            samples.append(
                Sample(
                    container.id,
                    labels,
                    self._lifecycle(container, reading, oom_events, now),
                    Usage() if reading is None else _with_size(reading.usage, disk, size),
                    self._state(container, size, tells_oom=oom_events is not None),
                    Health(container.health) if container.health else None,
                )
            )
        self.oldest = min((reading.at for reading in readings.values()), default=None)
        return samples

    def _gone(self, known: AbstractSet[str], oom_events: Mapping[str, int] | None) -> list[Sample]:
        """The samples of containers that were removed of late."""
        return [
            Sample(
                container_id, served.labels, Lifecycle(seen=served.seen, oom_events=_count(oom_events, container_id))
            )
            for container_id, served in self._served.items()
            if container_id not in known
        ]

    def _lifecycle(
        self, container: Container, reading: Reading | None, oom_events: Mapping[str, int] | None, now: float
    ) -> Lifecycle:
        killed = _count(oom_events, container.id)
        if reading is not None:
            return Lifecycle(
                seen=reading.at,
                created=container.created_at,
                started=container.started_at,
                health=-1 if container.health is None else int(container.health == "healthy"),
                oom_events=killed,
            )
        served = self._served.get(container.id)
        if served is not None and now - served.seen <= STAYS:
            return Lifecycle(seen=served.seen, oom_events=killed)
        if container.finished_at is not None and now - container.finished_at <= STAYS:
            return Lifecycle(oom_events=killed or None)  # it ended before any scrape saw it
        return Lifecycle()

    def _state(self, container: Container, size: ContainerSize | None, *, tells_oom: bool) -> State:
        """What the engine says of a container, made when it says something else."""
        kept = self._states.get(container.id)
        if kept is None or kept[0] is not container or kept[1] is not size or kept[2] is not tells_oom:
            kept = container, size, tells_oom, _made_state(container, size, tells_oom=tells_oom)
            self._states[container.id] = kept
        return kept[3]

    def _forget(self, now: float, readings: Mapping[str, Reading]) -> None:
        """Forget who ended long ago, and the first of too many."""
        gone = [container_id for container_id in self._served if container_id not in readings]
        for number, container_id in enumerate(gone):
            if now - self._served[container_id].seen > STAYS or number < len(gone) - MOST_GONE:
                del self._served[container_id]

    def _disk(self) -> Filesystem | None:
        """The file system that the engine's data is on; None where it cannot be told."""
        engine = self._inventory.engine
        if self._filesystems is None or engine is None or not engine.root_dir:
            return None
        return self._filesystems.of(engine.root_dir)


def _count(oom_events: Mapping[str, int] | None, container_id: str) -> int | None:
    """How many processes of a container were killed for want of memory; None where the engine does not tell."""
    return None if oom_events is None else oom_events.get(container_id, 0)


def _without_cgroup(reading: Reading) -> Reading:
    """Leave of what the engine tells of a container what does not come from its cgroup, unless one was seen."""
    return reading if reading.cgroup_path else replace(reading, usage=Usage(network=reading.usage.network))


def _with_size(usage: Usage, disk: Filesystem | None, size: ContainerSize | None) -> Usage:
    """Add what the container takes of the disk; where the disk is not known there is no limit either."""
    if size is None or disk is None:
        return usage
    return replace(usage, filesystem=(replace(disk, usage=size.writable_layer),))


def _made_state(container: Container, size: ContainerSize | None, *, tells_oom: bool) -> State:
    return State(
        state=container.status,
        exit_code=container.exit_code,
        oom_killed=int(container.oom_killed) if container.inspected and (tells_oom or container.oom_killed) else None,
        restarts=container.restart_count if container.inspected else None,
        writable_layer=size.writable_layer if size else None,
        root_fs=size.root_fs if size else None,
    )
