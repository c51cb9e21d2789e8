"""What a container used in its whole life, read when its last process has ended and its cgroup is still there.

Between two scrapes a container can start, work and be gone. But when a cgroup loses its last process, the kernel lets
those know who wait for its `cgroup.events` in the v2 tree (which a hybrid host has too), and runtimes remove it only 20
to 50 ms later: long enough to read it once more. Directories are watched for new ones, so that no engine has to tell of
a container before it is read.

The kernel tells of `cgroup.events` by poll and by inotify (cgroup-v2.rst, "populated"). By inotify it does when one of
its own threads has had its turn: on a busy machine 30 ms later, which can be too late. So inotify only watches
directories, and containers need no watch each.

Every event only says that something changed at a path; what is there now is looked up. So an event that comes late,
twice or not at all (the queue overflowed) does no harm.
"""

import ctypes
import errno
import logging
import os
import re
import select
import stat
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from inotify_simple import INotify, flags

from watchd.metrics import cgroup_v1, cgroup_v2
from watchd.metrics.formats import Malformed, flat_keyed, single_value
from watchd.metrics.hierarchy import Hierarchy, container_named
from watchd.metrics.kernel_files import CgroupFiles, Gone

logger = logging.getLogger(__name__)

_UNITS = frozenset({"service", "scope", "mount", "socket", "swap"})  # systemd's that have a cgroup, but for slices
_USERS_OWN_SYSTEMD = re.compile(r"user@[0-9]+\.service")  # below it there are slices, for rootless engines too
_IN_DIRECTORY = flags.CREATE | flags.DELETE | flags.ONLYDIR | flags.DONT_FOLLOW
_IN_V1 = ("cpuacct", "memory")  # the controllers whose files are read
_LONGEST_EVENTS = 4096  # bytes; it has two short lines
_VANISHED = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENODEV})


_LIBC = ctypes.PyDLL(None, use_errno=True)
_LIBC.pread.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_long)
_LIBC.pread.restype = ctypes.c_ssize_t


@dataclass(frozen=True, slots=True)
class LastReading:
    """One life of a container, as its cgroup told when it had become empty."""

    container_id: str  # 64 hex digits
    at: float  # when it was read, in seconds since the epoch
    cpu: float | None  # seconds over the cgroup's whole life; None where this kernel does not tell
    memory_peak: int | None  # bytes; None where this kernel does not tell, as v2 before Linux 5.19


@dataclass(frozen=True, slots=True, eq=False)
class _Directory:
    """A directory in which containers' directories may appear."""

    path: Path
    inode: int
    watch: int


class _Life:
    """A container's cgroup from its creation to its removal.

    The kernel never gives the number of a cgroup's directory to another one, so it tells lives of one name apart.
    Raise OSError where there is none.
    """

    def __init__(self, container_id: str, path: Path, inode: int, v1: Mapping[str, Path]) -> None:
        self.path = path
        self.inode = inode
        self.events = os.open(path / "cgroup.events", os.O_RDONLY | os.O_CLOEXEC)  # can be polled
        self._container_id = container_id
        self._unified = CgroupFiles({"": path}, _pread)
        self._v1 = CgroupFiles({name: v1[name] for name in _IN_V1 if name in v1}, _pread)
        self._memory_in_v1 = "memory" in v1
        self._populated: bool | None = None  # when it was last looked at; None: no process was seen yet

    def look(self) -> LastReading | None:
        """Read it. Give the reading where it has become empty since the last look. Raise Gone, Malformed or OSError.

        All files are read each time: their descriptors are then open when it matters.
        """
        populated, cpu, memory_peak = self._read()
        if self._populated is None and not populated and cpu:
            # A cgroup is empty at first too, but then has used nothing. Read again: its first process may have come
            # between the one file and the other.
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
        """Whether it has processes, in it or below; then its CPU seconds and its peak memory in bytes."""
        populated = flat_keyed(_pread(self.events, _LONGEST_EVENTS, 0))(b"populated")
        if populated is None:
            raise Malformed("cgroup.events does not say whether it is populated")
        return bool(populated), self._cpu(), self._memory_peak()

    def _cpu(self) -> float | None:
        usage = cgroup_v2.cpu(self._unified.read, limited=False).usage
        return cgroup_v1.cpu(self._v1.read, limited=False).usage if usage is None else usage

    def _memory_peak(self) -> int | None:
        try:
            if self._memory_in_v1:
                return single_value(self._v1.read("memory.max_usage_in_bytes"))
            return single_value(self._unified.read("memory.peak"))
        except (Gone, Malformed, OSError):  # a v1 directory is made later or removed earlier; CPU time is known then
            return None


