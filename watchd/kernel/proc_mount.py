"""The mount of /proc itself: options that hide files or processes."""

import os
from collections.abc import Iterator
from pathlib import Path

from watchd.kernel.parse.mountinfo import mountinfo


def proc_options(procfs: Path) -> frozenset[str]:
    """Return the options of the mount at `procfs`, as "hidepid=invisible" and "subset=pid"; none where not known."""
    try:
        data = (procfs / "self/mountinfo").read_bytes()
    except OSError:
        return frozenset()
    mounts = [mount for mount in mountinfo(data, odd=lambda _: None) if mount.point == str(procfs)]
    return mounts[-1].options if mounts else frozenset()  # of several at one place the last one is seen


def has_totals(procfs: Path) -> bool:
    """Return whether files of the whole machine are there, not of processes alone."""
    return (procfs / "stat").is_file()


def hides_processes(procfs: Path) -> str | None:
    """Return the mount option that hides other users' processes from this process; None: it sees them."""
    if os.access(procfs / "1/mountinfo", os.R_OK):
        return None
    return next((option for option in proc_options(procfs) if option.startswith("hidepid=")), None)


def restrictions(procfs: Path) -> Iterator[str]:
    """Yield the data that a mount option hides from this process, and the remedy."""
    if not has_totals(procfs):
        reason = "is mounted with subset=pid" if "subset=pid" in proc_options(procfs) else "has no file stat"
        yield (
            f"{procfs} {reason}: the host's metrics, machine_* and the names of disks are missing"
            " (mount it without that option, or set metrics.procfs to a /proc that has all files)"
        )
    if option := hides_processes(procfs):
        yield (
            f"{procfs} is mounted with {option}: the processes of containers cannot be seen by this user"
            " (add the user to the group of the mount option gid=, or run watchd as root)"
        )
