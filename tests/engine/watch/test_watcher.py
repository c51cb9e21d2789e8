"""The watch on a real engine: after any sequence of events the mirror is what a fresh list says."""

from collections.abc import Iterator
from dataclasses import replace

import docker
import pytest

from tests.harness import images
from tests.harness.engine import Engine
from tests.harness.inside import run_inside
from tests.harness.waiting import wait_until
from watchd.config.schema.config import Engine as EngineConfig
from watchd.engine import fresh_view
from watchd.engine.client import EngineClient
from watchd.engine.own_container import find_own
from watchd.engine.watch.drift import differences
from watchd.engine.watch.mirror import Mirror
from watchd.engine.watch.watcher import Watch
from watchd.model import Container, EngineView, Key

pytestmark = pytest.mark.newest


class Watched:
    """A mirror that a watch keeps."""

    def __init__(self, host: str) -> None:
        self.client = EngineClient(EngineConfig(host=host), read_only=True)
        self.mirror = Mirror()
        self.watch = Watch(self.client, self.mirror)

    def by_name(self) -> dict[str, Container]:
        return {container.name: container for container in self.mirror.view.containers}

    def fresh(self) -> EngineView:
        return fresh_view.take(self.client, find_own(), quick=True)

    def agrees(self) -> bool:
        """Return whether the mirror is what the engine lists now."""
        fresh = self.fresh()
        listed = {each.name: replace(each, log_size=None) for each in fresh.containers}  # a run measures logs at once
        return self.by_name() == listed and not self.differs(fresh)

    def differs(self, fresh: EngineView) -> set[Key]:
        return differences(self.mirror.view, fresh)


@pytest.fixture
def watched(clean_engine: Engine) -> Iterator[Watched]:
    watched = Watched(clean_engine.host)
    watched.watch.start()
    wait_until(lambda: watched.watch.ready, seconds=10, what="the first list")
    yield watched
    watched.watch.stop()
    watched.client.close()


def test_every_change_of_a_container_reaches_the_mirror(watched: Watched, docker_client: docker.DockerClient) -> None:
    def settled() -> None:
        wait_until(watched.agrees, seconds=5, what="the mirror to agree with the engine")

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
    assert run_inside(container, ["touch", "/ok"]).exit_code == 0
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


def test_a_burst_of_short_containers_leaves_the_mirror_right(
    watched: Watched, docker_client: docker.DockerClient
) -> None:
    for index in range(12):
        docker_client.containers.run(images.BASE, ["true"], name=f"c{index}", detach=True, auto_remove=index % 2 == 0)
    wait_until(
        lambda: [each.status for each in watched.by_name().values()] == ["exited"] * 6, seconds=10, what="all to end"
    )
    assert watched.agrees()


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

    def is_told() -> bool:
        greedy.reload()  # Docker 20.10 does not know it when it hears of the end first and of the reason afterwards
        seen = watched.by_name().get("greedy")
        return seen is not None and (seen.exit_code, seen.oom_killed) == (137, greedy.attrs["State"]["OOMKilled"])

    wait_until(is_told, seconds=15, what="the OOM kill")


def test_images_networks_and_volumes_are_followed_one_by_one(
    watched: Watched, docker_client: docker.DockerClient
) -> None:
    def settled() -> None:
        wait_until(watched.agrees, seconds=10, what="the mirror to agree with the engine")

    settled()
    before = dict(watched.client.requests_made.made())
    volume = docker_client.volumes.create("data")
    network = docker_client.networks.create("net")
    first = images.build(docker_client, "app:1", f"FROM {images.BASE}\nLABEL a=1\n")
    second = images.build(docker_client, "app:1", f"FROM {images.BASE}\nLABEL a=2\n")  # which takes the tag away
    docker_client.images.get(second).tag("app", "2")
    web = docker_client.containers.run("app:2", ["sleep", "600"], name="web", detach=True, volumes=["data:/data"])
    network.connect(web)
    wait_until(
        lambda: "web" in watched.by_name() and "net" in watched.by_name()["web"].networks,
        seconds=10,
        what="the container in its network",
    )
    wait_until(
        lambda: "app:2" in {tag for each in watched.mirror.view.images for tag in each.tags}, seconds=10, what=""
    )
    lists = {("GET", "/images/json"), ("GET", "/volumes"), ("GET", "/networks"), ("GET", "/containers/json")}
    after = watched.client.requests_made.made()
    assert {each: after[each][0] - before[each][0] for each in lists} == dict.fromkeys(lists, 0), "nothing is listed"
    settled()
    web.remove(force=True)
    network.remove()
    volume.remove()
    docker_client.images.remove("app:1")
    docker_client.images.remove("app:2")
    docker_client.images.prune(filters={"dangling": True})
    settled()
    assert first not in {each.id for each in watched.mirror.view.images}
    docker_client.volumes.create()
    docker_client.networks.create("unused")
    settled()
    docker_client.volumes.prune()  # which has no event for each of them
    docker_client.networks.prune()
    watched.watch.compare(watched.fresh())  # the mirror has not taken their events yet
    settled()
    wait_until(lambda: watched.watch.drift.due() is None, seconds=10, what="what differed to be decided on")
    assert not any(watched.watch.drift.counts().values())
