"""Objects of a running Compose project stay, on a real engine with the labels that Compose sets."""

from pathlib import Path

import docker
import pytest

from tests.harness import images
from tests.harness.command import watchd_here
from tests.harness.engine import Engine
from tests.harness.watchd_process import decisions, plan_of, write_config

pytestmark = pytest.mark.newest

CLEANUP = """
mode = "enforce"
grace = "0s"
[cleanup.protect]
images = ["base"]
[[cleanup.policies]]
name = "created"
kind = "container"
when.never_started_for = "0s"
[[cleanup.policies]]
name = "images"
kind = "image"
when.unused_for = "0s"
[[cleanup.policies]]
name = "networks"
kind = "network"
when.unused_for = "0s"
"""
SHOP = {"com.docker.compose.project": "shop"}
OTHER = {"com.docker.compose.project": "other"}


def build(client: docker.DockerClient, tag: str, project: str) -> None:
    label = f"LABEL com.docker.compose.project={project}"
    images.build(client, tag, f"FROM {images.BASE}\n{label}\nCOPY f /f\n", {"f": tag.encode()})


def test_what_a_running_project_built_made_and_could_not_start_stays(
    tmp_path: Path, clean_engine: Engine, docker_client: docker.DockerClient
) -> None:
    config = write_config(tmp_path, clean_engine.host, CLEANUP)
    web = docker_client.containers.run(images.BASE, ["sleep", "600"], name="web", labels=SHOP, detach=True)
    build(docker_client, "shop-job:1", "shop")
    build(docker_client, "other-job:1", "other")
    for name, labels in (("shop_back", SHOP), ("other_back", OTHER)):
        docker_client.networks.create(name, labels=labels)
    docker_client.containers.create(images.BASE, name="shop-clash", labels=SHOP)
    restarts = docker_client.containers.create(images.BASE, name="restarts")
    restarts.update(restart_policy={"Name": "always"})
    docker_client.containers.create(images.BASE, name="other-clash", labels=OTHER)

    result = watchd_here("prune", "-c", config, "--yes", "--json")
    assert result.returncode == 0, result.stderr
    done = plan_of(result)
    assert {row for row in decisions(done, "remove") if row[1] != "<none>"} == {
        ("container", "other-clash", "remove", "never_started"),
        ("image", "other-job:1", "remove", "unused_too_long"),
        ("network", "other_back", "remove", "unused_too_long"),
    }
    assert decisions(done, "keep") >= {
        ("container", "shop-clash", "keep", "compose_active"),
        ("container", "restarts", "keep", "restart_policy"),
        ("image", "shop-job:1", "keep", "compose_active"),
        ("network", "shop_back", "keep", "compose_active"),
    }
    assert docker_client.images.get("shop-job:1").tags == ["shop-job:1"]
    told = watchd_here("explain", "-c", config, "shop-job:1").stdout
    assert "it stays as long as its Compose project is running" in told
    assert "project shop" in told

    web.remove(force=True)
    after = decisions(plan_of(watchd_here("prune", "-c", config, "--yes", "--json")), "remove")
    assert {name for _, name, _, _ in after} - {"<none>"} == {"shop-clash", "shop-job:1", "shop_back"}


def test_what_a_running_project_built_and_lost_its_tag_is_left_to_the_policies(
    tmp_path: Path, clean_engine: Engine, docker_client: docker.DockerClient
) -> None:
    config = write_config(tmp_path, clean_engine.host, CLEANUP)
    docker_client.containers.run(images.BASE, ["sleep", "600"], name="web", labels=SHOP, detach=True)
    build(docker_client, "shop-job:1", "shop")
    former = docker_client.images.get("shop-job:1").id
    user = docker_client.containers.create("shop-job:1")  # else containerd's store keeps nothing of it
    images.build(docker_client, "shop-job:1", f"FROM {images.BASE}\nLABEL com.docker.compose.project=shop\n")
    user.remove()
    items = plan_of(watchd_here("prune", "-c", config, "--yes", "--json"))["items"]
    assert [item["outcome"] for item in items if item["id"] == former] == ["removed"]
    assert docker_client.images.get("shop-job:1").id != former
