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
from typing import Any, Protocol, TypeVar

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

T = TypeVar("T")
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

    `directories`: by v1 controller, which every file but cgroup.* has in its name; or all in one, by "". `pread` is
    os.pread, or does the same.
    """

    def __init__(self, directories: Mapping[str, Path], pread: Pread = os.pread) -> None:
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
            return _content(descriptor, self._pread)
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
                descriptor = os.open(directory / name, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                if error.errno in _NO_MORE and not directory.is_dir():
                    raise Gone from error
                if error.errno not in _NOT_ON_THIS_KERNEL:
                    raise
        self._descriptors[name] = descriptor
        return descriptor

    def _directory(self, name: str) -> Path | None:
        controller = name.partition(".")[0]
        if controller == "cgroup" or "" in self._directories:
            return next(iter(self._directories.values()))
        return self._directories.get(controller)


class ContainerReader:
    """Reads the groups of metrics of one container as long as its first process lives.

    `failed` is told of each group that could not be read, with the reason; the other groups are not affected.
    Raise Gone, Unresolved, Malformed or OSError where the container's cgroup cannot be found.
    """

    def __init__(
        self, container: Container, hierarchy: Hierarchy, procfs: Path, groups: Iterable[str], device_name: DeviceName
    ) -> None:
        self._groups = {*groups, "spec"}
        if not has_own(container.network_mode):
            self._groups.discard("network")
        self._device_name = device_name
        try:
            self._process = os.open(procfs / str(container.pid), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in _NO_MORE:
                raise Gone from error
            raise
        try:
            cgroup = hierarchy.container(container.id, proc_cgroup(self._read_process("cgroup")))
        except BaseException:
            os.close(self._process)
            raise
        self.path = cgroup.path
        self._version: _Version = cgroup_v1 if cgroup.controllers else cgroup_v2
        unified_directory = {} if cgroup.unified is None else {"": cgroup.unified}
        self._directories = cgroup.controllers or unified_directory
        self._unified = CgroupFiles(unified_directory)
        self._files = CgroupFiles(cgroup.controllers) if cgroup.controllers else self._unified
        self._spec: Spec | None = None
        self._spec_read = -LIMITS_STAY
        self._parsed: dict[str, Parsed[Any]] = {group: Parsed() for group in self._groups}

    def read(self, failed: Failed, now: float, *, changed: bool) -> Usage:
        """Read all groups now. Raise Gone where the container is no more: then nothing that was read counts.

        Limits are read when the engine says that the container `changed`, and once a minute, for those who change them
        behind its back; `now` is in seconds.
        """
        files, version = self._files.read, self._version
        # The network comes first: that the cgroup is still there afterwards shows that it was this container's.
        network = self._group("network", failed, self._network)
        if changed or not 0 <= now - self._spec_read < LIMITS_STAY:
            self._spec, self._spec_read = self._group("spec", failed, self._limits), now
            self._parsed = {group: Parsed() for group in self._groups}  # what is parsed depends on the limits
        spec = self._spec
        limited = spec is not None and spec.cpu_quota is not None
        usage = Usage(
            spec=spec,
            cpu=self._read("cpu", failed, files, lambda read: version.cpu(read, limited=limited)),
            memory=self._read("memory", failed, files, version.memory),
            network=network,
            disk=self._read("disk", failed, files, lambda read: version.disk(read, self._device_name)),
            pressure=self._read("pressure", failed, self._unified.read, cgroup_v2.pressure),
            process=self._read("process", failed, files, version.process),
        )
        if usage.process is None and (usage.cpu is None or usage.cpu.usage is None):
            files("cgroup.procs")  # every cgroup has it: is this one still there?
        return usage

    def close(self) -> None:
        """Close all descriptors."""
        os.close(self._process)
        self._files.close()
        self._unified.close()

    def _read(self, name: str, failed: Failed, read: Read, parse: Callable[[Read], T | None]) -> T | None:
        return self._group(name, failed, lambda: self._parsed[name].now(read, parse))

    def _group(self, name: str, failed: Failed, read: Callable[[], T | None]) -> T | None:
        if name not in self._groups:
            return None
        try:
            return read()
        except (Malformed, OSError) as error:
            failed(name, error)
            return None

    def _limits(self) -> Spec:
        """The limits, whose descriptors are not kept: they are read so seldom."""
        files = CgroupFiles(self._directories)
        try:
            return self._version.spec(files.read)
        finally:
            files.close()

    def _network(self) -> tuple[Interface, ...] | None:
        try:
            parsed: Parsed[tuple[Interface, ...]] = self._parsed["network"]
            return parsed.now(self._read_process, lambda read: net_dev(read("net/dev") or b""))
        except FileNotFoundError:  # its first thread has ended, and with it the way to its namespace; others live on
            return None

    def _read_process(self, name: str) -> bytes:
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._process)
            try:
                return _content(descriptor)
            finally:
                os.close(descriptor)
        except ProcessLookupError as error:
            raise Gone from error


def _content(descriptor: int, pread: Pread = os.pread) -> bytes:
    """The whole content of a pseudo-file as it is now."""
    data = pread(descriptor, _CHUNK, 0)
    if len(data) > _SURELY_WHOLE:
        while more := pread(descriptor, _CHUNK, len(data)):
            data += more
    return data
