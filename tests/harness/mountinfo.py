"""Find and remove what an engine leaves in the mount table and in the cgroup hierarchies.

Source: `/proc/self/mountinfo`, see proc(5).
"""

import os
import subprocess
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.harness.waiting import wait_until

MOUNTINFO = Path("/proc/self/mountinfo")


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo."""

    point: Path
    filesystem: str


def mounts() -> list[Mount]:
    """Return what is mounted, in the order in which it was."""
    found = []
    for line in MOUNTINFO.read_text(errors="surrogateescape").splitlines():
        fields, _, rest = line.partition(" - ")
        found.append(Mount(point=Path(_unescape(fields.split(" ")[4])), filesystem=rest.split(" ")[0]))
    return found


def mounts_below(directory: Path) -> list[Mount]:
    """Return what is mounted below `directory`."""
    return [mount for mount in mounts() if directory in mount.point.parents]


def unmount_below(directory: Path) -> None:
    """Unmount everything below `directory`, what was mounted last first."""
    for mount in reversed(mounts_below(directory)):
        subprocess.run(["umount", mount.point], check=True)


def cgroups(name: str) -> list[Path]:
    """Return the directories of the cgroup `name` ("/watchd-..."), one for each mounted hierarchy that has it."""
    hierarchies = {mount.point for mount in mounts() if mount.filesystem in {"cgroup", "cgroup2"}}
    return [path for hierarchy in sorted(hierarchies) if (path := hierarchy / name.lstrip("/")).is_dir()]


def remove_cgroups(name: str) -> None:
    """Remove the cgroup `name` and those below it from every hierarchy. They must have no process any more."""
    for cgroup in cgroups(name):
        for directory, _, _ in os.walk(cgroup, topdown=False):
            wait_until(partial(_rmdir, Path(directory)), seconds=5, what=f"{directory} to be empty")


def _rmdir(cgroup: Path) -> bool:
    try:
        cgroup.rmdir()
    except FileNotFoundError:
        return True
    except OSError:  # EBUSY: the kernel still counts a process that has just ended
        return False
    return True


def _unescape(field: str) -> str:
    """Undo the kernel's octal escapes of blank, tab, newline and backslash."""
    for escaped, character in ((r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\")):
        field = field.replace(escaped, character)
    return field