class LastReadings:
    """Reads each container's cgroup a last time when it has become empty, in a thread of its own.

    `ended` is called from that thread, once for each time that a cgroup lost its last process. Should a runtime use
    the same cgroup again, the later reading includes the earlier one. Containers inside containers are not looked for,
    nor anything inside services, of which a host may have thousands.

    `available` tells whether there will be readings: not on a host without the v2 tree, and, once started, not where
    inotify cannot be used.
    """

    def __init__(self, hierarchy: Hierarchy, ended: Callable[[LastReading], None]) -> None:
        self.available = hierarchy.unified is not None
        self._hierarchy = hierarchy
        self._ended = ended
        self._thread: threading.Thread | None = None
        self._looked = threading.Event()
        self._wake = -1  # an eventfd
        self._complained = False
        self._watches: _Watches
        self._poll: select.epoll
        self._by_path: dict[Path, _Directory | _Life] = {}
        self._by_watch: dict[int, _Directory] = {}
        self._by_events: dict[int, _Life] = {}

    def start(self) -> None:
        """Watch, and return when whatever is created from now on will be seen.

        Where that is not possible, log why and do nothing. What has ended just now may be told before this returns.
        """
        root = self._hierarchy.unified
        if root is None:
            logger.info("containers are not read when they end: this host has no cgroup v2 tree to tell when they do")
            return
        try:
            self._watches = _Watches()
            self._poll = select.epoll()
            self._wake = os.eventfd(0)
        except OSError as error:
            self.available = False
            logger.warning("containers are not read when they end: inotify cannot be used: %s%s", error, _hint(error))
            return
        self._thread = threading.Thread(target=self._run, args=(root,), name="watchd-last-reading", daemon=True)
        self._thread.start()
        self._looked.wait()

    def stop(self, timeout: float = 1.0) -> None:
        """End, waiting at most `timeout` seconds for what it is at."""
        if self._thread is None:
            return
        os.eventfd_write(self._wake, 1)
        self._thread.join(timeout)
        if not self._thread.is_alive():
            os.close(self._wake)
            self._thread = None

    def _run(self, root: Path) -> None:
        try:
            self._poll.register(self._wake, select.EPOLLIN)
            self._poll.register(self._watches.inotify, select.EPOLLIN)
            self._look_at(root)
            self.available = root in self._by_path
            self._looked.set()
            if not self.available:
                logger.warning("containers are not read when they end: %s cannot be watched", root)
                return
            while self._wait():
                pass
        finally:
            self._looked.set()
            if root in self._by_path:
                self._forget(self._by_path[root])
            self._watches.inotify.close()
            self._poll.close()

    def _wait(self) -> bool:
        """Wait until something changes and look at it: containers first, which may soon be gone. False: to stop."""
        told = {descriptor for descriptor, _ in self._poll.poll()}
        if self._wake in told:
            return False
        for life in [self._by_events[descriptor] for descriptor in told & self._by_events.keys()]:
            self._look(life)
        if self._watches.inotify.fd in told:
            self._take_in()
        return True

    def _take_in(self) -> None:
        """Look at what has come into directories or gone."""
        for event in self._watches.inotify.read(timeout=0):
            directory = self._by_watch.get(event.wd)
            if event.mask & flags.Q_OVERFLOW:
                self._look_at_all()
            elif directory is None:
                pass  # it is no longer watched, or that is what the kernel says
            elif event.mask & flags.IGNORED:
                self._forget(directory)
            elif _may_matter(event.name):
                self._look_at(directory.path / event.name)

    def _look_at_all(self) -> None:
        """Find out what changed without being told."""
        logger.debug("more changes of cgroups than inotify keeps: looking at all of them")
        for path in list(self._by_path):
            self._look_at(path)
        for directory in list(self._by_watch.values()):
            self._look_below(directory.path)

    def _look_at(self, path: Path) -> None:
        """Follow what is at a path now, and nothing that was there before."""
        inode = _directory_inode(path)  # before it is watched: should it be replaced meanwhile, the next look tells
        followed = self._by_path.get(path)
        if followed is not None and followed.inode != inode:
            self._forget(followed)
            followed = None
        if isinstance(followed, _Life):
            self._look(followed)
        elif followed is None and inode is not None:
            container_id = container_named(path.name)
            if container_id is None:
                self._follow_directory(path, inode)
            else:
                self._follow_life(container_id, path, inode)

    def _look_below(self, path: Path) -> None:
        try:
            with os.scandir(path) as entries:
                names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:  # it has gone
            return
        for name in filter(_may_matter, names):
            self._look_at(path / name)

    def _follow_directory(self, path: Path, inode: int) -> None:
        watch = self._watches.add(path, _IN_DIRECTORY)
        if watch is not None:
            self._by_path[path] = self._by_watch[watch] = _Directory(path, inode, watch)
            self._look_below(path)  # for what came before the watch did

    def _follow_life(self, container_id: str, path: Path, inode: int) -> None:
        try:
            life = _Life(container_id, path, inode, self._hierarchy.controllers(path))
        except OSError as error:
            self._complain(path, error)
            return
        self._by_path[path] = self._by_events[life.events] = life
        with suppress(PermissionError):  # a plain file, as of a captured host, never changes
            self._poll.register(life.events, select.EPOLLPRI | select.EPOLLET)
        self._look(life)

    def _look(self, life: _Life) -> None:
        try:
            reading = life.look()
        except (Gone, Malformed, OSError) as error:
            self._complain(life.path, error)
        else:
            if reading is not None:
                self._ended(reading)

    def _complain(self, path: Path, error: Exception) -> None:
        """Log why a container cannot be read, once, unless it only went before it could be."""
        gone = isinstance(error, Gone) or (isinstance(error, OSError) and error.errno in _VANISHED)
        if not gone and not self._complained:
            self._complained = True
            logger.warning("cannot read the cgroup %s (others are not logged): %s", path, error)

    def _forget(self, followed: _Directory | _Life) -> None:
        """Let go of what was removed. With a directory all below it goes: what is still told of it is not heard."""
        del self._by_path[followed.path]
        if isinstance(followed, _Life):
            del self._by_events[followed.events]
            with suppress(OSError):
                self._poll.unregister(followed.events)
            followed.close()
        else:
            del self._by_watch[followed.watch]
            self._watches.remove(followed.watch)
            for below in [other for other in self._by_path.values() if other.path.parent == followed.path]:
                self._forget(below)


