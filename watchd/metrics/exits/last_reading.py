"""Read a cgroup one last time, between the exit of its last process and its removal by the runtime.

A container can start, work and be removed between two scrapes. But when a cgroup loses its last process, the kernel
wakes pollers of its `cgroup.events` in the v2 tree (which a hybrid host has too), and runtimes remove it only 20 to
50 ms later. Directories are watched for new ones, so that containers are found without the engine.

The kernel notifies of `cgroup.events` by poll and by inotify (cgroup-v2.rst, "populated"). By inotify it does so from a
worker thread, on a busy machine 30 ms later, which can be too late. So inotify only watches directories.

An event only says that a path changed; its present state is looked up. So late, repeated and lost events (the queue
overflowed) do no harm.
"""

import errno
import logging
import os
import re
import select
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from inotify_simple import INotify, flags

from watchd.kernel.cgroup_paths import Hierarchy, container_named
from watchd.kernel.files import Gone
from watchd.kernel.parse.formats import Malformed
from watchd.metrics.exits.life import LastReading, Life
from watchd.runtime import process
from watchd.runtime.watchdog import Heartbeat

logger = logging.getLogger(__name__)

_UNITS = frozenset({"service", "scope", "mount", "socket", "swap"})  # systemd's that have a cgroup, but for slices
_USERS_OWN_SYSTEMD = re.compile(r"user@[0-9]+\.service")  # below it there are slices, for rootless engines too
_IN_DIRECTORY = flags.CREATE | flags.DELETE | flags.ONLYDIR | flags.DONT_FOLLOW
_VANISHED = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENODEV})


@dataclass(frozen=True, slots=True, eq=False)
class _Directory:
    """A directory that may get directories of containers."""

    path: Path
    inode: int
    watch: int


class LastReadings:
    """Read each container's cgroup a last time when it has become empty, in a thread of its own.

    `ended` is called from that thread, once for each time that a cgroup lost its last process. If a runtime uses the
    same cgroup again, the later reading includes the earlier one. Containers inside containers are not looked for, nor
    anything inside services, of which a host may have thousands.

    `available`: whether there will be readings. Not on a host without the v2 tree, and, once started, not where inotify
    cannot be used.
    """

    def __init__(self, hierarchy: Hierarchy, ended: Callable[[LastReading], None]) -> None:
        self.available = hierarchy.unified is not None
        self._hierarchy = hierarchy
        self._ended = ended
        self._thread: threading.Thread | None = None
        self._heartbeat = Heartbeat("reading containers that end", thread="watchd-last-reading")
        self._looked = threading.Event()
        self._wake = -1  # an eventfd
        self._has_logged = False
        self._watches: _Watches
        self._poll: select.epoll
        self._by_path: dict[Path, _Directory | Life] = {}
        self._by_watch: dict[int, _Directory] = {}
        self._by_events: dict[int, Life] = {}

    def start(self) -> None:
        """Start the thread, and return when it sees every new cgroup.

        Where that is not possible, log why and do nothing. `ended` may be called before this returns.
        """
        root = self._hierarchy.unified
        if root is None:
            logger.info("containers are not read when they end: this host has no cgroup v2 tree")
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
        """Stop the thread, and wait at most `timeout` seconds for it."""
        if self._thread is None:
            return
        os.eventfd_write(self._wake, 1)
        self._thread.join(timeout)
        if not self._thread.is_alive():
            os.close(self._wake)
            self._thread = None

    def _run(self, root: Path) -> None:
        process.go_first()  # as any other thread it comes too late for one in three, where ten wait for each CPU
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
        """Wait for changes and handle them: containers first, which may soon be gone. Return False to stop."""
        ready = {descriptor for descriptor, _ in self._poll.poll()}
        if self._wake in ready:
            return False
        with self._heartbeat.busy():
            for life in [self._by_events[descriptor] for descriptor in ready & self._by_events.keys()]:
                self._look(life)
            if self._watches.inotify.fd in ready:
                self._read_inotify()
        return True

    def _read_inotify(self) -> None:
        """Handle the changes of directories."""
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
        """Find changes without events: the queue has overflowed."""
        logger.debug("more changes of cgroups than inotify keeps: looking at all of them")
        for path in list(self._by_path):
            self._look_at(path)
        for directory in list(self._by_watch.values()):
            self._look_below(directory.path)

    def _look_at(self, path: Path) -> None:
        """Follow the directory that is at a path now, instead of the one before."""
        inode = _directory_inode(path)  # before it is watched: should it be replaced meanwhile, the next look tells
        followed = self._by_path.get(path)
        if followed is not None and followed.inode != inode:
            self._forget(followed)
            followed = None
        if isinstance(followed, Life):
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
            life = Life(container_id, path, inode, self._hierarchy.controllers(path))
        except OSError as error:
            self._log_once(path, error)
            return
        self._by_path[path] = self._by_events[life.events] = life
        with suppress(PermissionError):  # a plain file, as of a captured host, never changes
            self._poll.register(life.events, select.EPOLLPRI | select.EPOLLET)
        self._look(life)

    def _look(self, life: Life) -> None:
        try:
            reading = life.look()
        except (Gone, Malformed, OSError) as error:
            self._log_once(life.path, error)
        else:
            if reading is not None:
                self._ended(reading)

    def _log_once(self, path: Path, error: Exception) -> None:
        """Log once why a container cannot be read, unless it was only removed too soon."""
        gone = isinstance(error, Gone) or (isinstance(error, OSError) and error.errno in _VANISHED)
        if not gone and not self._has_logged:
            self._has_logged = True
            logger.warning("cannot read the cgroup %s (others are not logged): %s", path, error)

    def _forget(self, followed: _Directory | Life) -> None:
        """Forget a removed directory and all below it."""
        del self._by_path[followed.path]
        if isinstance(followed, Life):
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
    """An inotify instance. Raise OSError where it cannot be made."""

    def __init__(self) -> None:
        self.inotify = INotify(nonblocking=True)
        self._has_logged = False

    def add(self, path: Path, mask: int) -> int | None:
        """Watch a path and return the watch's number; None where it vanished, or cannot be watched: logged once."""
        try:
            return int(self.inotify.add_watch(path, mask))
        except OSError as error:
            if error.errno not in _VANISHED and not self._has_logged:
                self._has_logged = True
                logger.warning("some containers are not read when they end: inotify: %s%s", error, _hint(error))
            return None

    def remove(self, watch: int) -> None:
        """Watch it no more."""
        with suppress(OSError):  # some kernels do it themselves for cgroups
            self.inotify.rm_watch(watch)


def _may_matter(name: str) -> bool:
    """Return whether a directory of that name is a container's, or may have containers below it."""
    return (
        name.rpartition(".")[2] not in _UNITS
        or container_named(name) is not None
        or _USERS_OWN_SYSTEMD.fullmatch(name) is not None
    )


def _directory_inode(path: Path) -> int | None:
    """Return the inode of the directory at a path; None where there is none."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_ino if stat.S_ISDIR(status.st_mode) else None


def _hint(error: OSError) -> str:
    """Return what to do about a limit of inotify."""
    match error.errno:
        case errno.ENOSPC:
            return ": raise the limit with sysctl fs.inotify.max_user_watches, and start watchd again"
        case errno.EMFILE:
            return ": raise the limit with sysctl fs.inotify.max_user_instances, and start watchd again"
        case _:
            return ""
