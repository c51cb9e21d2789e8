"""Whether watchd itself runs in a container, and in which: it must never remove itself."""

import re
from pathlib import Path

from watchd.model import Own

# Docker mounts these three files into every container from a folder named after its ID, Podman from one below it.
_MOUNTED_FILE = re.compile(
    r"/([0-9a-f]{64})/(?:\S+/)?(?:hostname|hosts|resolv\.conf) /etc/(?:hostname|hosts|resolv\.conf) "
)
_OVERLAY_ROOT = re.compile(r"^\d+ \d+ \S+ \S+ / .* - overlay ", re.MULTILINE)
_CGROUP_ID = re.compile(r"[-/]([0-9a-f]{64})(?:\.scope)?$", re.MULTILINE)

# PROC_PID_INIT_INO in the kernel's include/linux/proc_ns.h: the PID namespace that the machine booted with.
_INITIAL_PID_NAMESPACE = "pid:[4026531836]"

# A file that says "container" is not enough: disk images made from containers carry it too.
_MARKERS = (".dockerenv", "run/.containerenv")


def find_own(root: Path = Path("/")) -> Own:
    """Return what `/proc/self/mountinfo`, `/proc/self/cgroup` and the PID namespace tell of this process."""
    process = root / "proc/self"
    mounts = _text(process / "mountinfo")
    # The cgroup first, where it can be seen: a container in another one's network has that one's files mounted.
    found = _CGROUP_ID.search(_text(process / "cgroup")) or _MOUNTED_FILE.search(mounts)
    if found:
        return Own(in_container=True, container_id=found[1])
    marked = any((root / marker).exists() for marker in _MARKERS) and _OVERLAY_ROOT.search(mounts)
    return Own(in_container=bool(marked) or _pid_namespace(process) != _INITIAL_PID_NAMESPACE)


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
