"""Make the kernel count what containers write to disk, where it does not yet.

On cgroup v1 some kernels attribute no I/O to cgroups until a throttling rule was set once on the device, whatever
became of the rule.
"""

import os
from contextlib import suppress
from pathlib import Path

from tests.harness.mountinfo import mounts

_RULE = "blkio.throttle.write_bps_device"
_NEVER_REACHED = 1 << 50  # bytes per second


def count_writes(directory: Path) -> None:
    """Make the kernel count writes to the device of `directory`. Do nothing where it refuses."""
    device = directory.stat().st_dev
    for mount in mounts():
        if mount.filesystem != "cgroup" or "blkio" not in mount.point.name.split(","):
            continue
        cgroup = mount.point / f"watchd-rule-{os.getpid()}"
        with suppress(OSError):  # no such device, or not ours to say
            cgroup.mkdir()
            try:
                (cgroup / _RULE).write_text(f"{os.major(device)}:{os.minor(device)} {_NEVER_REACHED}\n")
            finally:
                cgroup.rmdir()
