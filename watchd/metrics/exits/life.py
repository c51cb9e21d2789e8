"""One life of a container, from the files of its cgroup. `last_reading` decides when they are read."""

import ctypes
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from watchd.kernel.files import CgroupFiles, Gone
from watchd.kernel.parse import cgroup_v1, cgroup_v2
from watchd.kernel.parse.formats import Malformed, Reader, flat_keyed, single_value

_IN_V1 = ("cpuacct", "memory")  # the controllers whose files are read
_LONGEST_EVENTS = 4096  # bytes; it has two short lines

_LIBC = ctypes.PyDLL(None, use_errno=True)
_LIBC.pread.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_long)
_LIBC.pread.restype = ctypes.c_ssize_t


@dataclass(frozen=True, slots=True)
class LastReading:
    """Use of one life of a container, read from its cgroup when that had become empty."""

    container_id: str  # 64 hex digits
    at: float  # when it was read, in seconds since the epoch
    cpu: float | None  # seconds over the cgroup's whole life; None: not on this kernel
    memory_peak: int | None  # bytes; None: not on this kernel, as v2 before Linux 5.19


class Life:
    """A container's cgroup from its creation to its removal.

    The inode of a cgroup's directory is never used again, so it tells lives of one name apart. Raise OSError where the
    cgroup is gone.
    """

    def __init__(self, container_id: str, path: Path, inode: int, v1: Mapping[str, Path]) -> None:
        self.path = path
        self.inode = inode
        self.events = os.open(path / "cgroup.events", os.O_RDONLY | os.O_CLOEXEC)  # can be polled
        self._container_id = container_id
        self._unified = CgroupFiles({"": path}, _pread)
        self._v1 = CgroupFiles({name: v1[name] for name in _IN_V1 if name in v1}, _pread)
        self._memory_in_v1 = "memory" in v1
        self._populated: bool | None = None  # at the last look; None: no process was seen yet

    def look(self) -> LastReading | None:
        """Return the reading if it has become empty since the last look. Raise Gone, Malformed or OSError.

        All files are read each time, so that their descriptors are open at the end.
        """
        populated, cpu, memory_peak = self._read()
        if self._populated is None and not populated and cpu:
            # It is empty at first too, but then has used nothing. Read again: its first process may have come between
            # the two files.
            populated, cpu, memory_peak = self._read()
            self._populated = True
        if populated:
            self._populated = True
        elif self._populated:
            self._populated = False
            return LastReading(self._container_id, time.time(), cpu, memory_peak)
        return None

    def close(self) -> None:
        """Close all descriptors."""
        os.close(self.events)
        self._unified.close()
        self._v1.close()

    def _read(self) -> tuple[bool, float | None, int | None]:
        """Return whether it has processes, in it or below, its CPU seconds and its peak memory in bytes."""
        populated = flat_keyed(_pread(self.events, _LONGEST_EVENTS, 0))(b"populated")
        if populated is None:
            raise Malformed("cgroup.events does not say whether it is populated")
        return bool(populated), self._cpu(), self._memory_peak()

    def _cpu(self) -> float | None:
        usage = cgroup_v2.cpu(Reader(self._unified.read), limited=False).usage
        return cgroup_v1.cpu(Reader(self._v1.read), limited=False).usage if usage is None else usage

    def _memory_peak(self) -> int | None:
        try:
            if self._memory_in_v1:
                return single_value(self._v1.read("memory.max_usage_in_bytes"))
            return single_value(self._unified.read("memory.peak"))
        except (Gone, Malformed, OSError):  # a v1 directory is made later or removed earlier
            return None


def _pread(descriptor: int, length: int, offset: int) -> bytes:
    """Read like os.pread, without releasing the interpreter's lock.

    Other threads, at 1 to 5 ms each, could take longer than the cgroup exists.
    """
    buffer = ctypes.create_string_buffer(length)
    count = _LIBC.pread(descriptor, buffer, length, offset)
    if count < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return buffer.raw[:count]
