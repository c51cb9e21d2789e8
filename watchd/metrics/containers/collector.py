"""The samples of a scrape: containers' usage and state, the host, and containers that were just removed."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from watchd.engine.watch.mirror import Mirror
from watchd.metrics.containers.choice import Choice
from watchd.metrics.containers.event_counts import STAYS, EventCounts
from watchd.metrics.containers.identity import identities
from watchd.metrics.containers.labels import RenderedLabels
from watchd.metrics.recent.recent import Recent
from watchd.metrics.sources.source import Reading, Source
from watchd.model import Container, ContainerSize
from watchd.model.usage import Filesystem, Health, Lifecycle, Sample, State, Usage

_Known = tuple[Container, ContainerSize | None, int | None, bool]
"""What a container's state is made of: itself, its size, that of its log, and whether the engine tells OOM kills."""

MOST_GONE = 1000
"""Removed containers that are shown at most: the last ones."""


@dataclass(slots=True)
class _LastSeen:
    """A container at the last scrape that saw it running."""

    container: Container
    labels: str
    at: float  # seconds since the epoch
    is_replaced: bool = False  # another one of its identity runs, or ran since


class ContainerCollector:
    """Build the samples of a scrape; one thread reads at a time.

    `host` reads the host's sample, None where the engine is on another machine; `disk` measures the file system of
    writable layers, None where it cannot be seen, or sizes are not to be shown.
    """

    def __init__(  # noqa: PLR0913 - the parts that a scrape is made of
        self,
        mirror: Mirror,
        counts: EventCounts,
        source: Source,
        labels: RenderedLabels,
        choice: Choice,
        *,
        host: Callable[[float], Sample | None],
        disk: Callable[[], Filesystem | None],
    ) -> None:
        self._mirror = mirror
        self._counts = counts
        self._source = source
        self._labels = labels
        self._choice = choice
        self._host = host
        self._disk = disk
        self._states: dict[str, tuple[_Known, State]] = {}  # by ID
        self._last_seen: dict[str, _LastSeen] = {}  # by ID, the longest ago first
        self.oldest: float | None = None
        """Time of the oldest of the last readings, in seconds since the epoch; None: there were none."""
        self.recent = Recent()
        self._reading = threading.Lock()

    def collect(self, now: float) -> list[Sample]:
        """Return the samples at `now` (seconds since the epoch): of the host, of removed containers, of containers."""
        if not self._reading.acquire(blocking=False):
            asked = time.monotonic()
            self._reading.acquire()
            now += time.monotonic() - asked
        try:
            return self._collect(now)
        finally:
            self._reading.release()

    def update_recent(self, now: float, *, wait: float = 0.0) -> None:
        """Read for `recent` alone. If a thread is reading already, wait for its readings so many seconds instead."""
        taken_at = self.recent.taken_at
        if not self._reading.acquire(timeout=wait):
            return
        try:
            if self.recent.taken_at == taken_at:
                self._read(now)
        finally:
            self._reading.release()

    def _read(self, now: float) -> tuple[Sequence[Container], Mapping[str, Reading], Sample | None]:
        view = self._mirror.view
        containers = self._choice.of(view.containers)
        readings = self._source.read(containers, now)
        if not view.engine.container_cgroups:
            readings = {id_: _without_cgroup(reading) for id_, reading in readings.items()}
        host = self._host(now)
        self.recent.add(containers, readings, Reading(host.usage, now) if host else None)
        return containers, readings, host

    @property
    def excluded(self) -> int:
        """Containers that are not read, as the configuration says."""
        return len(self._choice.excluded)

    @property
    def _driver(self) -> str:
        return self._mirror.view.engine.cgroup_driver

    def _collect(self, now: float) -> list[Sample]:
        containers, readings, host = self._read(now)
        driver = self._driver
        known = {container.id for container in containers}
        self._labels.forget_all_but(containers)
        for container_id in self._states.keys() - known:
            del self._states[container_id]
        sizes, logs = self._mirror.view.sizes, self._mirror.view.logs.sizes
        disk = self._disk()
        running = {
            container.id: self._labels.of(container, readings[container.id].cgroup_path, driver)
            for container in containers
            if container.id in readings
        }
        self._forget(now, readings)
        self._note_replaced(containers)
        samples = [] if host is None else [host]
        samples += self._gone(known | self._choice.excluded, now)
        for container in containers:
            reading = readings.get(container.id)
            labels = running.get(container.id) or self._labels.of(container, None, driver)
            if reading is not None:
                self._last_seen.pop(container.id, None)  # so that it becomes the last
                self._last_seen[container.id] = _LastSeen(container, labels, reading.at)
            size = sizes.containers.get(container.id) if sizes else None
            samples.append(
                Sample(
                    container.id,
                    labels,
                    self._lifecycle(container, reading, now),
                    Usage() if reading is None else reading.usage,
                    self._state(container, size, logs.get(container.id), tells_oom=self._counts.tells_oom),
                    Health(container.health) if container.health else None,
                    None if reading is None else _with_size(disk, size),
                )
            )
        self.oldest = min((reading.at for reading in readings.values()), default=None)
        return samples

    def _gone(self, known: AbstractSet[str], now: float) -> list[Sample]:
        """Return the samples of containers that were removed lately."""
        return [
            Sample(
                container_id,
                last_seen.labels,
                Lifecycle(seen=_frozen(last_seen), oom_events=self._counts.oom_events(container_id, now)),
            )
            for container_id, last_seen in self._last_seen.items()
            if container_id not in known
        ]

    def _lifecycle(self, container: Container, reading: Reading | None, now: float) -> Lifecycle:
        if reading is not None:
            return Lifecycle(
                seen=reading.at,
                created=container.created_at,
                started=container.started_at,
                health=-1 if container.health is None else int(container.health == "healthy"),
                oom_events=self._counts.oom_events(container.id, now),
            )
        last_seen = self._last_seen.get(container.id)
        if last_seen is not None and now - last_seen.at <= STAYS:
            return Lifecycle(seen=_frozen(last_seen), oom_events=self._counts.oom_events(container.id, now))
        if container.finished_at is not None and now - container.finished_at <= STAYS:
            # It ended before any scrape saw it.
            return Lifecycle(oom_events=self._counts.oom_events(container.id, now, only_some=True))
        return Lifecycle()

    def _state(self, container: Container, size: ContainerSize | None, log: int | None, *, tells_oom: bool) -> State:
        """Return the state of a container as the engine has it; it is kept until that changes."""
        kept = self._states.get(container.id)
        known = container, size, log, tells_oom
        if kept is None or kept[0] != known:
            kept = self._states[container.id] = known, _made_state(container, size, log, tells_oom=tells_oom)
        return kept[1]

    def _forget(self, now: float, readings: Mapping[str, Reading]) -> None:
        """Forget containers that ended long ago, and the first of too many."""
        gone = [container_id for container_id in self._last_seen if container_id not in readings]
        for number, container_id in enumerate(gone):
            if now - self._last_seen[container_id].at > STAYS or number < len(gone) - MOST_GONE:
                del self._last_seen[container_id]

    def _note_replaced(self, containers: Sequence[Container]) -> None:
        """Note which of those that ended have been replaced by one of the same identity: that is no loss."""
        running = {container.id: container for container in containers if container.is_running}
        ended = [last for id_, last in self._last_seen.items() if id_ not in running and not last.is_replaced]
        if ended:
            current = {identity for container in running.values() for identity in identities(container)}
            for last_seen in ended:
                last_seen.is_replaced = not current.isdisjoint(identities(last_seen.container))


def _frozen(last_seen: _LastSeen) -> float | None:
    """Return when a container that has ended was last seen; None: it was replaced."""
    return None if last_seen.is_replaced else last_seen.at


def _without_cgroup(reading: Reading) -> Reading:
    """Drop the values of a cgroup that the engine did not make, unless one was seen."""
    return reading if reading.cgroup_path else replace(reading, usage=Usage(network=reading.usage.network))


def _with_size(disk: Filesystem | None, size: ContainerSize | None) -> tuple[Filesystem] | None:
    """Return the file system of a writable layer, with its size; none where one of both is not known."""
    if size is None or disk is None:
        return None
    return (Filesystem(disk.device, size.writable_layer, disk.limit, disk.inodes, disk.inodes_free),)


def _made_state(container: Container, size: ContainerSize | None, log: int | None, *, tells_oom: bool) -> State:
    return State(
        state=container.status,
        exit_code=container.exit_code,
        oom_killed=int(container.oom_killed) if container.inspected and (tells_oom or container.oom_killed) else None,
        restarts=container.restart_count if container.inspected else None,
        writable_layer=size.writable_layer if size else None,
        root_fs=size.root_fs if size else None,
        log=log,
        log_limit=container.log.limit if container.log else None,
    )
