"""A Swarm of two nodes with `deploy/swarm`: watchd on each, what it leaves there, and a Prometheus that finds both.

The manager is of the newest Docker that can be had here, and gives containers a cgroup namespace of their own; the
worker is of this machine's own Docker, and does not.
"""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container
from prometheus_client.parser import text_string_to_metric_families

from tests import ROOT
from tests.harness import filling, images, newer, prometheus, swarm, watchd_image
from tests.harness.inside import run_inside
from tests.harness.install import UnavailableError
from tests.harness.prometheus import ensure_prometheus, promtool
from tests.harness.swarm import Node
from tests.harness.waiting import wait_until
from tests.harness.watchd_process import decisions, watchd

DEPLOY = ROOT / "deploy/swarm"
TOKEN = "read-only-token"  # noqa: S105 - of a test
PORT = 10210
DISKS = {"data": 1024 * filling.MEBIBYTE}

# The configuration of deploy/swarm, but that it waits for nothing, and runs only when it is told to.
CONFIG = """
[http]
bearer_token_file = "/run/secrets/watchd-token"
[cleanup]
mode = "enforce"
schedule = "30d"
jitter = "0s"
grace = "0s"
[[cleanup.policies]]
name = "unused-images"
kind = "image"
when.unused_for = "0s"
"""


@dataclass(frozen=True, slots=True)
class Watched:
    """A node on which a task of watchd runs."""

    node: Node
    client: docker.DockerClient

    def task(self, service: str) -> Container:
        """Return the one container of a service here."""
        [container] = self.tasks(service)
        return container

    def tasks(self, service: str) -> list[Container]:
        """Return the containers of a service here, in any state."""
        label = f"com.docker.swarm.service.name={service}"
        return list(self.client.containers.list(all=True, filters={"label": label}, ignore_removed=True))

    def prune(self, **environment: str) -> Any:
        """Have the watchd here clean, and return its plan with the outcomes."""
        clean = ["watchd", "prune", "--yes", "--json"]
        done = run_inside(self.task("watchd_watchd"), clean, environment=environment, apart=True)
        assert done.exit_code == 0, done.errors
        return json.loads(done.output)

    def runs(self, image: str) -> bool:
        """Return whether the service `web` runs from an image here, and nothing is left of what it ran from before."""
        return [(task.attrs["Config"]["Image"], task.status) for task in self.tasks("web")] == [(image, "running")]

    def is_healthy(self) -> bool:
        """Return whether the watchd here says so."""
        tasks = self.tasks("watchd_watchd")
        return [task.attrs["State"].get("Health", {}).get("Status") for task in tasks] == ["healthy"]

    def tags(self) -> set[str]:
        """Return the references of the images here."""
        return images.tags(self.client)


@pytest.fixture(scope="module")
def nodes(
    new_engine_directory: Callable[[], Path], watchd_tarball: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Watched, Watched]]:
    """A manager and a worker, on which the stack is deployed beside a service `web`, and images for its updates."""
    try:
        environment = newer.environment()
    except UnavailableError as error:
        pytest.skip(str(error))
    newest = {"environment": environment, "dockerd_args": ["--default-cgroupns-mode=private"]}
    directory = new_engine_directory()
    with (
        swarm.joined(directory, [{**newest, "disks": DISKS}, {"disks": DISKS}]) as (manager, worker),
        closing(manager.engine.client(timeout=300)) as first,
        closing(worker.engine.client(timeout=300)) as second,
    ):
        for client in (first, second):
            watchd_image.load(client, watchd_tarball)
            for tag in ("web:1", "web:2", "web:3", "other:1"):
                images.load_base(client, tag)
        start_web(manager)
        deploy(manager, directory, tmp_path_factory.mktemp("stack"))
        watched = Watched(manager, first), Watched(worker, second)
        try:
            for each in watched:
                wait_until(each.is_healthy, seconds=120, what=f"watchd on {each.node.name}")
            yield watched
        finally:
            for each in watched:
                for task in each.tasks("watchd_watchd"):
                    print(each.node.name, task.logs().decode(), sep="\n")  # noqa: T201 - shown if a test fails


def start_web(manager: Node) -> None:
    options = ["--detach", "--mode=global", "--no-resolve-image", "--endpoint-mode=dnsrr", "--stop-grace-period=1ms"]
    at_once = [f"--{change}-{how}" for change in ("update", "rollback") for how in ("parallelism=0", "monitor=1ms")]
    manager.docker("service", "create", "--name=web", *options, *at_once, "web:1", "sleep", "600")


def deploy(manager: Node, engines: Path, directory: Path) -> None:
    """Deploy the stack as its first lines say, with a configuration for this test, and asked sooner for its health."""
    stack = (DEPLOY / "stack.yml").read_text()
    assert stack.count("interval: 30s") == 1
    (directory / "stack.yml").write_text(stack.replace("interval: 30s", "interval: 5s"))
    (directory / "config.toml").write_text(CONFIG)
    manager.docker("secret", "create", "watchd-token", "-", stdin=TOKEN)
    manager.docker(
        *("stack", "deploy", "--resolve-image=never", f"--compose-file={directory}/stack.yml", "watchd"),
        WATCHD_IMAGE=watchd_image.TAG,
        DOCKER_GID=str(manager.engine.socket.stat().st_gid),
        DOCKER_SOCKET=f"{engines}/{{{{.Node.Hostname}}}}/docker.sock",
    )


