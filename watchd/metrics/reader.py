"""Reads one running container: its cgroup's files and its network, and parses what they say."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from watchd.metrics import cgroup_v1, cgroup_v2
from watchd.metrics.formats import Malformed, Read
from watchd.metrics.hierarchy import Hierarchy, proc_cgroup
from watchd.metrics.kernel_files import CgroupFiles, Gone, ProcessFiles
from watchd.metrics.netdev import has_own, net_dev
from watchd.metrics.parsed import Parsed
from watchd.metrics.usage import Cpu, Device, Interface, Memory, Process, Spec, Usage
from watchd.model import Container

LIMITS_STAY = 60.0  # seconds

DeviceName = Callable[[str], str]
Failed = Callable[[str, Exception], None]


class _Version(Protocol):
    """What the two cgroup versions' modules have in common."""

    def spec(self, read: Read) -> Spec: ...
    def steady(self, spec: Spec) -> Sequence[str]: ...
    def cpu(self, read: Read, *, limited: bool) -> Cpu: ...
    def memory(self, read: Read) -> Memory: ...
    def disk(self, read: Read, device_name: DeviceName) -> tuple[Device, ...]: ...
    def process(self, read: Read) -> Process: ...


class ContainerReader:
    """Reads the groups of metrics of one container as long as its first process lives.

    `failed` is told of each group that could not be read, with the reason; the other groups are not affected.
    Raise Gone, Unresolved, Malformed or OSError where the container's cgroup cannot be found.
    """

    def __init__(
        self, container: Container, hierarchy: Hierarchy, procfs: Path, groups: Iterable[str], device_name: DeviceName
    ) -> None:
        self._groups = frozenset(groups)
        if not has_own(container.network_mode):
            self._groups -= {"network"}
        self._device_name = device_name
        self._process = ProcessFiles(procfs / str(container.pid))
        try:
            cgroup = hierarchy.container(container.id, _paths(self._process))
        except BaseException:
            self._process.close()
            raise
        self.path = cgroup.path
        self._version: _Version = cgroup_v1 if cgroup.controllers else cgroup_v2
        self._unified = CgroupFiles({} if cgroup.unified is None else {"": cgroup.unified})
        self._files = CgroupFiles(cgroup.controllers) if cgroup.controllers else self._unified
        self._spec: Spec | None = None
        self._spec_read = -LIMITS_STAY
        self._parsed: dict[str, Parsed[Any]] = {}

    def read(self, failed: Failed, now: float, *, changed: bool) -> Usage:
        """Read all groups now. Raise Gone where the container is no more: then nothing that was read counts.

        Limits are read when the engine says that the container `changed`, and once a minute, because somebody may
        change them behind its back; `now` is in seconds.
        """
        if changed or not 0 <= now - self._spec_read < LIMITS_STAY:
            self._spec, steady = self._limits(failed)
            self._spec_read = now
            self._parsed = self._unparsed(steady)
        usage = Usage(self._spec)
        for group, parsed in self._parsed.items():
            try:
                setattr(usage, group, parsed.now())
            except (Malformed, OSError) as error:
                failed(group, error)
        if usage.process is None and (usage.cpu is None or usage.cpu.usage is None):
            self._files.read("cgroup.procs")  # every cgroup has it: is this one still there?
        return usage

    def close(self) -> None:
        """Close all descriptors."""
        self._process.close()
        self._files.close()
        self._unified.close()

    def _limits(self, failed: Failed) -> tuple[Spec | None, Mapping[str, bytes | None]]:
        """The limits, and what the files say that stay as they are as long as these do.

        Their descriptors are not kept: they are read so seldom.
        """
        files = self._files.anew()
        steady: dict[str, bytes | None] = {}
        try:
            spec = self._version.spec(files.read)
            for name in self._version.steady(spec):
                with suppress(OSError):  # of its own group, which reads it itself then
                    steady[name] = files.read(name)
        except (Malformed, OSError) as error:
            failed("spec", error)
            return None, {}
        finally:
            files.close()
        return spec, steady

    def _unparsed(self, steady: Mapping[str, bytes | None]) -> dict[str, Parsed[Any]]:
        """What reads and parses each group, in the order of reading; parsing depends on the limits.

        The network comes first: that the cgroup is still there afterwards shows that it was this container's.
        """
        files, version, device_name = self._files, self._version, self._device_name
        limited = self._spec is not None and self._spec.cpu_quota is not None
        parsed: dict[str, Parsed[Any]] = {
            "network": Parsed(self._process, _network),
            "cpu": Parsed(files, lambda read: version.cpu(read, limited=limited)),
            "memory": Parsed(files, version.memory, steady),
            "disk": Parsed(files, lambda read: version.disk(read, device_name)),
            "pressure": Parsed(self._unified, cgroup_v2.pressure),
            "process": Parsed(files, version.process),
        }
        return {group: each for group, each in parsed.items() if group in self._groups}


def _paths(process: ProcessFiles) -> Mapping[str, str]:
    """The cgroups that a process is in, as `proc_cgroup` has them."""
    data = process.read("cgroup")
    if data is None:
        raise Gone
    return proc_cgroup(data)


def _network(read: Read) -> tuple[Interface, ...] | None:
    """The interfaces; None where the way to the container's namespace has ended with its first thread."""
    data = read("net/dev")
    return None if data is None else net_dev(data)
