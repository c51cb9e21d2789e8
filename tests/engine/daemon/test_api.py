"""The daemon's JSON about real containers on a real engine."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.harness import images
from tests.harness.engine import Engine
from tests.harness.waiting import wait_until
from tests.harness.watchd_process import Daemon, running, watchd, write_config
from watchd.http import private

MIB = 1024 * 1024
BURN = "while :; do :; done"
POLICIES = """
mode = "{mode}"
grace = "0s"
jitter = "0s"
schedule = "0 4 1 1 *"
[[cleanup.policies]]
name = "exited"
kind = "container"
when.finished_for = "0s"
[[cleanup.policies]]
name = "when-full"
kind = "image"
pressure.high = "90%"
pressure.low = "80%"
"""


def rows(daemon: Daemon) -> dict[str, Any]:
    """Return what it tells of containers, by name."""
    return {row["name"]: row for row in daemon.ask("/api/v1/containers")["containers"]}


def soon(daemon: Daemon, name: str, holds: Callable[[Any], bool], what: str) -> Any:
    """Return what is told of a container once something holds of it."""

    def row() -> Any:
        found = rows(daemon).get(name)
        return found if found and holds(found) else None

    return wait_until(row, seconds=60, what=what)


def _about(cores: float, other: float) -> bool:
    return abs(cores - other) < 0.02


def docker_stats(client: docker.DockerClient, name: str) -> float:
    """Return the cores that a container uses as `docker stats` reckons it, between the engine's own two readings."""
    stats: Any = client.containers.get(name).stats(stream=False)
    used = stats["cpu_stats"]["cpu_usage"]["total_usage"] - stats["precpu_stats"]["cpu_usage"]["total_usage"]
    passed = stats["cpu_stats"]["system_cpu_usage"] - stats["precpu_stats"]["system_cpu_usage"]
    return float(used / passed * stats["cpu_stats"]["online_cpus"])


@pytest.mark.parametrize("source", ["cgroup", "api"])
def test_a_container_that_burns_cpu(
    tmp_path: Path, clean_engine: Engine, docker_client: docker.DockerClient, source: str
) -> None:
    docker_client.containers.run(
        images.BASE, ["sh", "-c", BURN], name="burner", detach=True, nano_cpus=50_000_000, mem_limit=64 * MIB
    )
    with running(write_config(tmp_path, clean_engine.host), WATCHD_METRICS__SOURCE=source) as daemon:
        row = soon(  # a busy machine may not let it use up its part of a core at once
            daemon,
            "burner",
            lambda row: (
                (row["throttled"] or 0) > 0.3
                and 0.02 < row["cpu_cores"] < 0.1
                and _about(row["cpu_cores"], docker_stats(docker_client, "burner"))
            ),
            "the CPU time that Docker tells, too",
        )
        assert 0 < row["memory_bytes"] < row["memory_limit_bytes"] == 64 * MIB
        assert row["network_receive_bytes_per_second"] >= 0
        assert (row["state"], row["restarts"], row["oom_killed"]) == ("running", 0, False)
        told = daemon.ask("/api/v1/containers")
        assert told["source"] == source
        assert told["host"]["cpus"] == os.cpu_count()
        assert 0 < told["host"]["memory_used_bytes"] < told["host"]["memory_bytes"]
        assert told["engine"]["version"] == docker_client.version()["Version"]


def test_the_last_hour_is_there_without_a_scrape(
    tmp_path: Path, clean_engine: Engine, docker_client: docker.DockerClient
) -> None:
    burner = docker_client.containers.run(
        images.BASE, ["sh", "-c", BURN], name="burner", detach=True, nano_cpus=100_000_000
    )
    with running(write_config(tmp_path, clean_engine.host)) as daemon:

        def points() -> Any:
            series = daemon.ask(f"/api/v1/series?id={burner.id}")["series"]["cpu_cores"]
            return series if series[-1:] not in ([], [None]) else None

        series = wait_until(points, seconds=90, what="a rate")
        assert 0 < series[-1] < 0.2
        tails = daemon.ask("/api/v1/series")["containers"]
        assert tails[burner.id]["series"]["cpu_cores"][: len(series)] == series[-20:]
        assert abs(tails["/"]["end"] - time.time()) < 60
        burner.remove(force=True)
        wait_until(
            lambda: daemon.get(f"/api/v1/series?id={burner.id}")[0] == 404, seconds=20, what="it to be forgotten"
        )


