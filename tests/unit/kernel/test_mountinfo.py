"""Mounts, from what the kernel says of them."""

from pathlib import Path

import pytest

from watchd.kernel.parse.formats import Malformed
from watchd.kernel.parse.mountinfo import Mount, mountinfo


def test_every_field_is_told() -> None:
    line = b"31 22 8:17 /home /mnt rw,noatime shared:1 master:2 - ext4 /dev/sdb1 rw,discard\n"

    assert mountinfo(line) == [Mount("8:17", "/home", "/mnt", "ext4", "/dev/sdb1", frozenset({"rw", "discard"}))]


def test_names_are_unescaped_and_may_hold_anything_else() -> None:
    (mount,) = mountinfo(b"1 0 0:5 /a\\040- /b\\012\\134\r\xff rw - fuse.x  rw\n")

    assert (mount.root, mount.point, mount.type, mount.source) == ("/a -", "/b\n\\\r\udcff", "fuse.x", "")


def test_a_line_that_is_no_mount_is_malformed() -> None:
    for data in (b"\n", b"1 0 0:5 / /a rw ext4 /dev/sda rw\n", b"1 0 0:5 / /a - ext4 /dev/sda rw\n"):
        with pytest.raises(Malformed):
            mountinfo(data)


def test_this_machine_has_proc_mounted() -> None:
    mounts = mountinfo(Path("/proc/self/mountinfo").read_bytes())

    assert ("/proc", "proc") in [(mount.point, mount.type) for mount in mounts]
