"""Files of the state directory, opened without following links.

Root may run watchd on a directory of a service user, who must not be able to lead it to other files.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from watchd.errors import StateError

_TYPES = {
    stat.S_IFREG: "a regular file",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # opening a FIFO must not block


def open_file(path: Path, flags: int) -> int:
    """Open a file and return its descriptor. With `O_CREAT` a new file gets mode 0600 and the directory's owner.

    Raise `StateError` for anything but a regular file of root, of this user or of the directory's owner, and `OSError`.
    """
    with _opened_directory(path.parent) as directory:
        owner = os.fstat(directory)
        if _checked(path, directory, stat.S_IFREG) is None and flags & os.O_CREAT:
            with suppress(FileExistsError):  # another process was faster
                descriptor = os.open(path.name, flags | os.O_EXCL | _FLAGS, 0o600, dir_fd=directory)
                if os.geteuid() == 0:
                    with suppress(OSError):  # root of a user namespace may not
                        os.fchown(descriptor, owner.st_uid, owner.st_gid)
                return descriptor
        descriptor = os.open(path.name, (flags & ~os.O_CREAT) | _FLAGS, dir_fd=directory)
        try:
            _check(os.fstat(descriptor), path, stat.S_IFREG, owner)  # it may have been replaced meanwhile
        except StateError:
            os.close(descriptor)
            raise
        return descriptor


def check(path: Path, file_type: int = stat.S_IFREG) -> os.stat_result | None:
    """Return the status of a file, None if there is none. Raise `StateError` as `open_file` does, and `OSError`."""
    with _opened_directory(path.parent) as directory:
        return _checked(path, directory, file_type)


@contextmanager
def _opened_directory(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _checked(path: Path, directory: int, file_type: int) -> os.stat_result | None:
    try:
        status = os.stat(path.name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None
    _check(status, path, file_type, os.fstat(directory))
    return status


def _check(status: os.stat_result, path: Path, file_type: int, directory: os.stat_result) -> None:
    found = stat.S_IFMT(status.st_mode)
    if found != file_type:
        raise StateError(f"{path} is {_TYPES.get(found, 'of an odd type')}, not {_TYPES[file_type]}: remove it")
    if status.st_nlink > 1:
        raise StateError(f"{path} has {status.st_nlink} hard links, so it is another file, too: remove it")
    if status.st_uid not in (0, os.geteuid(), directory.st_uid):
        raise StateError(
            f"{path} belongs to user {status.st_uid}, and {path.parent} to user {directory.st_uid}:"
            " remove the file, or give both to the user that watchd runs as"
        )