def test_every_state_is_told(tmp_path: Path, clean_engine: Engine, docker_client: docker.DockerClient) -> None:
    docker_client.containers.create(images.BASE, name="made", labels={"com.docker.compose.project": "shop"})
    docker_client.containers.run(images.BASE, ["sh", "-c", "sleep 0.5; exit 3"], name="ended", detach=True).wait()
    with running(write_config(tmp_path, clean_engine.host)) as daemon:
        made, ended = (rows(daemon)[name] for name in ("made", "ended"))
        assert (made["state"], made["compose_project"], made["started_at"]) == ("created", "shop", None)
        assert (ended["state"], ended["exit_code"], ended["cpu_cores"]) == ("exited", 3, None)
        assert ended["created_at"] <= ended["started_at"] <= ended["finished_at"]
        assert daemon.get("/api/v1/series?id=nothing")[0] == 404
        status, body = private.get(tmp_path / "state", "/api/v1/containers")
        assert status == 200
        assert {row["name"] for row in json.loads(body)["containers"]} == {"made", "ended"}


@pytest.mark.parametrize(("mode", "told"), [("enforce", "would_remove"), ("report", "would_report")])
def test_the_next_run_and_the_disks(
    tmp_path: Path, clean_engine: Engine, docker_client: docker.DockerClient, mode: str, told: str
) -> None:
    docker_client.containers.run(images.BASE, ["true"], name="ended", detach=True).wait()
    with running(write_config(tmp_path, clean_engine.host, POLICIES.format(mode=mode))) as daemon:
        following = daemon.ask("/api/v1/next")
        other = ({"would_remove", "would_report"} - {told}).pop()
        assert following["policies"] == ["exited", "when-full"]
        assert following["at"] > time.time()
        assert following[told]["container"]["count"] == 1
        assert following[other] == {}
        assert daemon.ask("/api/v1/next")["planned_at"] == following["planned_at"], "planned once a minute at the most"
        (disk,) = daemon.ask("/api/v1/disk")["disks"]
        usage = os.statvfs(disk["path"])
        size = (usage.f_blocks - usage.f_bfree + usage.f_bavail) * usage.f_frsize
        assert disk["size_bytes"] == pytest.approx(size, rel=0.05)
        assert disk["marks"] == [
            {"policy": "when-full", "high": round(disk["size_bytes"] * 0.9), "low": round(disk["size_bytes"] * 0.8)}
        ]
        names = [each.name for each in docker_client.containers.list(all=True)]
        assert names == ["ended"], "looking removes nothing"


def test_advice_is_worked_out_beside_the_daemon(tmp_path: Path, clean_engine: Engine) -> None:
    file = write_config(tmp_path, clean_engine.host, POLICIES.format(mode="report"))
    with running(file) as daemon:
        command = ("advise", "--json", "-c", file)
        wait_until(lambda: watchd(*command).returncode == 0, seconds=90, what="a record of watched time")
        wait_until(lambda: daemon.ask("/api/v1/advice")["state"] != "computing", seconds=90, what="the advice")
        answer = daemon.ask("/api/v1/advice")
        assert (answer["state"], answer["error"]) == ("ready", None)
        assert answer["advice"]["kinds"].keys() == {"container", "image", "network", "volume"}
        assert all(kind["note"].startswith("Too little is known") for kind in answer["advice"]["kinds"].values())
        wait_until(daemon.ready, seconds=20, what="it to be ready")
