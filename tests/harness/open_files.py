"""Descriptors of a process."""

from contextlib import suppress
from pathlib import Path


def open_files(pid: int) -> list[str]:
    """Return the targets of the descriptors of a process: paths, or the likes of `socket:[1]`."""
    found = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(str(descriptor.readlink()))
    return found


def is_cgroup(file: str) -> bool:
    """Return whether a file is of a cgroup.

    watchd follows those of other engines' containers as well, which other tests start and end.
    """
    return file.startswith("/sys/fs/cgroup")


def count_open(pid: int) -> int:
    """Return the number of descriptors of a process, without those of cgroups."""
    return sum(not is_cgroup(file) for file in open_files(pid))
