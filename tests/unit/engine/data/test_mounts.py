"""Mounts on a volume's path, in any mount namespace of the host."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cleanup.builders import volume
from watchd.engine.data.mounts import with_mounts

PATH = "/var/lib/docker/volumes/nfs/_data"
ROOT = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
NFS = f"30 22 0:50 / {PATH} rw - nfs4 nas:/srv rw\n"


class Procfs:
    """Processes with their mount namespaces."""

    def __init__(self, directory: Path, pid_namespace: str = "pid:[4026531836]") -> None:
        self.directory = directory
        (directory / "self/ns").mkdir(parents=True)
        (directory / "self/ns/pid").symlink_to(pid_namespace)
        (directory / "uptime").touch()

    def add(self, pid: int, mounts: str | None, namespace: int = 1, root: str = "/") -> "Procfs":
        process = self.directory / str(pid)
        (process / "ns").mkdir(parents=True)
        (process / "ns/mnt").symlink_to(f"mnt:[{namespace}]")
        (process / "root").symlink_to(root)
        if mounts is not None:
            (process / "mountinfo").write_text(mounts)
        return self


def is_mounted(procfs: Procfs, **changes: Any) -> bool | None:
    nfs = volume("nfs", **{"options": {"device": ":/srv"}, "mountpoint": PATH, **changes})
    (found,) = with_mounts([nfs], procfs.directory)
    return found.mounted


@pytest.fixture
def procfs(tmp_path: Path) -> Procfs:
    return Procfs(tmp_path)


def test_nothing_is_mounted_where_no_process_has_a_mount_there(procfs: Procfs) -> None:
    assert is_mounted(procfs.add(1, ROOT).add(7, ROOT, namespace=2)) is False
    assert is_mounted(procfs, mountpoint="/var/lib/docker/volumes/nf/_data") is False


@pytest.mark.parametrize("point", [PATH, f"{PATH}/below", PATH.removesuffix("/_data")])
def test_a_mount_at_its_folder_or_below_counts_in_any_namespace(procfs: Procfs, point: str) -> None:
    """The engine may have a mount namespace of its own."""
    assert is_mounted(procfs.add(1, ROOT).add(7, ROOT + NFS.replace(PATH, point), namespace=2)) is True


def test_a_process_in_a_changed_root_does_not_stand_for_its_namespace(procfs: Procfs) -> None:
    assert is_mounted(procfs.add(1, ROOT, root="/jail").add(7, ROOT + NFS)) is True


@pytest.mark.parametrize("point", ["/var/lib/docker", "/srv", "/var/lib/docker/volumes/nfs2/_data"])
def test_a_mount_elsewhere_does_not_count(procfs: Procfs, point: str) -> None:
    assert is_mounted(procfs.add(1, ROOT + NFS.replace(PATH, point))) is False


@pytest.mark.parametrize("path", ["", "_data"])
def test_without_a_path_it_is_unknown(procfs: Procfs, path: str) -> None:
    assert is_mounted(procfs.add(1, ROOT), mountpoint=path) is None


def test_in_a_pid_namespace_of_its_own_watchd_does_not_know(tmp_path: Path) -> None:
    assert is_mounted(Procfs(tmp_path, "pid:[4026532000]").add(1, ROOT)) is None


def test_where_processes_are_hidden_it_is_unknown(procfs: Procfs) -> None:
    """As with `hidepid`: the first process is not there."""
    assert is_mounted(procfs.add(7, ROOT)) is None


def test_mounts_that_cannot_be_read_make_it_unknown(procfs: Procfs) -> None:
    unreadable = procfs.add(1, ROOT).add(7, None, namespace=2).directory / "7/mountinfo"
    unreadable.mkdir()  # a permission would not stop root
    assert is_mounted(procfs) is None
    unreadable.rmdir()
    unreadable.write_text("no line of mountinfo\n")
    assert is_mounted(procfs) is None


def test_a_process_that_ended_meanwhile_is_left_out(procfs: Procfs) -> None:
    assert is_mounted(procfs.add(1, ROOT).add(7, None, namespace=2)) is False


def test_volumes_without_options_need_no_look(procfs: Procfs) -> None:
    (plain,) = with_mounts([volume("data", mountpoint=PATH)], procfs.directory)
    assert plain.mounted is None


def test_a_zombie_has_no_mounts_and_hides_none(procfs: Procfs) -> None:
    """The kernel's own answer for one, which it gives root and others alike."""
    with subprocess.Popen(["true"]) as zombie:
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        process = procfs.add(1, ROOT).add(7, None, namespace=2).directory / "7"
        (process / "mountinfo").symlink_to(f"/proc/{zombie.pid}/mountinfo")
        assert is_mounted(procfs) is False
