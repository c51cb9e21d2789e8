"""Reads one running container: its cgroup files through kept descriptors, its network through `/proc/<pid>`.

A pread of a kept descriptor costs a fifth of open, read and close, and always gives fresh values. A cgroup that was
removed answers ENODEV. A kept descriptor of `/proc/<pid>` stands for the process and not for its number: when the
process has ended it leads nowhere, whoever has the number then. (`net/dev` itself is opened each time: kept, it would
go on answering after death and would keep the network namespace alive.)
"""

import errno
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from watchd.metrics import cgroup_v1, cgroup_v2
from watchd.metrics.formats import Malformed, Read
from watchd.metrics.hierarchy import Hierarchy, proc_cgroup
from watchd.metrics.netdev import has_own, net_dev
from watchd.metrics.parsed import Parsed
from watchd.metrics.usage import Cpu, Device, Interface, Memory, Process, Spec, Usage
from watchd.model import Container

LIMITS_STAY = 60.0  # seconds

_CHUNK = 32 * 1024
_SURELY_WHOLE = 3 * 1024  # the kernel ends a read before the end of a file only at a page, and records are shorter
_ABSENT = -1
_NOT_ON_THIS_KERNEL = frozenset({errno.ENOENT, errno.EOPNOTSUPP})
_NO_MORE = frozenset({errno.ENOENT, errno.ENODEV, errno.ESRCH, errno.ESTALE})

DeviceName = Callable[[str], str]
Pread = Callable[[int, int, int], bytes]
Failed = Callable[[str, Exception], None]


class Gone(Exception):
    """The container's process or cgroup is no more."""


class _Version(Protocol):
    """What the two cgroup versions' modules have in common."""

    def spec(self, read: Read) -> Spec: ...
    def cpu(self, read: Read, *, limited: bool) -> Cpu: ...
    def memory(self, read: Read) -> Memory: ...
    def disk(self, read: Read, device_name: DeviceName) -> tuple[Device, ...]: ...
    def process(self, read: Read) -> Process: ...


class CgroupFiles:
    """The files of one container's cgroup; each is opened when it is first asked for and then kept.

    `directories`: by v1 controller, which every file but cgroup.* has in its name; or all in one, by "". They are text,
    since paths take five times as much memory. `pread` is os.pread, or does the same.
    """

    def __init__(self, directories: Mapping[str, str], pread: Pread = os.pread) -> None:
        self._directories = directories
        self._pread = pread
        self._descriptors: dict[str, int] = {}

    def read(self, name: str) -> bytes | None:
        """The whole content of a file, None where this kernel has none. Raise Gone or OSError."""
        descriptor = self._descriptors.get(name)
        if descriptor is None:
            descriptor = self._open(name)
        if descriptor == _ABSENT:
            return None
        try:
            data = self._pread(descriptor, _CHUNK, 0)
            return data if len(data) <= _SURELY_WHOLE else data + _rest(descriptor, len(data), self._pread)
        except OSError as error:
            if error.errno in _NO_MORE:
                raise Gone from error
            if error.errno not in _NOT_ON_THIS_KERNEL:
                raise
            os.close(descriptor)
            self._descriptors[name] = _ABSENT
            return None

    def close(self) -> None:
        """Close all descriptors."""
        for descriptor in self._descriptors.values():
            if descriptor != _ABSENT:
                os.close(descriptor)
        self._descriptors.clear()

    def _open(self, name: str) -> int:
        directory = self._directory(name)
        descriptor = _ABSENT
        if directory is not None:
            try:
                descriptor = os.open(f"{directory}/{name}", os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                if error.errno in _NO_MORE and not Path(directory).is_dir():
                    raise Gone from error
                if error.errno not in _NOT_ON_THIS_KERNEL:
                    raise
        self._descriptors[name] = descriptor
        return descriptor

    def _directory(self, name: str) -> str | None:
        controller = name.partition(".")[0]
        if controller == "cgroup" or "" in self._directories:
            return next(iter(self._directories.values()))
        return self._directories.get(controller)


class ProcessFiles:
    """The files of one process in `/proc`: of that very one, whoever has its number later. Raise Gone or OSError."""

    def __init__(self, directory: Path) -> None:
        try:
            self._directory = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in _NO_MORE:
                raise Gone from error
            raise

    def read(self, name: str) -> bytes | None:
        """The whole content of a file, None where it is not there: of net/, once the first thread has ended."""
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._directory)
            try:
                data = os.pread(descriptor, _CHUNK, 0)
                return data if len(data) <= _SURELY_WHOLE else data + _rest(descriptor, len(data), os.pread)
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            return None
        except ProcessLookupError as error:
            raise Gone from error

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._directory)


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
        unified_directory = {} if cgroup.unified is None else {"": str(cgroup.unified)}
        self._directories = {name: str(path) for name, path in cgroup.controllers.items()} or unified_directory
        self._unified = CgroupFiles(unified_directory)
        self._files = CgroupFiles(self._directories) if cgroup.controllers else self._unified
        self._spec: Spec | None = None
        self._spec_read = -LIMITS_STAY
        self._parsed: dict[str, Parsed[Any]] = {}

    def read(self, failed: Failed, now: float, *, changed: bool) -> Usage:
        """Read all groups now. Raise Gone where the container is no more: then nothing that was read counts.

        Limits are read when the engine says that the container `changed`, and once a minute, for those who change them
        behind its back; `now` is in seconds.
        """
        if changed or not 0 <= now - self._spec_read < LIMITS_STAY:
            self._spec, self._spec_read = self._limits(failed), now
            self._parsed = self._unparsed()
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

    def _limits(self, failed: Failed) -> Spec | None:
        """The limits, whose descriptors are not kept: they are read so seldom."""
        files = CgroupFiles(self._directories)
        try:
            return self._version.spec(files.read)
        except (Malformed, OSError) as error:
            failed("spec", error)
            return None
        finally:
            files.close()

    def _unparsed(self) -> dict[str, Parsed[Any]]:
        """What reads and parses each group, in the order of reading; parsing depends on the limits.

        The network comes first: that the cgroup is still there afterwards shows that it was this container's.
        """
        files, version, device_name = self._files.read, self._version, self._device_name
        limited = self._spec is not None and self._spec.cpu_quota is not None
        parsed: dict[str, Parsed[Any]] = {
            "network": Parsed(self._process.read, _network),
            "cpu": Parsed(files, lambda read: version.cpu(read, limited=limited)),
            "memory": Parsed(files, version.memory),
            "disk": Parsed(files, lambda read: version.disk(read, device_name)),
            "pressure": Parsed(self._unified.read, cgroup_v2.pressure),
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


def _rest(descriptor: int, offset: int, pread: Pread) -> bytes:
    """What a pseudo-file has after so many bytes."""
    data = b""
    while more := pread(descriptor, _CHUNK, offset + len(data)):
        data += more
    return data
