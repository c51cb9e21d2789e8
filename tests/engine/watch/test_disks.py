"""Disks of engines: an engine whose containerd has a disk of its own, and one on which both are one disk."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import docker
import pytest

from tests.harness import images, newer, user
from tests.harness.command import watchd_here
from tests.harness.engine import Engine
from tests.harness.filling import fill, used_percent
from tests.harness.install import UnavailableError
from tests.harness.waiting import wait_until
from tests.harness.watchd_process import running, watchd, write_config

SIZE = 256 * 1024 * 1024
POLICY = """
mode = "enforce"
schedule = "30d"
grace = "0s"
[cleanup.protect]
images = ["base"]
[[cleanup.policies]]
name = "lru"
kind = "image"
pressure.high = "{high}%"
pressure.low = "{low}%"
"""


@pytest.fixture(scope="module")
def engine_on_two(new_engine_directory: Callable[[], Path]) -> Iterator[Engine]:
    """The newest engine, with containerd's image store on a small disk and everything else on another."""
    try:
        environment = newer.environment()
    except UnavailableError as error:
        pytest.skip(str(error))
    disks = {"data": SIZE, "containerd": SIZE}
    with Engine.start(
        new_engine_directory(), environment=environment, config=newer.CONTAINERD_STORE, disks=disks
    ) as engine:
        engine.directory.chmod(0o711)  # an ordinary user comes to the socket
        with closing(engine.client()) as client:
            images.load_base(client)
        yield engine


def mounted_device(path: Path) -> str:
    """Return the device that is mounted at a path."""
    found = subprocess.run(["findmnt", "-no", "SOURCE", "-T", path], check=True, capture_output=True, text=True)
    return found.stdout.strip()


@pytest.fixture
def client(engine_on_two: Engine) -> Iterator[docker.DockerClient]:
    with closing(engine_on_two.client()) as client:
        yield client
        for container in client.containers.list(all=True):
            container.remove(force=True)


def test_where_containerd_has_its_disk_is_told_as_long_as_nothing_proves_it(
    engine_on_two: Engine, client: docker.DockerClient, tmp_path: Path
) -> None:
    config = write_config(tmp_path, engine_on_two.host, POLICY.format(high=90, low=50))
    why = "the disk of containerd's images is not known"
    df = json.loads(watchd_here("df", "-c", config, "--json").stdout)
    assert [disk["path"] for disk in df["disks"]] == [str(engine_on_two.data_root)]
    assert set(df["unmeasured"]) == {"container", "image", "build_cache"}
    assert f"No disk pressure for lru: {why}" in watchd_here("prune", "-c", config, "--dry-run").stdout
    assert f"Note: No disk pressure for lru: {why}" in watchd_here("config", "check", "-c", config, "--engine").stderr
    with running(config) as daemon:
        wait_until(lambda: daemon.value("watchd_disk_measured", kind="image") == 0, seconds=20, what="it to be told")
        wait_until(lambda: f"disk pressure is not watched for lru: {why}" in daemon.log, seconds=20, what="a warning")
        assert why in daemon.ask("/api/v1/disk")["unmeasured"]["image"]
        running_one = client.containers.run(images.BASE, ["sleep", "600"], detach=True)
        wait_until(lambda: daemon.value("watchd_disk_measured", kind="image") == 1, seconds=40, what="the proof")
        of_it = {"name": str(running_one.name), "device": mounted_device(engine_on_two.directory / "containerd")}
        wait_until(lambda: daemon.value("container_fs_limit_bytes", **of_it), seconds=60, what="its file system")
        client.containers.list()[0].remove(force=True)
        assert {disk["path"] for disk in daemon.ask("/api/v1/disk")["disks"]} >= {str(engine_on_two.data_root)}


def test_images_go_by_the_disk_of_containerd_and_not_by_that_of_docker(
    engine_on_two: Engine, client: docker.DockerClient, open_path: Path
) -> None:
    """The daemon is an ordinary user without capabilities, as under systemd."""
    client.containers.run(images.BASE, ["sleep", "600"], detach=True)
    fill(client, 3)
    containerd = engine_on_two.directory / "containerd"
    assert used_percent(containerd) > 50, "each image is there twice: as its layers, and as they were pushed"
    assert used_percent(engine_on_two.data_root) < 10
    config = write_config(open_path, engine_on_two.host, POLICY.format(high=45, low=30))
    os.chown(open_path, 65534, 65534)
    group = f"--groups={engine_on_two.socket.stat().st_gid}"
    as_user = ["setpriv", "--reuid=65534", "--regid=65534", group, "--bounding-set=-all", "--no-new-privs"]
    with running(config, through=[*user.enterable(), *as_user]) as daemon:
        wait_until(lambda: used_percent(containerd) <= 30, seconds=40, what="room")
        measured = {disk["path"] for disk in daemon.ask("/api/v1/disk")["disks"]}
        assert measured == {str(containerd), str(engine_on_two.data_root)}
    assert images.tags(client) >= {images.BASE}
    df = json.loads(watchd("df", "-c", config, "--json").stdout)
    assert {disk["path"] for disk in df["disks"]} == measured