def update_web(nodes: tuple[Watched, Watched], image: str) -> None:
    """Give the service another image, and wait until it runs from that on both nodes, and watchd has seen it there."""
    manager, _ = nodes
    manager.node.docker("service", "update", "--detach", "--no-resolve-image", f"--image={image}", "web")
    wait_for_web(nodes, image)
    wait_until(
        lambda: all(
            there.task("web").name
            in {labels.get("name") for labels, _ in series(ask(here, of=there), "container_start_time_seconds")}
            for here, there in (nodes, reversed(nodes))
        ),
        seconds=60,
        what=f"watchd to see {image} on both nodes",
    )


def wait_for_web(nodes: tuple[Watched, Watched], image: str) -> None:
    wait_until(lambda: all(each.runs(image) for each in nodes), seconds=60, what=f"{image} on both nodes")


def ask(watched: Watched, *, of: Watched, token: str = TOKEN) -> str:
    """Return the metrics of one node as another one gets them, "" where it gets none."""
    url = f"http://{of.node.address}:{PORT}/metrics"
    ask = ("busybox", "wget", "-q", "-O", "-", "--header", f"Authorization: Bearer {token}", url)
    asked = subprocess.run(watched.node.engine.inside(*ask), capture_output=True, text=True, check=False)
    return asked.stdout if asked.returncode == 0 else ""


def series(page: str, metric: str) -> list[tuple[dict[str, str], float]]:
    """Return labels and value of each series of a metric."""
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    return [(sample.labels, sample.value) for sample in samples if sample.name == metric]


def test_the_files_are_good(tmp_path: Path) -> None:
    ensure_prometheus()
    (tmp_path / "token").write_text(TOKEN)
    token = {"WATCHD_HTTP__BEARER_TOKEN_FILE": f"{tmp_path}/token"}
    checked = watchd("config", "check", "-c", DEPLOY / "config.toml", **token)
    assert checked.returncode == 0, checked.stderr
    config = tmp_path / "prometheus.yml"
    config.write_text((DEPLOY / "prometheus.yml").read_text().replace("/run/secrets/watchd-token", f"{tmp_path}/token"))
    checked = subprocess.run([promtool(), "check", "config", config], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_each_node_serves_its_own_containers_from_their_cgroups(nodes: tuple[Watched, Watched]) -> None:
    for here, there in (nodes, reversed(nodes)):
        web = there.task("web")
        page = ask(here, of=there)
        assert series(page, "watchd_sampler_info") == [({"source": "cgroup"}, 1)]
        memory = {
            labels["name"]: value for labels, value in series(page, "container_memory_usage_bytes") if "name" in labels
        }
        assert memory.keys() == {web.name, there.task("watchd_watchd").name}
        assert memory[str(web.name)] > 0
        received = {
            labels["name"] for labels, _ in series(page, "container_network_receive_bytes_total") if "name" in labels
        }
        assert web.name in received
        [(shown, _)] = [
            each for each in series(page, "container_start_time_seconds") if each[0].get("name") == web.name
        ]
        assert shown["id"] == f"{there.node.engine.cgroup_parent}/{web.id}"
        assert ask(here, of=there, token="another") == ""  # noqa: S106 - the wrong one


def test_what_services_run_from_and_would_go_back_to_stays_on_every_node(nodes: tuple[Watched, Watched]) -> None:
    update_web(nodes, "web:2")
    update_web(nodes, "web:3")
    for each in nodes:
        plan = each.prune()
        assert {
            ("image", "web:1", "remove", "unused_too_long"),
            ("image", "web:2", "keep", "swarm"),
            ("image", "web:3", "keep", "in_use"),
            ("image", "other:1", "remove", "unused_too_long"),
            ("image", watchd_image.TAG, "keep", "self"),
        } <= decisions(plan), each.node.name
        assert {item["outcome"] for item in plan["items"] if item["action"] == "remove"} == {"removed"}
        assert each.tags() == {"web:2", "web:3", watchd_image.TAG}
    manager, _ = nodes
    manager.node.docker("service", "rollback", "--detach", "web")
    wait_for_web(nodes, "web:2")


def test_prometheus_finds_every_node(nodes: tuple[Watched, Watched], tmp_path: Path) -> None:
    ensure_prometheus()
    (tmp_path / "token").write_text(TOKEN)
    manager, worker = nodes
    config = (DEPLOY / "prometheus.yml").read_text()
    for theirs, ours in {
        "/run/secrets/watchd-token": f"{tmp_path}/token",
        "unix:///var/run/docker.sock": manager.node.engine.host,
        "scrape_interval: 15s": "scrape_interval: 1s",
    }.items():
        assert config.count(theirs) == 1
        config = config.replace(theirs, ours)
    (tmp_path / "prometheus.yml").write_text(config)
    with prometheus.running(tmp_path / "prometheus.yml", tmp_path, through=manager.node.engine.inside()) as scraper:
        wanted = {(each.node.name, f"{each.node.address}:{PORT}", 1) for each in (manager, worker)}
        wait_until(
            lambda: (
                {(sample.labels["node"], sample.labels["instance"], sample.value) for sample in scraper.query("up")}
                == wanted
            ),
            seconds=60,
            what="it to scrape both",
        )


def test_each_node_makes_room_on_its_own_disk(nodes: tuple[Watched, Watched]) -> None:
    for each in nodes:
        images.load_base(each.client)
        filling.fill(each.client)
        low = filling.used_percent(each.node.engine.data_root) - 100 * 0.7 * filling.EACH / DISKS["data"]
        each.prune(**filling.policy(low + 0.1, low))
        assert filling.left(each.client), "it ends at the low mark"
        assert filling.used_percent(each.node.engine.data_root) <= low
