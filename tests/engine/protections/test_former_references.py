"""Images that lost their tag to a rebuild or a pull, on a real engine: what they are called, and which of them stay."""

import os
import time
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.harness import images
from tests.harness.command import watchd_here
from tests.harness.engine import Engine
from tests.harness.registry import ADDRESS, registry
from tests.harness.waiting import wait_until
from tests.harness.watchd_process import plan_of, running, write_config

pytestmark = pytest.mark.newest(stores="both")

ONE_OLDER = """
mode = "enforce"
grace = "0s"
schedule = "24h"
[[cleanup.policies]]
name = "before"
kind = "image"
select.class = ["dangling", "digest_only"]
when.unused_for = "0s"
keep.last = 1
keep.per = "repository"
"""
SERVICES = ("web", "api")
BUILDKIT = "FROM {}\nRUN echo {} > /n\n"


def former(plan: Any) -> dict[str, list[str]]:
    """Return the former references of each image in a plan, by its ID."""
    return {
        item["id"]: [each["reference"] for each in item["facts"].get("former_references", [])]
        for item in plan["items"]
        if item["kind"] == "image"
    }


def dry_run(config: Path) -> dict[str, list[str]]:
    """Return the former references of each image by a look of a command."""
    return former(plan_of(watchd_here("prune", "-c", config, "--dry-run", "--json")))


def removed(config: Path) -> set[str]:
    """Run the policies. Return the IDs of what went."""
    items = plan_of(watchd_here("prune", "-c", config, "--yes", "--json"))["items"]
    return {item["id"] for item in items if item.get("outcome") == "removed"}


def _rebuild(client: docker.DockerClient, service: str) -> str:
    """Build an image of a service with other content than before. Return its ID."""
    dockerfile = f"FROM {images.BASE}\nCOPY content /content\n"
    return images.build(client, f"{service}:latest", dockerfile, {"content": os.urandom(64)})


def test_after_rebuilds_one_older_image_of_each_service_stays_beside_a_daemon(
    tmp_path: Path, clean_engine: Engine, docker_client: docker.DockerClient
) -> None:
    config = write_config(tmp_path, clean_engine.host, ONE_OLDER)
    with running(config) as daemon:
        rounds = []
        for _ in range(4):
            rounds.append([_rebuild(docker_client, service) for service in SERVICES])
            time.sleep(1.1)  # engines tell in whole seconds when an image was built
        built = {service: list(ids[:-1]) for service, ids in zip(SERVICES, zip(*rounds, strict=True), strict=True)}
        known = {id_: [f"{service}:latest"] for service, ids in built.items() for id_ in ids}
        wait_until(lambda: known.items() <= dry_run(config).items(), seconds=15, what="the record of the daemon")
        wait_until(
            lambda: known.items() <= former(daemon.ask("/api/v1/plan")).items(), seconds=90, what="the daemon's plan"
        )
        told = watchd_here("explain", "-c", config, built["web"][0]).stdout
        assert told.startswith("image <none>, was web:latest until ")
        assert removed(config) == {id_ for ids in built.values() for id_ in ids[:-1]}
    for ids in built.values():
        assert docker_client.images.get(ids[-1]).tags == []
    history = watchd_here("history", "-c", config).stdout
    assert history.count("<none>, was web:latest until") == history.count("<none>, was api:latest until") == 2


def test_after_pulls_one_older_image_of_each_service_stays_by_looks_of_commands(
    tmp_path: Path, clean_engine: Engine, docker_client: docker.DockerClient
) -> None:
    config = write_config(tmp_path, clean_engine.host, f"count_unwatched = true\n{ONE_OLDER}")
    pulled: dict[str, list[str]] = {service: [] for service in SERVICES}
    with registry(clean_engine, tmp_path) as local:
        for number in range(3):
            for service in SERVICES:
                images.build(docker_client, "new", f"FROM {images.BASE}\nCOPY f /f\n", {"f": os.urandom(99)})
                local.push(docker_client, "new", service, f"{number}")
                docker_client.images.remove("new")
        for number in range(3):
            for service in SERVICES:
                local.move(service, "latest", to=f"{number}")
                pulled[service].append(str(docker_client.images.pull(f"{ADDRESS}/{service}", "latest").id))
            dry_run(config)
    assert removed(config) == {id_ for ids in pulled.values() for id_ in ids[:-2]}


def test_what_a_build_with_buildkit_leaves_of_the_image_before(
    tmp_path: Path, clean_engine: Engine, docker_client: docker.DockerClient
) -> None:
    """Nothing where the images are in containerd's store, as docs/cookbook.md says, not even while a container runs."""
    config = write_config(tmp_path, clean_engine.host, ONE_OLDER)
    images.build_with_buildkit(clean_engine.host, BUILDKIT.format(images.BASE, 1), "--tag", "web")
    first = str(docker_client.images.get("web").id)
    docker_client.containers.run("web", ["sleep", "600"], detach=True)
    dry_run(config)
    images.build_with_buildkit(clean_engine.host, BUILDKIT.format(images.BASE, 2), "--tag", "web")
    in_containerd = docker_client.info()["Driver"] == "overlayfs"
    assert dry_run(config).get(first) == (None if in_containerd else ["web:latest"])
