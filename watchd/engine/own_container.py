"""The container that watchd itself runs in, if any: it must never remove itself."""

import re
from collections.abc import Sequence
from pathlib import Path

from watchd.kernel.parse.mountinfo import Mount, mountinfo
from watchd.model import Own

# Docker mounts these three files into every container from a folder named after its ID, Podman from one below it.
_MOUNTED_FILES = frozenset(("/etc/hostname", "/etc/hosts", "/etc/resolv.conf"))
_IN_FOLDER_OF_ID = re.compile(r"/([0-9a-f]{64})/(?:.+/)?(?:hostname|hosts|resolv\.conf)$")
_CGROUP_ID = re.compile(r"[-/]([0-9a-f]{64})(?:\.scope)?$", re.MULTILINE)

# PROC_PID_INIT_INO in the kernel's include/linux/proc_ns.h: the PID namespace that the machine booted with.
_INITIAL_PID_NAMESPACE = "pid:[4026531836]"

# A file that says "container" is not enough: disk images made from containers carry it too.
_MARKERS = (".dockerenv", "run/.containerenv")


def find_own(root: Path = Path("/")) -> Own:
    """Identify the container of this process by `/proc/self/mountinfo`, `/proc/self/cgroup` and the PID namespace."""
    process = root / "proc/self"
    mounts = _mounts(process / "mountinfo")
    # The cgroup first, where it can be seen: a container in another one's network has that one's files mounted.
    found = _CGROUP_ID.search(_text(process / "cgroup")) or _mounted_file(mounts)
    if found:
        return Own(in_container=True, container_id=found[1])
    has_overlay_root = any(mount.point == "/" and mount.type == "overlay" for mount in mounts)
    is_marked = has_overlay_root and any((root / marker).exists() for marker in _MARKERS)
    return Own(in_container=is_marked or _pid_namespace(process) != _INITIAL_PID_NAMESPACE)


def sees_all_processes(procfs: Path) -> bool:
    """Return whether this process sees those of the whole machine: it is in the first PID namespace, nothing is hidden.

    With the mount option `hidepid` other users' processes, the first one too, are missing.
    """
    return _pid_namespace(procfs / "self") == _INITIAL_PID_NAMESPACE and (procfs / "1/mountinfo").exists()


def _mounted_file(mounts: Sequence[Mount]) -> re.Match[str] | None:
    """Find a file that the engine mounted, from a folder that has the container's ID in its path."""
    roots = (mount.root for mount in mounts if mount.point in _MOUNTED_FILES)
    return next((found for root in roots if (found := _IN_FOLDER_OF_ID.search(root))), None)


def _mounts(path: Path) -> Sequence[Mount]:
    try:
        return mountinfo(path.read_bytes(), odd=lambda _: None)
    except OSError:
        return ()


def _pid_namespace(process: Path) -> str:
    try:
        return str((process / "ns/pid").readlink())
    except OSError:
        return ""  # it cannot be told: then it may be a container's


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
