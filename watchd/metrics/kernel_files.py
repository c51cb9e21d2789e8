"""Reads what the kernel tells in files: of the host in `/proc`, of a process below `/proc/<pid>`, of a cgroup.

A cgroup's files are kept open: a pread of a kept descriptor costs a fifth of open, read and close, and always gives
fresh values. Of a cgroup that was removed it answers ENODEV. A kept descriptor of `/proc/<pid>` stands for the process
and not for its number: when the process has ended it leads nowhere, whoever has the number then. (`net/dev` itself is
opened each time: kept, it would go on answering after death and would keep the network namespace alive.)
"""

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_CHUNK = 32 * 1024
_SURELY_WHOLE = 3 * 1024  # the kernel ends a read before the end of a file only at a page, and records are shorter
_ABSENT = -1
_NOT_ON_THIS_KERNEL = frozenset({errno.ENOENT, errno.EOPNOTSUPP})
_NO_MORE = frozenset({errno.ENOENT, errno.ENODEV, errno.ESRCH, errno.ESTALE})

Pread = Callable[[int, int, int], bytes]


class Gone(Exception):
    """The container's process or cgroup is no more."""


class CgroupFiles:
    """The files of one container's cgroup; each is opened when it is first asked for and then kept.

    `directories`: by v1 controller, which every file but cgroup.* has in its name; or all in one, by "". They are kept
    as text, since paths take five times as much memory. `pread` is os.pread, or does the same.
    """

    def __init__(self, directories: Mapping[str, Path | str], pread: Pread = os.pread) -> None:
        self._directories = {controller: str(directory) for controller, directory in directories.items()}
        self._pread = pread
        self._descriptors: dict[str, int] = {}

    def anew(self) -> "CgroupFiles":
        """The same files, none of them open yet."""
        return CgroupFiles(self._directories, self._pread)

    def read(self, name: str) -> bytes | None:
        """The whole content of a file, None where this kernel has none. Raise Gone or OSError."""
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
        """The same of several files, for the cost of a call."""
        pread, descriptors = self._pread, self._descriptors
        try:
            return [
                data
                if len(data := pread(descriptors[name], _CHUNK, 0)) <= _SURELY_WHOLE
                else _to_its_end(data, descriptors[name], pread)
                for name in names
            ]
        except (KeyError, OSError):  # one is not open, or cannot be read any more
            return [self.read(name) for name in names]

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
            return read_file(name, directory=self._directory)
        except FileNotFoundError:
            return None
        except ProcessLookupError as error:
            raise Gone from error

    def read_all(self, names: Sequence[str]) -> list[bytes | None]:
        """The same of several files."""
        return [self.read(name) for name in names]

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._directory)


def read_file(path: str, *, directory: int | None = None) -> bytes:
    """The whole content of a file that the kernel makes, without what `Path` takes besides.

    `directory` is a descriptor of the one that the path begins at. Raise OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        return _whole(descriptor, os.pread)
    finally:
        os.close(descriptor)


def _whole(descriptor: int, pread: Pread) -> bytes:
    data = pread(descriptor, _CHUNK, 0)
    return data if len(data) <= _SURELY_WHOLE else _to_its_end(data, descriptor, pread)


def _to_its_end(data: bytes, descriptor: int, pread: Pread) -> bytes:
    """Go on reading after `data`, which a file begins with."""
    while more := pread(descriptor, _CHUNK, len(data)):
        data += more
    return data