class _Watches:
    """An inotify instance. Raise OSError where there can be none."""

    def __init__(self) -> None:
        self.inotify = INotify(nonblocking=True)
        self._complained = False

    def add(self, path: Path, mask: int) -> int | None:
        """Watch a path and give the watch's number; None where it vanished, or cannot be watched: logged once."""
        try:
            return int(self.inotify.add_watch(path, mask))
        except OSError as error:
            if error.errno not in _VANISHED and not self._complained:
                self._complained = True
                logger.warning("some containers are not read when they end: inotify: %s%s", error, _hint(error))
            return None

    def remove(self, watch: int) -> None:
        """Watch it no more."""
        with suppress(OSError):  # the kernel has done so itself, which most do not for cgroups
            self.inotify.rm_watch(watch)


def _pread(descriptor: int, length: int, offset: int) -> bytes:
    """Do what os.pread does without letting other threads run meanwhile.

    Between two of its calls they could take longer, at 1 to 5 ms each, than the cgroup is still there.
    """
    buffer = ctypes.create_string_buffer(length)
    count = _LIBC.pread(descriptor, buffer, length, offset)
    if count < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return buffer.raw[:count]


def _may_matter(name: str) -> bool:
    """Whether a directory of that name is a container's or one in which there may be containers."""
    return (
        name.rpartition(".")[2] not in _UNITS
        or container_named(name) is not None
        or _USERS_OWN_SYSTEMD.fullmatch(name) is not None
    )


def _directory_inode(path: Path) -> int | None:
    """The number of the directory at a path, None where there is none."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_ino if stat.S_ISDIR(status.st_mode) else None


def _hint(error: OSError) -> str:
    """What to do about one of inotify's limits."""
    match error.errno:
        case errno.ENOSPC:
            return ": raise the limit with sysctl fs.inotify.max_user_watches, and start watchd again"
        case errno.EMFILE:
            return ": raise the limit with sysctl fs.inotify.max_user_instances, and start watchd again"
        case _:
            return ""
