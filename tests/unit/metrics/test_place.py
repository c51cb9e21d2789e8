"""The engine's place is known by evidence, not by its address."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from watchd.engine.data.disks import EngineDisks
from watchd.engine.watch.mirror import Mirror
from watchd.metrics.place import LOOK_AGAIN, Place
from watchd.model import Container, EngineInfo

ID = "a" * 64
ENGINE = EngineInfo("id", "host", "28.5.2", "1.51", "overlay2", "graphdriver", "2", "systemd", "/nowhere")
RUNNING = Container(ID, "web", "shop:1", "sha256:1", "running", 1.0, pid=7)
UNIX, TCP = "unix:///run/docker.sock", "tcp://127.0.0.1:2375"


def _place(address: str, procfs: Path, *containers: Container, kernel: str = "") -> Place:
    mirror = Mirror()
    mirror.replace(engine=replace(ENGINE, kernel_version=kernel), containers=containers)
    return Place(mirror, EngineDisks(procfs=procfs), address, procfs)


def _runs(procfs: Path, cgroup: str) -> None:
    (procfs / "7").mkdir()
    (procfs / "7/cgroup").write_text(f"0::{cgroup}\n")


def test_behind_tcp_it_is_here_where_a_container_has_its_process_in_its_cgroup(tmp_path: Path) -> None:
    """As with a proxy in front of the socket on this host."""
    _runs(tmp_path, f"/system.slice/docker-{ID}.scope")
    assert _place(TCP, tmp_path, RUNNING).is_here()


def test_behind_tcp_it_is_not_here_where_a_process_only_has_the_same_number(tmp_path: Path) -> None:
    _runs(tmp_path, "/system.slice/cron.service")
    assert not _place(TCP, tmp_path, RUNNING).is_here()


def test_behind_tcp_nothing_is_known_before_a_container_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = _place(TCP, tmp_path, RUNNING)
    assert not place.is_here()
    _runs(tmp_path, f"/docker/{ID}")
    assert not place.is_here(), "not looked at in each scrape"
    later = time.monotonic() + LOOK_AGAIN
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert place.is_here()
    (tmp_path / "7/cgroup").unlink()
    assert place.is_here(), "it does not move"


def test_behind_a_socket_it_is_here_unless_it_has_another_kernel(tmp_path: Path) -> None:
    """As in a virtual machine, or behind a socket that ssh forwards."""
    assert _place(UNIX, tmp_path).is_here()
    assert _place(UNIX, tmp_path, kernel=os.uname().release).is_here()
    assert not _place(UNIX, tmp_path, RUNNING, kernel="5.15.167-linuxkit").is_here()
