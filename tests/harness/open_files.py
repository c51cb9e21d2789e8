"""Descriptors of a process."""

from contextlib import suppress
from pathlib import Path


def open_files(pid: int) -> list[str]:
    """Return what the descriptors of a process are."""
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
    """Return how many descriptors a process has, but for those of cgroups."""
    return sum(not is_cgroup(file) for file in open_files(pid))
