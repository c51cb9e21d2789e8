"""Disk usage of directories, as `du` adds it up: blocks, hard links once, no other file system."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psutil

from watchd.engine.deep.kinds import DataKind, Rule, name_in, rule_for
from watchd.kernel.parse.mountinfo import Mount, mount_of

_BLOCK = 512  # bytes of st_blocks, whatever the file system's own are
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_TELL_EVERY = 20_000  # files


@dataclass(slots=True)
class Usage:
    """Disk usage: bytes of blocks, and number of files and folders."""

    size: int = 0
    files: int = 0

    def add(self, other: Self) -> None:
        """Add another usage."""
        self.size += other.size
        self.files += other.files


@dataclass(frozen=True, slots=True)
class Part:
    """A file or folder of one kind. `path` is below the root, without a slash at the beginning."""

    kind: DataKind
    name: str  # "": it has none of its own
    path: str


@dataclass(slots=True)
class Tree:
    """A root and its parts; `folders` is the usage of the folders in between."""

    root: Path
    parts: list[Part] = field(default_factory=list)
    folders: Usage = field(default_factory=Usage)


class Walk:
    """One walk over the engine's data: of no file system but that of each root, and no file twice.

    A folder is entered by the descriptor of the one it is in, and never through a link: containers may rename what is
    walked meanwhile. `unread` counts folders that could not be read.
    """

    def __init__(self, mounts: Sequence[Mount]) -> None:
        self.files = 0
        self.on_files: Callable[[], object] = lambda: None
        """Called now and then while a large part is walked."""
        self.unread = 0
        self.crossed: set[str] = set()  # mount points that were met, and not entered
        self._mounts = mounts
        self._points = {mount.point for mount in mounts}
        self._told = 0
        self._linked: dict[int, Inodes] = {}  # by device

    def tree(self, root: Path, rules: Sequence[Rule]) -> Tree:
        """List the parts of a root. Raise `OSError` if it cannot be read."""
        tree = Tree(root)
        with _opened(os.fspath(root)) as folder:
            self._list(folder, rules, tree, "", "")
        return tree

    def part(self, tree: Tree, part: Part) -> Usage:
        """Return the usage of a part; nothing if it has gone since."""
        usage = Usage()
        where, _, name = part.path.rpartition("/")
        try:
            with _opened(os.path.join(tree.root, where)) as folder:  # noqa: PTH118 - a path per layer, not an object
                status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                self._count(status, usage)
                point = f"{tree.root}/{part.path}"
                if _is_folder(status) and not self._is_crossing(point, status.st_dev, os.fstat(folder).st_dev):
                    with _opened(name, folder) as inner:
                        self._add(inner, point, status.st_dev, usage)
        except FileNotFoundError:
            pass
        except OSError:
            self.unread += 1
        return usage

    def _list(self, folder: int, rules: Sequence[Rule], tree: Tree, path: str, outer: str) -> None:
        status = os.fstat(folder)
        self._count(status, tree.folders)
        with os.scandir(folder) as entries:
            names = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for name, is_folder in names:
            rule = rule_for(name, rules)
            below, called = f"{path}{name}", name_in(rule, name, outer)
            if isinstance(rule.holds, str):
                tree.parts.append(Part(rule.holds, called, below))
                continue
            if not is_folder:
                tree.parts.append(Part("engine", "", below))
                continue
            try:
                inside = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if not self._is_crossing(f"{tree.root}/{below}", inside.st_dev, status.st_dev):
                    with _opened(name, folder) as inner:
                        self._list(inner, rule.holds, tree, f"{below}/", called)
            except FileNotFoundError:
                continue
            except OSError:
                self.unread += 1

    def _add(self, folder: int, path: str, device: int, usage: Usage) -> None:
        """Add the entries of a folder. All folders on the way down stay open, which bounds the depth."""
        way = [(os.dup(folder), path, device, self._folders_in(folder, usage))]
        try:
            while way:
                above, path, device, names = way[-1]
                name = next(names, None)
                if name is None:
                    os.close(way.pop()[0])
                    continue
                try:
                    opened = os.open(name, _FOLDER, dir_fd=above)
                except FileNotFoundError:
                    continue
                except OSError:
                    self.unread += 1
                    continue
                status = os.fstat(opened)
                if self._is_crossing(f"{path}/{name}", status.st_dev, device):
                    os.close(opened)
                    continue
                self._count(status, usage)
                way.append((opened, f"{path}/{name}", status.st_dev, self._folders_in(opened, usage)))
        finally:
            for opened, *_ in way:
                os.close(opened)

    def _folders_in(self, folder: int, usage: Usage) -> Iterator[str]:
        """Add the files in a folder, and return the names of the folders in it."""
        folders = []
        size = files = 0
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    try:
                        if entry.is_dir(follow_symlinks=False):
                            folders.append(entry.name)
                            continue
                        status = entry.stat(follow_symlinks=False)
                    except OSError:  # it has gone since
                        continue
                    if status.st_nlink > 1 and self._has_counted(status):
                        continue
                    size += status.st_blocks
                    files += 1
        except OSError:
            self.unread += 1
        usage.size += size * _BLOCK
        usage.files += files
        self._have_counted(files)
        return iter(folders)

    def _count(self, status: os.stat_result, usage: Usage) -> None:
        if not _is_folder(status) and status.st_nlink > 1 and self._has_counted(status):
            return
        usage.size += status.st_blocks * _BLOCK
        usage.files += 1
        self._have_counted(1)

    def _have_counted(self, files: int) -> None:
        self.files += files
        if self.files - self._told >= _TELL_EVERY:
            self._told = self.files
            self.on_files()

    def _has_counted(self, status: os.stat_result) -> bool:
        return not self._linked.setdefault(status.st_dev, Inodes()).add(status.st_ino)

    def _is_crossing(self, path: str, device: int, device_above: int) -> bool:
        """Return whether a folder is a mount point. Subvolumes of btrfs have devices of their own, and are none."""
        crosses = path in self._points
        if not crosses and device != device_above:
            mount = mount_of(path, self._mounts)
            crosses = mount is None or mount.type != "btrfs"  # it was mounted since the mounts were read
        if crosses:
            self.crossed.add(path)
        return crosses


class Inodes:
    """A set of inode numbers, which lie close together: a bit each, in pages. A million take under a megabyte."""

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}

    def add(self, inode: int) -> bool:
        """Add a number. Return whether it is new."""
        page = self._pages.setdefault(inode >> 10, bytearray())
        if not page:
            page.extend(bytes(128))
        byte, bit = (inode >> 3) & 127, 1 << (inode & 7)
        if page[byte] & bit:
            return False
        page[byte] |= bit
        return True


@contextmanager
def idle_io() -> Iterator[None]:
    """Give way to everyone else's disk accesses meanwhile, where the disk's scheduler knows priorities."""
    process = psutil.Process()
    try:
        before = process.ionice()
        process.ionice(psutil.IOPRIO_CLASS_IDLE)
    except (psutil.Error, OSError):  # a sandbox may forbid it
        yield
        return
    try:
        yield
    finally:
        process.ionice(before.ioclass, before.value)


@contextmanager
def _opened(path: str, folder: int | None = None) -> Iterator[int]:
    opened = os.open(path, _FOLDER, dir_fd=folder)
    try:
        yield opened
    finally:
        os.close(opened)


def _is_folder(status: os.stat_result) -> bool:
    return (status.st_mode & 0o170000) == 0o040000
