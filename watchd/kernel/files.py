"""Reads the kernel's files: of the host in `/proc`, of a process in `/proc/<pid>`, of a cgroup.

A cgroup's files are kept open: a pread of a kept descriptor costs a fifth of open, read and close, and always gives
fresh values (but for cgroup.procs), or ENODEV once the cgroup was removed. A kept descriptor of `/proc/<pid>` is of
that process, also when another one gets its number. (`net/dev` is opened each time: kept, it would go on answering
after the process's end and keep the network namespace alive.)
"""

import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

PROCESSES = "cgroup.procs"
_CHUNK = 32 * 1024
_SURELY_WHOLE = 3 * 1024  # the kernel ends a read before the end of a file only at a page, and records are shorter
_ABSENT = -1
_NOTHING_BELOW = 2  # links of a directory of the kernel's: itself, and from the one above
_NOT_ON_THIS_KERNEL = frozenset({errno.ENOENT, errno.EOPNOTSUPP})
_NO_MORE = frozenset({errno.ENOENT, errno.ENODEV, errno.ESRCH, errno.ESTALE})

Pread = Callable[[int, int, int], bytes]
Namespace = tuple[int, int]
"""Device and inode, as they tell namespaces apart in namespaces(7)."""


class Gone(Exception):
    """The container's process or cgroup is gone."""


class CgroupFiles:
    """The files of one container's cgroup; each is opened at its first reading and then kept open.

    `directories`: by v1 controller, which begins the name of every file but cgroup.*; or one for all, by "". They are
    kept as text: paths take five times as much memory. `pread` does the same as os.pread.
    """

    def __init__(self, directories: Mapping[str, Path | str], pread: Pread = os.pread) -> None:
        self._directories = {controller: str(directory) for controller, directory in directories.items()}
        self._pread = pread
        self._descriptors: dict[str, int] = {}
        self._opened = _ABSENT  # the directory, once processes were read

    def anew(self) -> "CgroupFiles":
        """Return the same files, none of them open."""
        return CgroupFiles(self._directories, self._pread)

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, None where this kernel does not have it. Raise Gone or OSError.

        `cgroup.procs` is that of the cgroups below, too.
        """
        return self._read(name) if name != PROCESSES else self._read_processes()

    def _read(self, name: str) -> bytes | None:
        descriptor = self._descriptors.get(name)
        if descriptor is None:
            descriptor = self._open(name)
        if descriptor == _ABSENT:
            return None
        try:
            return _whole(descriptor, self._pread)
        except OSError as error:
            if error.errno in _NO_MORE:
                raise Gone from error
            if error.errno not in _NOT_ON_THIS_KERNEL:
                raise
            os.close(descriptor)
            self._descriptors[name] = _ABSENT
            return None

    def read_all(self, names: Sequence[str]) -> list[bytes | None]:
        """Read several files, for the cost of one call."""
        pread, descriptors = self._pread, self._descriptors
        try:
            return [
                self.read(name)
                if name == PROCESSES
                else data
                if len(data := pread(descriptors[name], _CHUNK, 0)) <= _SURELY_WHOLE
                else _to_its_end(data, descriptors[name], pread)
                for name in names
            ]
        except (KeyError, OSError):  # one is not open, or was removed
            return [self.read(name) for name in names]

    def close(self) -> None:
        """Close all descriptors."""
        for descriptor in self._descriptors.values():
            if descriptor != _ABSENT:
                os.close(descriptor)
        self._descriptors.clear()
        if self._opened != _ABSENT:
            os.close(self._opened)
            self._opened = _ABSENT

    def _read_processes(self) -> bytes | None:
        """Read `cgroup.procs` of the whole tree.

        On v1 it is opened each time, since the kernel keeps the list of one that stays open for a second. By way of the
        directory, which is kept, that costs two thirds.
        """
        directory = str(self._directory(PROCESSES))
        try:
            if self._opened == _ABSENT:
                self._opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            found = self._read(PROCESSES) if "" in self._directories else read_file(PROCESSES, directory=self._opened)
            has_none_below = os.fstat(self._opened).st_nlink == _NOTHING_BELOW
        except OSError as error:
            if error.errno in _NO_MORE:
                raise Gone from error
            raise
        return found if found is None or has_none_below else found + b"".join(map(_read_if_there, _below(directory)))

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
    """The files of one process in `/proc`, also when its number is used again. Raise Gone or OSError."""

    def __init__(self, directory: Path) -> None:
        try:
            self._directory = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in _NO_MORE:
                raise Gone from error
            raise

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, None where it is absent: as net/ once the first thread has ended."""
        try:
            return read_file(name, directory=self._directory)
        except FileNotFoundError:
            return None
        except ProcessLookupError as error:
            raise Gone from error

    def namespace(self, kind: str) -> Namespace | None:
        """Return its namespace of a kind ("net"); None where this process may not know it."""
        try:
            status = os.stat(f"ns/{kind}", dir_fd=self._directory)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def read_all(self, names: Sequence[str]) -> list[bytes | None]:
        """Read several files."""
        return [self.read(name) for name in names]

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._directory)


def read_file(path: str, *, directory: int | None = None) -> bytes:
    """Return the content of a kernel file, at less cost than `Path`. Raise OSError.

    `directory`: descriptor of the directory that the path begins at.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        return _whole(descriptor, os.pread)
    finally:
        os.close(descriptor)


def _below(cgroup: str) -> Iterator[str]:
    """Yield the directories of all cgroups below one."""
    try:
        if os.stat(cgroup).st_nlink == _NOTHING_BELOW:  # noqa: PTH116 - at each scrape: a Path would double its cost
            return
        with os.scandir(cgroup) as entries:
            children = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:  # it has gone
        return
    for child in children:
        yield child
        yield from _below(child)


def _read_if_there(cgroup: str) -> bytes:
    try:
        return read_file(f"{cgroup}/{PROCESSES}")
    except OSError:  # it has gone; or it has threads alone, whose processes the one above tells
        return b""


def _whole(descriptor: int, pread: Pread) -> bytes:
    data = pread(descriptor, _CHUNK, 0)
    return data if len(data) <= _SURELY_WHOLE else _to_its_end(data, descriptor, pread)


def _to_its_end(data: bytes, descriptor: int, pread: Pread) -> bytes:
    """Read the rest of a file that begins with `data`."""
    while more := pread(descriptor, _CHUNK, len(data)):
        data += more
    return data
