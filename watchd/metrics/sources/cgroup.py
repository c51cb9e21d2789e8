"""The source "cgroup": reads running containers from the kernel, at no cost to the engine and also while it is down."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from watchd.kernel.ancestors import Ancestors
from watchd.kernel.block_devices import BlockDevices
from watchd.kernel.cgroup_paths import Hierarchy, Unresolved
from watchd.kernel.files import Gone, Namespace, ProcessFiles
from watchd.kernel.parse.formats import Malformed
from watchd.kernel.parse.netdev import has_own
from watchd.kernel.proc_mount import hides_processes
from watchd.metrics.groups import GROUPS
from watchd.metrics.groups.group import Group
from watchd.metrics.sources.reader import ContainerReader, Shared
from watchd.metrics.sources.source import Reading
from watchd.model import Container

LINGERS = 5.0
"""Seconds without a cgroup after which a container that the engine calls running has not just ended.

Of a container that ends, the kernel says for a moment that its first process is in the root of each v1 hierarchy.
"""

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
    """Read running containers through descriptors that are kept open. `procfs` shows the engine's processes."""

    name = "cgroup"

    def __init__(self, hierarchy: Hierarchy, *, procfs: Path = Path("/proc"), groups: Sequence[Group] = GROUPS) -> None:
        self.errors: Counter[str] = Counter()
        self.durations: dict[str, float] = {}
        self._procfs = procfs
        self._groups = groups
        devices = BlockDevices(procfs, self._odd_partition)
        self._shared = Shared(hierarchy, procfs, groups, devices.name, Ancestors())
        self._followed: dict[str, _Followed] = {}
        self._followed_changed = False
        self._hosts_network = _network_of_host(procfs)
        self._not_here: dict[tuple[str, int], float] = {}  # by ID and PID: since when
        self._warned: set[tuple[str, str]] = set()
        self._warned_of_partitions = False

    def read(self, containers: Sequence[Container], now: float) -> Mapping[str, Reading]:
        """Read the running ones of `containers` at `now`, and forget all others. One that has ended has no reading."""
        running = {container.id: container for container in containers if container.is_running}
        for container_id in self._followed.keys() - running.keys():
            self._forget(container_id)
        self._warned = {(container_id, source) for container_id, source in self._warned if container_id in running}
        self.durations = {group.name: 0.0 for group in self._groups}
        readings = {}
        not_here: list[tuple[Container, str]] = []
        for container_id, container in running.items():
            try:
                readings[container_id] = self._read(container, now)
            except (Gone, Unresolved) as error:
                self._forget(container_id)
                not_here.append((container, str(error)))  # not the error: its frames keep all that was read
            except (Malformed, OSError) as error:
                self._forget(container_id)
                self._failed(container, "cgroup", error)
        self._note_not_here(not_here, now)
        if self._followed_changed:
            self._followed_changed = False
            self._share_out_networks(readings)
        return readings

    def close(self) -> None:
        """Forget all containers."""
        for container_id in list(self._followed):
            self._forget(container_id)

    def _read(self, container: Container, now: float) -> Reading:
        """Read a container with its kept descriptors, or with new ones after a restart."""
        followed = self._followed.get(container.id)
        if followed is not None and followed.container.pid == container.pid:
            changed, followed.container = followed.container is not container, container
            try:
                return self._reading(followed, now, changed=changed)
            except Gone:
                pass  # its cgroup may have been replaced around the same process
        self._forget(container.id)
        reader = ContainerReader(container, self._shared)
        followed = self._followed[container.id] = _Followed(container, reader)
        self._followed_changed = True
        return self._reading(followed, now, changed=True)

    def _reading(self, followed: _Followed, now: float, *, changed: bool) -> Reading:
        usage = followed.reader.read(
            lambda source, error: self._failed(followed.container, source, error), self.durations, now, changed=changed
        )
        return Reading(usage, now, followed.reader.path)

    def _share_out_networks(self, readings: Mapping[str, Reading]) -> None:
        """Show each network namespace with one container: the first of those that are in it. The host's is no one's.

        Containers whose namespace cannot be known go by their network mode.
        """
        hosts = {self._hosts_network}  # and the engine's own, where it has one
        hosts |= {each.reader.network for each in self._followed.values() if each.container.network_mode == "host"}
        owners: dict[Namespace, _Followed] = {}
        for followed in sorted(self._followed.values(), key=_first_in_its_network):
            network = followed.reader.network
            if network is not None:
                owners.setdefault(network, followed)
        for container_id, followed in self._followed.items():
            network = followed.reader.network
            if network is not None:
                followed.reader.has_network = network not in hosts and owners.get(network) is followed
            if not followed.reader.has_network and container_id in readings:
                for group in self._groups:
                    if group.own_network:
                        setattr(readings[container_id].usage, group.name, None)

    def _note_not_here(self, containers: Iterable[tuple[Container, str]], now: float) -> None:
        """Tell containers that have just ended from those that run where they cannot be seen from here."""
        before = self._not_here
        self._not_here = {(one.id, one.pid): before.get((one.id, one.pid), now) for one, _ in containers}
        for one, why in containers:
            if now - self._not_here[one.id, one.pid] >= LINGERS:
                self._failed(one, "cgroup", _NotHere(why or self._why_hidden(one)))

    def _why_hidden(self, container: Container) -> str:
        where = f"process {container.pid} or its cgroup is not to be seen in {self._procfs}"
        hidden = hides_processes(self._procfs)
        hint = f"it is mounted with {hidden}, which hides other users' processes" if hidden else _HINT
        return f"the engine says that it runs, but {where}: {hint}"

    def _forget(self, container_id: str) -> None:
        followed = self._followed.pop(container_id, None)
        if followed is not None:
            followed.reader.close()
            self._followed_changed = True

    def _odd_partition(self, text: str) -> None:
        self.errors["disk"] += 1
        if not self._warned_of_partitions:
            self._warned_of_partitions = True
            _log.warning("cannot read the names of all disks: %s", text)

    def _failed(self, container: Container, source: str, error: Exception) -> None:
        self.errors[source] += 1
        if (container.id, source) not in self._warned:  # once for each container, not at every scrape
            self._warned.add((container.id, source))
            _log.warning("cannot read %s of container %s: %s", source, container.name, error)


def _first_in_its_network(followed: _Followed) -> tuple[bool, float, str]:
    """Sort key of the containers in one network namespace: the one that it was made for, then by start."""
    container = followed.container
    return not has_own(container.network_mode), container.started_at or 0.0, container.id


def _network_of_host(procfs: Path) -> Namespace | None:
    """Return the host's network namespace; None where this process may not know it."""
    try:
        first = ProcessFiles(procfs / "1")
    except (Gone, OSError):
        return None
    try:
        return first.namespace("net")
    finally:
        first.close()
