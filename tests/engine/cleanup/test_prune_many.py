"""A host with some hundred objects of every kind: dry run, real run, history and engine agree, object by object."""

import json
import os
import random
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker

from tests.harness import images
from tests.harness.command import watchd_here
from tests.harness.engine import Engine
from tests.harness.watchd_process import plan_of, write_config

CONTAINERS = 160
IMAGES = 40

CLEANUP = """
mode = "enforce"
grace = "0s"
[cleanup.protect]
images = ["base", "keep-*"]
volumes = ["keep-*"]
[[cleanup.policies]]
name = "ended"
kind = "container"
select.status = ["exited", "dead"]
when.finished_for = "0s"
keep = {last = 2, per = "name"}
[[cleanup.policies]]
name = "never-started"
kind = "container"
when.never_started_for = "0s"
anonymous_volumes = true
[[cleanup.policies]]
name = "images"
kind = "image"
when.unused_for = "0s"
[[cleanup.policies]]
name = "volumes"
kind = "volume"
select = {named = true, name = ["*"]}
when.unused_for = "0s"
[[cleanup.policies]]
name = "networks"
kind = "network"
when.unused_for = "0s"
"""


def fill(client: docker.DockerClient, draw: random.Random) -> None:
    """Make images with tags, parents and layers in common, and containers, volumes and networks that use each other."""
    made = [images.BASE, *_build_images(client, draw)]
    networks = [client.networks.create(f"net-{number}").name for number in range(12)]
    volumes = [client.volumes.create(f"{draw.choice(['keep', 'data'])}-{number}").name for number in range(20)]
    drawn = [
        {
            "name": f"job{number % 7}-{number}",
            "image": draw.choice(made),
            "labels": draw.choice([{}, {}, {}, {"watchd.keep": "true"}]),
            "network": draw.choice([*networks[:8], None, None]),
            "volumes": draw.choice([[], [], [f"{draw.choice(volumes[:12])}:/data"], ["/anonymous"]]),
        }
        for number in range(CONTAINERS)
    ]

    def create(options: dict[str, Any]) -> None:
        client.containers.create(command=["true"], **options)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(create, drawn))
    for options in drawn[::8]:  # of images that have a program to run
        if options["image"] == images.BASE or draw.random() < 0.5:
            client.containers.get(str(options["name"])).start()


def _build_images(client: docker.DockerClient, draw: random.Random) -> list[str]:
    """Build images on each other, several at once. Return their IDs."""
    names = [draw.choice(["app", "keep-app", "tool"]) + f"-{number}:1" for number in range(IMAGES)]
    parents = [draw.randrange(-1, number) for number in range(IMAGES)]  # -1: the base image
    further = [draw.choice([0, 0, 0, 1, 2]) for _ in names]
    built: list[Future[str]] = []

    def build(number: int) -> str:
        on = built[parents[number]].result() if parents[number] >= 0 else images.BASE
        return images.build(client, names[number], f"FROM {on}\nCOPY f /f{number}\n", {"f": os.urandom(200)})

    with ThreadPoolExecutor(4) as pool:
        for number in range(IMAGES):
            built.append(pool.submit(build, number))  # noqa: PERF401 - a build waits for one that is in the list
    for number, image in enumerate(each.result() for each in built):
        for again in range(further[number]):
            client.images.get(image).tag(f"also-{number}-{again}", "1")
        if draw.random() < 0.25 and not further[number]:
            client.images.get(images.BASE).tag(names[number])  # it loses its only tag
    return [each.result() for each in built]


def objects(client: docker.DockerClient) -> set[tuple[str, str]]:
    """Return what the engine has."""
    return {
        *(("container", str(each.id)) for each in client.containers.list(all=True)),
        *(("image", str(each.id)) for each in client.images.list(all=True)),
        *(("network", str(each.id)) for each in client.networks.list()),
        *(("volume", str(each.id)) for each in client.volumes.list()),
    }


def acted_on(plan: Any) -> list[tuple[str, ...]]:
    fields = ("kind", "id", "name", "action", "policy", "reason")
    return [tuple(item[field] for field in fields) for item in plan["items"] if item["action"] != "keep"]


def test_dry_run_real_run_history_and_engine_agree(
    client: docker.DockerClient, clean_engine: Engine, tmp_path: Path
) -> None:
    fill(client, random.Random(7))  # noqa: S311 - for tests
    config = write_config(tmp_path, clean_engine.host, CLEANUP)
    before = objects(client)
    dry = plan_of(watchd_here("prune", "-c", config, "--dry-run", "--json"))
    assert objects(client) == before
    assert {(item["kind"], item["id"]) for item in dry["items"]} == before, "each object has a decision"

    result = watchd_here("prune", "-c", config, "--yes", "--json")
    assert result.returncode == 0, result.stderr
    real = plan_of(result)
    assert acted_on(real) == acted_on(dry)
    assert {item["outcome"] for item in real["items"] if item["action"] != "keep"} == {"removed"}
    gone = {(item["kind"], item["id"]) for item in real["items"] if item["action"] == "remove"}
    assert objects(client) == before - gone
    by_kind = {kind: sum(1 for each, _ in gone if each == kind) for kind in ("container", "image", "network", "volume")}
    assert by_kind["container"] > 50, by_kind
    assert min(by_kind.values()) > 2, by_kind

    rows = json.loads(watchd_here("history", "-c", config, "--json").stdout)
    fields = ("kind", "id", "name", "action", "policy", "reason")
    told = sorted(tuple(row[field] for field in fields) for row in rows)
    assert told == sorted(acted_on(real))
    assert {row["outcome"] for row in rows} == {"removed"}

    again = plan_of(watchd_here("prune", "-c", config, "--yes", "--json"))
    assert acted_on(again) == []
