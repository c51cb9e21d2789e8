"""Reads one running container: its cgroup's files and its network."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from watchd.kernel.ancestors import Ancestors, Directories
from watchd.kernel.cgroup_paths import Hierarchy, proc_cgroup
from watchd.kernel.files import CgroupFiles, Gone, ProcessFiles
from watchd.kernel.parse import cgroup_v1, cgroup_v2
from watchd.kernel.parse.formats import Malformed, Odd, Reader
from watchd.kernel.parse.netdev import has_own
from watchd.kernel.parsed import Parsed
from watchd.kernel.processes import Live, Processes
from watchd.metrics.groups.group import Context, Group, Parse
from watchd.model import Container
from watchd.model.usage import Around, Spec, Usage

LIMITS_STAY = 60.0  # seconds

DeviceName = Callable[[str], str]
Failed = Callable[[str, Exception], None]


@dataclass(frozen=True, slots=True)
class Shared:
    """Parts that all readers share."""

    hierarchy: Hierarchy
    procfs: Path
    groups: Sequence[Group]
    device_name: DeviceName
    ancestors: Ancestors


class ContainerReader:
    """Read the groups of metrics of one container as long as its first process lives.

    Raise Gone, Unresolved, Malformed or OSError where the container's cgroup cannot be found.
    """

    def __init__(self, container: Container, shared: Shared) -> None:
        self._groups = shared.groups
        self._of_network = {group.name for group in shared.groups if group.own_network}
        self._device_name = shared.device_name
        odd: list[str] = []
        self._process = ProcessFiles(shared.procfs / str(container.pid))
        try:
            cgroup = shared.hierarchy.container(container.id, _paths(self._process, odd.append))
        except BaseException:
            self._process.close()
            raise
        self.path = cgroup.path
        self._ancestors = shared.ancestors
        self._around = shared.hierarchy.ancestors(cgroup)
        self._limited: Sequence[Directories] = ()  # of those around, with a CPU quota
        self.network = self._process.namespace("net")
        mode = container.network_mode
        self.has_network = mode != "host" if self.network else has_own(mode)
        """True if its network namespace is shown as this container's: of several in one, only of one."""
        self._is_v1 = bool(cgroup.controllers)
        self._unified = CgroupFiles({} if cgroup.unified is None else {"": cgroup.unified})
        self._files = CgroupFiles(cgroup.controllers) if cgroup.controllers else self._unified
        self._processes = Processes(shared.procfs, self._process, container.pid, self._files)
        self._spec: Spec | None = None
        self._spec_read = -LIMITS_STAY
        self._odd_paths = [Malformed(text) for text in odd]
        self._odd_limits: Sequence[Malformed] = ()
        self._parsed: dict[str, Parsed[Any] | Live] = {}

    def read(self, failed: Failed, durations: dict[str, float], now: float, *, changed: bool) -> Usage:
        """Read all groups now. Raise Gone where the container has ended: then nothing that was read counts.

        A group that cannot be read is passed to `failed`; the others are still read. The seconds that each took are
        added to `durations`. Limits are read when the engine says that the container `changed`, and once a minute,
        because they may be changed without the engine; `now` is in seconds.
        """
        if changed or not 0 <= now - self._spec_read < LIMITS_STAY:
            self._spec, steady = self._limits(failed)
            around = self._ancestors.limits(self._around, now)
            self._limited = [
                each for each, spec in zip(self._around, around, strict=True) if spec.cpu_quota is not None
            ]
            if self._spec is not None:
                _set_effective(self._spec, [self._spec, *around])
            self._spec_read = now
            self._parsed = self._unparsed(steady)
        for odd in self._odd_limits:
            failed("spec", odd)
        usage = Usage(self._spec)
        began = perf_counter()
        for group, parsed in self._parsed.items():
            if group in self._of_network and not self.has_network:
                continue
            try:
                setattr(usage, group, parsed.now())
            except (Malformed, OSError) as error:
                failed(group, error)
            for odd in parsed.not_understood:
                failed(group, odd)
            ended = perf_counter()
            durations[group] += ended - began
            began = ended
        if self._limited and (throttled := self._ancestors.throttled(self._limited, now)) is not None:
            usage.around = Around(throttled)
        if usage.process is None and (usage.cpu is None or usage.cpu.usage is None):
            self._files.read("cgroup.procs")  # every cgroup has it: is this one still there?
        return usage

    def close(self) -> None:
        """Close all descriptors."""
        self._process.close()
        self._files.close()
        self._unified.close()

    def _limits(self, failed: Failed) -> tuple[Spec | None, Mapping[str, bytes | None]]:
        """Read the limits, and the files that do not change while these hold.

        Their descriptors are not kept: they are read so seldom.
        """
        version = cgroup_v1 if self._is_v1 else cgroup_v2
        files = self._files.anew()
        read = Reader(files.read)
        steady: dict[str, bytes | None] = {}
        try:
            spec = version.spec(read)
            for name in version.steady(spec):
                with suppress(OSError):  # its group reads it then, and tells the error
                    steady[name] = files.read(name)
        except (Malformed, OSError) as error:
            failed("spec", error)
            spec = None
        finally:
            files.close()
        self._odd_limits = [*self._odd_paths, *map(Malformed, read.not_understood)]
        return spec, steady

    def _unparsed(self, steady: Mapping[str, bytes | None]) -> dict[str, Parsed[Any] | Live]:
        """Prepare the groups in the order of reading.

        Groups from `/proc/<pid>` come first: that the cgroup is still there afterwards shows that the process was the
        container's.
        """
        has_cpu_quota = self._spec is not None and self._spec.cpu_quota is not None
        context = Context(self._device_name, has_cpu_quota=has_cpu_quota)
        parsed: dict[str, Parsed[Any] | Live] = {}
        for group in sorted(self._groups, key=lambda group: group.process is None and group.live is None):
            files, parse = self._source_of(group)
            if group.live is not None:
                parsed[group.name] = Live(group.live, self._processes)
            elif parse is not None:
                parsed[group.name] = Parsed(files, parse, context, steady)
        return parsed

    def _source_of(self, group: Group) -> tuple[CgroupFiles | ProcessFiles, Parse | None]:
        if group.process is not None:
            return self._process, group.process
        if group.unified is not None:
            return self._unified, group.unified
        return self._files, group.v1 if self._is_v1 else group.v2


def _set_effective(spec: Spec, all_limits: Sequence[Spec]) -> None:
    """Set what holds in effect: the lowest limits of the container and of the cgroups around it."""
    memory = [limits.memory_limit for limits in all_limits if limits.memory_limit]
    cpus = [limits.cpu_quota / limits.cpu_period for limits in all_limits if limits.cpu_quota and limits.cpu_period]
    spec.effective_memory_limit, spec.effective_cpus = min(memory, default=None), min(cpus, default=None)


def _paths(process: ProcessFiles, odd: Odd) -> Mapping[str, str]:
    """The cgroups that a process is in, as `proc_cgroup` has them."""
    data = process.read("cgroup")
    if data is None:
        raise Gone
    return proc_cgroup(data, odd)
