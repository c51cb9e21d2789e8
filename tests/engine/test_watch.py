"""The watch on a real engine: after any sequence of events the inventory is what a fresh list says."""

from collections.abc import Iterator

import docker
import pytest

from tests.harness import images
from tests.harness.engine import Engine
from tests.harness.waiting import wait_until
from watchd.config.schema import Engine as EngineConfig
from watchd.engine.client import EngineClient
from watchd.engine.watch import Watch
from watchd.metrics.inventory import Inventory
from watchd.model import Container


class Watched:
    """An inventory that a watch keeps."""

    def __init__(self, host: str) -> None:
        self.client = EngineClient(EngineConfig(host=host), read_only=True)
        self.inventory = Inventory()
        self.watch = Watch(self.client, [self.inventory])

    def by_name(self) -> dict[str, Container]:
        return {container.name: container for container in self.inventory.current()}

    def agrees(self) -> bool:
        """Return whether the inventory is what the engine lists now."""
        return self.by_name() == {container.name: container for container in self.client.containers()}


@pytest.fixture
def watched(clean_engine: Engine) -> Iterator[Watched]:
    watched = Watched(clean_engine.host)
    watched.watch.start()
    wait_until(lambda: watched.watch.ready, seconds=10, what="the first list")
    yield watched
    watched.watch.stop()
    watched.client.close()


def test_every_change_of_a_container_reaches_the_inventory(
    watched: Watched, docker_client: docker.DockerClient
) -> None:
    def settled() -> None:
        wait_until(watched.agrees, seconds=5, what="the inventory to agree with the engine")

    container = docker_client.containers.create(
        images.BASE,
        ["sleep", "600"],
        name="one",
        healthcheck={"test": ["CMD", "test", "-e", "/ok"], "interval": 200_000_000, "retries": 1},
    )
    settled()
    assert watched.by_name()["one"].status == "created"
    container.start()
    wait_until(lambda: watched.by_name()["one"].health == "unhealthy", seconds=10, what="the health check to fail")
    assert container.exec_run("touch /ok").exit_code == 0
    wait_until(lambda: watched.by_name()["one"].health == "healthy", seconds=10, what="the health check to pass")
    container.pause()
    settled()
    assert watched.by_name()["one"].status == "paused"
    container.unpause()
    container.rename("two")
    container.update(mem_limit="64m", memswap_limit="64m")
    settled()
    container.restart(timeout=0)
    settled()
    container.kill()
    settled()
    assert watched.by_name()["two"].exit_code == 137
    container.remove()
    settled()
    assert watched.by_name() == {}


def test_a_burst_of_short_containers_leaves_the_inventory_right(
    watched: Watched, docker_client: docker.DockerClient
) -> None:
    for index in range(12):
        docker_client.containers.run(images.BASE, ["true"], name=f"c{index}", detach=True, auto_remove=index % 2 == 0)
    wait_until(lambda: watched.agrees() and len(watched.by_name()) == 6, seconds=10, what="the inventory to agree")
    assert all(container.status == "exited" for container in watched.by_name().values())


def test_restarts_by_policy_and_ooms_are_seen(watched: Watched, docker_client: docker.DockerClient) -> None:
    docker_client.containers.run(
        images.BASE,
        ["sh", "-c", "sleep 0.1; exit 7"],
        name="restarts",
        detach=True,
        restart_policy={"Name": "on-failure", "MaximumRetryCount": 2},
    )
    greedy = docker_client.containers.run(
        images.BASE, ["tail", "-c", "100m", "/dev/zero"], name="greedy", detach=True, mem_limit="8m", memswap_limit="8m"
    )
    wait_until(
        lambda: (
            watched.by_name().get("restarts") is not None
            and watched.by_name()["restarts"].restart_count == 2
            and watched.by_name()["restarts"].status == "exited"
        ),
        seconds=15,
        what="the restarts",
    )
    wait_until(lambda: watched.by_name()["greedy"].exit_code == 137, seconds=15, what="the OOM kill")
    greedy.reload()  # Docker 20.10 does not know it when it hears of the end first and of the reason afterwards
    assert watched.by_name()["greedy"].oom_killed == greedy.attrs["State"]["OOMKilled"]
