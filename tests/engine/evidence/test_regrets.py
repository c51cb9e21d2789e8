"""Removals whose objects are needed again, on real engines: each is counted once, and a newer version is none."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.harness import images
from tests.harness.command import watchd_here
from tests.harness.engine import Engine
from tests.harness.process import Process
from tests.harness.registry import ADDRESS, registry
from tests.harness.waiting import wait_until
from tests.harness.watchd_process import Daemon, running, write_config
from watchd.store import Store

pytestmark = pytest.mark.newest

APP = f"{ADDRESS}/app"
POLICIES = """
mode = "{mode}"
grace = "0s"
schedule = "1s"
jitter = "0s"
[[cleanup.policies]]
name = "images"
kind = "image"
select.reference = ["127.0.0.1:5000/*", "parent:*"]
when.unused_for = "1s"
[[cleanup.policies]]
name = "volumes"
kind = "volume"
select.name = ["data"]
select.named = true
when.unused_for = "1s"
[[cleanup.policies]]
name = "networks"
kind = "network"
select.name = ["net"]
when.unused_for = "1s"
[[cleanup.policies]]
name = "exited"
kind = "container"
select.name = ["job"]
when.finished_for = "1s"
"""

# The daemon, but that it looks every second what it has missed.
TICKS_OFTEN = """
import watchd.daemon
watchd.daemon.TICK_INTERVAL = 1.0
from watchd.cli import main
main()
"""


def regretted(daemon: Daemon, kind: str, mode: str = "enforce") -> float:
    policy = {"image": "images", "volume": "volumes", "network": "networks", "container": "exited"}[kind]
    return daemon.value("watchd_prune_regretted_total", kind=kind, policy=policy, mode=mode) or 0.0


def rows(config: Path, *options: str) -> list[dict[str, Any]]:
    """Return what the history has."""
    return list(json.loads(watchd_here("history", "-c", config, "--json", *options).stdout))


def would_be_gone(config: Path) -> set[str]:
    """Return the kinds of what is absent in report mode and not needed again so far."""
    store = Store.open_read_only(config.parent / "state")
    assert store is not None
    with closing(store):
        open_ones = "SELECT kind FROM removal WHERE mode = 'report' AND needed_at IS NULL"
        return {kind for (kind,) in store._connection.execute(open_ones)}


@contextmanager
def frozen(daemon: Daemon) -> Iterator[None]:
    """Keep a daemon from doing anything."""
    process = Process.of(daemon.process.pid)
    process.freeze()
    try:
        yield
    finally:
        process.go_on()


def gone(docker_client: docker.DockerClient, *references: str) -> Callable[[], bool]:
    """Return whether none of these tags is here."""
    return lambda: not images.tags(docker_client) & set(references)


@pytest.fixture
def config(tmp_path: Path, clean_engine: Engine) -> Callable[[str], Path]:
    """Write a configuration with a mode."""
    return lambda mode: write_config(tmp_path, clean_engine.host, POLICIES.format(mode=mode))


def build(client: docker.DockerClient, tag: str, *, of: str = images.BASE) -> str:
    return images.build(client, tag, f"FROM {of}\nCOPY content /{tag.replace(':', '-')}\n", {"content": tag.encode()})


def run_once(client: docker.DockerClient, image: str, **options: Any) -> None:
    client.containers.run(image, ["true"], remove=True, **options)


def test_an_image_that_is_pulled_again_is_a_regret_and_a_newer_one_under_its_tag_is_none(
    tmp_path: Path, config: Callable[[str], Path], clean_engine: Engine, docker_client: docker.DockerClient
) -> None:
    (tmp_path / "registry").mkdir()
    with registry(clean_engine, tmp_path / "registry") as hub:
        for tag in ("one", "two"):
            build(docker_client, f"source:{tag}")
            hub.push(docker_client, f"source:{tag}", "app", tag)
            docker_client.images.remove(f"source:{tag}")
        hub.move("app", "latest", "one")
        with running(config("enforce")) as daemon:
            images.pull(docker_client, APP, "latest")
            wait_until(gone(docker_client, f"{APP}:latest"), seconds=30, what="the image to go")
            hub.move("app", "latest", "two")
            images.pull(docker_client, APP, "latest")
            wait_until(gone(docker_client, f"{APP}:latest"), seconds=30, what="the newer image to go")
            assert regretted(daemon, "image") == 0, daemon.log
            with frozen(daemon):  # it would remove the image between the pull and the start
                run_once(docker_client, f"{APP}:latest", name="again")
            wait_until(lambda: regretted(daemon, "image") == 1, seconds=20, what="the regret to be counted")
            wait_until(gone(docker_client, f"{APP}:latest"), seconds=30, what="the image to go again")
            file = tmp_path / "watchd.toml"
            (row,) = rows(file, "--regretted")
            assert (row["name"], row["mode"], row["outcome"]) == (f"{APP}:latest", "enforce", "removed")
            assert row["regretted_at"] >= row["time"]
            assert [each["regretted_at"] is not None for each in rows(file)] == [False, True, False]
            assert daemon.ask("/api/v1/history?regretted=true")["count"] == 1
            text = watchd_here("history", "-c", file, "--regretted").stdout
            assert "it was pulled" in text
            assert "Needed again: 1" in text
            assert f"image {APP}:latest: removed by images at" in daemon.log
            assert regretted(daemon, "image") == 1
        # Back for good: `explain` tells of it.
        images.pull(docker_client, APP, "latest")
        explained = watchd_here("explain", "-c", file, f"{APP}:latest")
        assert "removed by images at" in explained.stdout, explained
        assert "needed again after" in explained.stdout


def test_what_came_back_while_nobody_watched_is_found_at_the_next_start(
    config: Callable[[str], Path], docker_client: docker.DockerClient
) -> None:
    build(docker_client, "parent:1")
    archive = b"".join(docker_client.images.get("parent:1").save(named=True))
    file = config("enforce")
    with running(file):
        docker_client.volumes.create("data")
        wait_until(gone(docker_client, "parent:1"), seconds=30, what="the image to go")
        wait_until(lambda: not docker_client.volumes.list(), seconds=15, what="the volume to go")
    time.sleep(1.1)  # engines tell in whole seconds when a volume was made
    docker_client.images.load(archive)
    docker_client.volumes.create("data")
    with running(config("report"), command=(sys.executable, "-c", TICKS_OFTEN)) as daemon:
        wait_until(lambda: regretted(daemon, "volume") == 1, seconds=20, what="the volume's regret")
        wait_until(lambda: regretted(daemon, "image") == 1, seconds=60, what="the image's regret")
        assert {(row["kind"], row["needed_for"]) for row in rows(file, "--regretted")} == {
            ("image", "it is here again"),
            ("volume", "it was created again"),
        }


def test_in_report_mode_what_would_be_gone_is_missed_once(
    config: Callable[[str], Path], docker_client: docker.DockerClient
) -> None:
    build(docker_client, "parent:1")
    docker_client.volumes.create("data")
    docker_client.networks.create("net")
    job = docker_client.containers.create(images.BASE, ["true"], name="job")
    job.start()
    job.wait()
    file = config("report")

    with running(file) as daemon:
        kinds = {"image", "volume", "network", "container"}
        wait_until(lambda: would_be_gone(file) == kinds, seconds=30, what="the reports")
        time.sleep(2)  # for a row or a regret to come that should not
        assert rows(file) == []
        assert rows(file, "--regretted") == []
        job.start()
        build(docker_client, "child:1", of="parent:1")
        run_once(docker_client, images.BASE, network="net", volumes={"data": {"bind": "/data"}})
        missed = {"image": 1, "volume": 1, "network": 1, "container": 1}
        wait_until(
            lambda: {kind: regretted(daemon, kind, "report") for kind in missed} == missed, seconds=20, what="regrets"
        )
        assert {(row["kind"], row["mode"], row["outcome"]) for row in rows(file, "--regretted")} == {
            (kind, "report", "reported") for kind in missed
        }
        assert rows(file) == []
        assert "container job: in force it would have been removed by exited at" in daemon.log
        explained = watchd_here("explain", "-c", file, "data", "--json").stdout
        assert json.loads(explained)["regret"]["mode"] == "report"
        # It would go again, be it used in the meantime or not: that is another life.
        wait_until(lambda: "volume" in would_be_gone(file), seconds=30, what="the volume to be reported again")
        run_once(docker_client, images.BASE, volumes={"data": {"bind": "/data"}})
        wait_until(lambda: regretted(daemon, "volume", "report") == 2, seconds=20, what="the second regret")
        assert regretted(daemon, "network", "report") == 1
    assert [volume.name for volume in docker_client.volumes.list()] == ["data"]
