"""Faults of watchd's own disk, state and clock while it runs."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import docker
import pytest
from docker.errors import NotFound

from tests.harness import images, install
from tests.harness.command import watchd_here
from tests.harness.engine import Engine
from tests.harness.small_disk import fill_up, small_disk
from tests.harness.waiting import wait_until
from tests.harness.watchd_process import running, watchd, write_config
from watchd.store import DATABASE

SOON = 10.0
FAKETIME = "libfaketime"
EVERY_SECOND = """
mode = "enforce"
grace = "{grace}"
jitter = "0s"
schedule = "1s"
[[cleanup.policies]]
name = "exited"
kind = "container"
when.finished_for = "{after}"
[[cleanup.policies]]
name = "unused"
kind = "image"
when.unused_for = "{after}"
"""
# The daemon, but that it looks at the clock every half second.
OFTEN = """
import threading, time
time.sleep = threading.Event().wait  # libfaketime refuses what Python sleeps by
import watchd.daemon
watchd.daemon.TICK_INTERVAL = 0.5
from watchd.cli import main
main()
"""
AT_ONCE = EVERY_SECOND.format(grace="0s", after="0s")


def end(client: docker.DockerClient, name: str) -> None:
    """Run a container to its end, which may be removed by then."""
    with suppress(NotFound):
        client.containers.run(images.BASE, ["true"], name=name, detach=True).wait()


def left(client: docker.DockerClient) -> set[str | None]:
    return {container.name for container in client.containers.list(all=True, ignore_removed=True)}


def content(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        return [*connection.iterdump(), str(connection.execute("PRAGMA user_version").fetchone())]


def test_a_full_disk_stops_removals_and_not_metrics(
    clean_engine: Engine, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    docker_client.containers.run(images.BASE, ["sleep", "600"], name="web", detach=True)
    (tmp_path / "state").mkdir()
    with small_disk(tmp_path / "state", "2m") as state:  # too small for anything to be set aside
        with running(write_config(tmp_path, clean_engine.host, AT_ONCE)) as daemon:
            end(docker_client, "first")
            wait_until(lambda: left(docker_client) == {"web"}, seconds=SOON, what="the first to go")
            fill_up(state)
            end(docker_client, "second")
            wait_until(lambda: "database or disk is full" in daemon.log, seconds=SOON, what="it to say so")
            time.sleep(2)
            assert left(docker_client) == {"web", "second"}
            assert daemon.names() == {"web"}
            (state / "filler").unlink()
            wait_until(lambda: left(docker_client) == {"web"}, seconds=SOON, what="the second to go")
            assert daemon.stop() == 0
        assert "Traceback" not in daemon.log
        history = watchd_here("history", "-c", tmp_path / "watchd.toml")
        assert "second" in history.stdout


@contextmanager
def real_disk(image: Path, at: Path) -> Iterator[Path]:
    """Mount a file system of its own, and give the file that makes the kernel find an error in it."""
    at.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop,errors=remount-ro", image, at], check=True)
    try:
        device = subprocess.run(["findmnt", "-no", "SOURCE", at], check=True, capture_output=True, text=True).stdout
        yield Path("/sys/fs/ext4", Path(device.strip()).name, "trigger_fs_error")
    finally:
        subprocess.run(["umount", at], check=True)
        # A mount namespace that was made meanwhile, for example by another worker, has the mount as well.
        wait_until(lambda: not _loop_devices(image), seconds=60, what="the file system to be released")


def _loop_devices(image: Path) -> str:
    return subprocess.run(["losetup", "--associated", image], check=True, capture_output=True, text=True).stdout


def test_a_disk_that_becomes_read_only_stops_removals_and_not_metrics(
    clean_engine: Engine, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    if shutil.which("mkfs.ext4") is None:
        install.apt_install(["e2fsprogs"])
    disk, state = tmp_path / "disk", tmp_path / "state"
    disk.write_bytes(b"")
    os.truncate(disk, 16 << 20)
    subprocess.run(["mkfs.ext4", "-q", disk], check=True)
    config = write_config(tmp_path, clean_engine.host, AT_ONCE)
    docker_client.containers.run(images.BASE, ["sleep", "600"], name="web", detach=True)
    with real_disk(disk, state) as error:
        with running(config) as daemon:
            end(docker_client, "first")
            wait_until(lambda: left(docker_client) == {"web"}, seconds=SOON, what="the first to go")
            error.write_text("the disk is broken")
            end(docker_client, "second")
            wait_until(lambda: "unused failed: " in daemon.log, seconds=SOON, what="it to say so")
            time.sleep(2)
            assert left(docker_client) == {"web", "second"}
            assert daemon.names() == {"web"}
            assert daemon.stop() == 0
        assert "Traceback" not in daemon.log
        refused = watchd("run", "-c", config)
        assert (refused.returncode, "Traceback" in refused.stderr) == (1, False)
        assert str(state) in refused.stderr
        assert "first" in watchd_here("history", "-c", config).stdout
    subprocess.run(["fsck.ext4", "-fy", disk], check=False, capture_output=True)  # 1: it has repaired
    with real_disk(disk, state), running(config) as daemon:
        wait_until(lambda: left(docker_client) == {"web"}, seconds=SOON, what="the second to go")
        history = watchd_here("history", "-c", config).stdout
        assert "first" in history
        assert "second" in history


def test_a_state_that_a_newer_watchd_wrote_is_left_alone(
    clean_engine: Engine, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    config = write_config(tmp_path, clean_engine.host, AT_ONCE)
    docker_client.containers.run(images.BASE, ["sleep", "600"], name="web", detach=True)
    end(docker_client, "done")
    with running(config):
        wait_until(lambda: left(docker_client) == {"web"}, seconds=SOON, what="it to go")
    database = tmp_path / "state" / DATABASE
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA user_version = 999")
    end(docker_client, "another")
    before = content(database)
    for command in (["run"], ["prune", "--yes"], ["history"]):
        refused = watchd(*command, "-c", config)
        assert refused.returncode == 1
        assert "written by a newer watchd (schema 999" in refused.stderr
        assert "Traceback" not in refused.stderr
    assert content(database) == before
    assert left(docker_client) == {"web", "another"}


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    """A file that says by how many seconds the clock of a program is wrong."""
    found = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if found is None:
        install.apt_install([FAKETIME])
    file = tmp_path / "clock"
    file.write_text("+0")
    return file


def environment(clock: Path) -> dict[str, str]:
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def test_a_clock_that_jumps_removes_nothing(
    clock: Path, clean_engine: Engine, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    """Only what is young by every clock stays by force of it: `grace` counts what watchd itself has watched."""
    config = write_config(tmp_path, clean_engine.host, EVERY_SECOND.format(grace="10m", after="30m"))
    images.build(docker_client, "unused:1", f"FROM {images.BASE}\nLABEL a=1\n")
    docker_client.containers.run(images.BASE, ["sleep", "600"], name="web", detach=True)
    end(docker_client, "done")
    with running(config, command=(sys.executable, "-c", OFTEN), **environment(clock)) as daemon:
        wait_until(lambda: daemon.value("watchd_prune_last_run_timestamp_seconds"), seconds=SOON, what="a run")
        for jump, is_back in (("+3600", False), ("+0", True), ("-3600", True)):
            told = daemon.log.count("the clock was set back")
            clock.write_text(jump)
            time.sleep(3)  # for the daemon to look at the clock, again and again
            runs = daemon.log.count("plan ")
            wait_until(lambda runs=runs: daemon.log.count("plan ") > runs, seconds=SOON, what="runs to go on")  # type: ignore[misc]
            assert left(docker_client) == {"web", "done"}
            assert images.tags(docker_client) >= {"unused:1"}
            assert daemon.names() == {"web"}
            wait_until(
                lambda told=told, is_back=is_back: (daemon.log.count("the clock was set back") > told) == is_back,  # type: ignore[misc]
                seconds=SOON,
                what=f"it to say that the clock was set back: {is_back}",
            )
        assert daemon.stop() == 0
    assert "Traceback" not in daemon.log
