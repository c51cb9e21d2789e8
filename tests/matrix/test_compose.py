"""`deploy/compose`: what Compose reads in it, and the whole of it but Grafana, run on a real engine.

The images of registries are stood in for by the same programs as Debian builds them; watchd's is built.
"""

import json
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from tests import ROOT
from tests.engine.watch.test_security import READING, WRITING
from tests.harness import filling, images, standins, watchd_image
from tests.harness.engine import Engine
from tests.harness.inside import run_inside
from tests.harness.install import UnavailableError
from tests.harness.plugins import ensure_compose
from tests.harness.waiting import wait_until
from watchd.config.load import load

DIRECTORY = ROOT / "deploy/compose"
SOCKET = "/run/engine/docker.sock"

# What nobody needs who watches and cleans, and what tries to look like what watchd needs.
NEEDED_BY_NOBODY = [
    ("GET", "/containers/{id}/archive?path=/"),
    ("GET", "/containers/{id}/export"),
    ("GET", "/containers/{id}/logs?stdout=1"),
    ("GET", "/containers/{id}%2Farchive/json"),
    ("GET", "/containers/json/../{id}/archive"),
    ("GET", "/images/get?names=base"),
    ("GET", "/secrets"),
    ("GET", "/volumes/..%2Fsecrets"),
    ("GET", "/plugins"),
    ("PUT", "/containers/{id}/archive?path=/"),
    ("POST", "/containers/create"),
    ("POST", "/containers/{id}/exec"),
    ("POST", "/containers/{id}/stop"),
    ("POST", "/containers/prune"),
    ("POST", "/images/prune"),
    ("POST", "/build/prune"),
    ("POST", "/build/prune?all=1"),
    ("POST", "/build/prune?all=1&filters=%7B%7D"),
    ("POST", "/build/prune?all=1&filters=%7B%22unused-for%22%3A+%5B%221s%22%5D%7D"),
    ("POST", "/build/prune?all=1&filters=%7B%22id%22%3A%5B%22.%2A%22%5D%7D"),
    ("POST", "/build/prune?all=1&filters=%7B%22id%22%3A%5B%22%5E%28abc%29%24%22%5D%7D&filters=%7B%7D"),
    ("POST", "/build/prune?filters=%7B%7D&all=1&filters=%7B%22id%22%3A%5B%22%5E%28abc%29%24%22%5D%7D"),
    ("POST", "/info"),
    ("DELETE", "/containers/{id}?force=1"),
    ("DELETE", "/containers/{id}?force=0&v=1"),
    ("DELETE", "/containers/{id}?%66orce=1"),
    ("DELETE", "/images/{id}?force=true"),
    ("DELETE", "/containers/{id}/json"),
    ("DELETE", "/services/{id}"),
]

CLEANS = {
    "WATCHD_CLEANUP__MODE": "enforce",
    "WATCHD_CLEANUP__GRACE": "0s",
    "WATCHD_CLEANUP__POLICIES": json.dumps(
        [
            {"name": "done", "kind": "container", "select": {"name": ["done"]}, "when": {"finished_for": "0s"}},
            {"name": "old", "kind": "image", "select": {"repository": ["old"]}, "when": {"unused_for": "0s"}},
            {"name": "apart", "kind": "network", "select": {"name": ["apart"]}, "when": {"unused_for": "0s"}},
            {"name": "nameless", "kind": "volume", "select": {"anonymous": True}, "when": {"unused_for": "0s"}},
            {"name": "cache", "kind": "build_cache", "when": {"unused_for": "0s"}},
        ]
    ),
}

# Asks for each of its arguments, "METHOD PATH", and tells the status, a line each.
ASK = f"""
import http.client, socket, sys
for line in sys.argv[1:]:
    method, path = line.split()
    connection = http.client.HTTPConnection("engine", timeout=30)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect("{SOCKET}")
    connection.request(method, path)
    print(connection.getresponse().status)
    connection.close()
"""


class Compose:
    """Compose with `compose.yaml`, on one engine."""

    def __init__(self, program: Path, host: str, **settings: str) -> None:
        self._program = program
        self._environment = {"DOCKER_HOST": host, "PATH": "/usr/bin:/bin", "GRAFANA_PASSWORD": "secret", **settings}

    def __call__(self, *arguments: str, **settings: str) -> str:
        """Run it, and return what it printed."""
        done = subprocess.run(
            [self._program, "--file", DIRECTORY / "compose.yaml", *arguments],
            env={**self._environment, **settings},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def program() -> Path:
    try:
        return ensure_compose()
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def read(program: Path) -> Any:
    """The file as Compose understands it."""
    return json.loads(Compose(program, "unix:///nowhere")("config", "--format", "json"))


def test_each_service_is_confined_pinned_and_checked(read: Any) -> None:
    assert read["services"].keys() == {"proxy", "watchd", "prometheus", "grafana"}
    for name, service in read["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["restart"] == "unless-stopped", name
        assert {port["host_ip"] for port in service.get("ports", [])} <= {"127.0.0.1"}, name
        assert not service.get("privileged"), name
        if name == "watchd":
            assert Path(service["build"]["context"]) == ROOT
            assert "HEALTHCHECK" in (ROOT / "Dockerfile").read_text()
        else:
            assert re.fullmatch(r".+:v?\d+\.\d+\.\d+[\w.-]*", service["image"]), name
            assert service["healthcheck"]["test"], name


def test_what_is_mounted_is_there_and_only_the_proxy_has_the_socket(read: Any) -> None:
    with_socket = set()
    for name, service in read["services"].items():
        for mount in service["volumes"]:
            if mount["type"] == "volume":
                assert mount["source"] in read["volumes"], name
            elif mount["source"].startswith(str(ROOT)):
                assert Path(mount["source"]).exists(), name
                assert mount["read_only"] is True, name
            elif mount["source"].endswith("docker.sock"):
                with_socket.add(name)
            else:
                assert (name, mount["source"], mount["read_only"]) == ("watchd", "/sys/fs/cgroup", True)
    assert with_socket == {"proxy"}
    assert read["services"]["proxy"]["network_mode"] == "none"


def test_nothing_is_removed_unless_one_asks_for_it(program: Path, read: Any) -> None:
    modes = [read["services"][name]["environment"] for name in ("watchd", "proxy")]
    assert [modes[0]["WATCHD_CLEANUP__MODE"], modes[1]["WATCHD_MODE"]] == ["report", "report"]
    enforcing = json.loads(Compose(program, "unix:///nowhere", WATCHD_MODE="enforce")("config", "--format", "json"))
    modes = [enforcing["services"][name]["environment"] for name in ("watchd", "proxy")]
    assert [modes[0]["WATCHD_CLEANUP__MODE"], modes[1]["WATCHD_MODE"]] == ["enforce", "enforce"]
    config = load(DIRECTORY / "watchd.toml")
    assert {config.cleanup.mode_of(policy) for policy in config.cleanup.policies} == {"report"}
    assert "mode" not in {key for policy in _toml("watchd.toml")["cleanup"]["policies"] for key in policy}


def _toml(name: str) -> Any:
    return tomllib.loads((DIRECTORY / name).read_text())


def test_grafana_is_given_the_dashboard_and_its_prometheus(read: Any) -> None:
    mounts = {mount["target"]: Path(mount["source"]) for mount in read["services"]["grafana"]["volumes"]}
    provider = mounts["/etc/grafana/provisioning/dashboards/watchd.yml"].read_text()
    path = re.search(r"path: (\S+) }", provider)
    assert path
    assert (mounts[path[1]] / "watchd.json").is_file()
    home = read["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{path[1]}/watchd.json"
    datasource = mounts["/etc/grafana/provisioning/datasources/watchd.yml"].read_text()
    assert "url: http://prometheus:9090" in datasource
    interval = re.search(r"scrape_interval: (\w+)", (DIRECTORY / "prometheus.yml").read_text())
    assert interval
    assert f"timeInterval: {interval[1]}," in datasource


class Host:
    """A host with all of it but Grafana."""

    def __init__(self, engine: Engine, client: docker.DockerClient, compose: Compose) -> None:
        self.engine = engine
        self.client = client
        self.compose = compose

    def up(self, *services: str, **settings: str) -> None:
        """Start it; watchd once the proxy's health check says that it is well."""
        self.compose("up", "--detach", "--no-build", "--pull", "never", *services, **settings)
        wait_until(self._watchd_answers, seconds=60, what="watchd to be ready")

    def _watchd_answers(self) -> bool:
        return self.get("http://127.0.0.1:10210/readyz") != ""

    def service(self, name: str) -> Container:
        return self.client.containers.get(f"watchd-{name}-1")

    def get(self, url: str) -> str:
        """Return what someone on the host reads at a published port, "" where nothing answers, as after a start."""
        ask = f"import urllib.request as r; print(r.urlopen({url!r}, timeout=10).read().decode())"
        return subprocess.run(
            self.engine.inside(sys.executable, "-c", ask), capture_output=True, text=True, check=False
        ).stdout

    def query(self, expression: str) -> dict[str, float]:
        """Return what Prometheus answers, by the name of each series."""
        answer = self.get(f"http://127.0.0.1:9090/api/v1/query?query={expression}")
        result = json.loads(answer)["data"]["result"] if answer else []
        return {series["metric"].get("name", ""): float(series["value"][1]) for series in result}

    def ask(self, *requests: tuple[str, str]) -> dict[tuple[str, str], int]:
        """Return what the proxy answers watchd's user to requests."""
        web = self.client.containers.get("web")
        lines = [f"{method} {path.replace('{id}', str(web.id))}" for method, path in requests]
        done = run_inside(self.service("watchd"), ["python3", "-c", ASK, *lines])
        assert done.exit_code == 0, done.output
        return dict(zip(requests, map(int, done.output.split()), strict=True))

    def prune(self, how: str, environment: Mapping[str, str] = CLEANS) -> tuple[int, set[tuple[str, str | None]]]:
        """Have watchd remove what is there for that. Return its exit code, and what was to go: kinds with outcomes."""
        clean = ["watchd", "prune", how, "--json"]
        done = run_inside(self.service("watchd"), clean, environment=environment, apart=True)
        items = [item for item in json.loads(done.output)["items"] if item["action"] != "keep"]
        return done.exit_code, {(item["kind"], item.get("outcome")) for item in items}


@pytest.fixture(scope="module")
def host(new_engine_directory: Callable[[], Path], program: Path, read: Any, watchd_tarball: Path) -> Iterator[Host]:
    """All of it, on an engine with a small disk."""
    with (
        Engine.start(new_engine_directory(), disks={"data": 1024 * filling.MEBIBYTE}) as engine,
        closing(engine.client(timeout=300)) as client,
    ):
        try:
            standins.haproxy(client, read["services"]["proxy"]["image"])
            standins.prometheus(client, read["services"]["prometheus"]["image"])
        except UnavailableError as error:
            pytest.skip(str(error))
        watchd_image.load(client, watchd_tarball)
        paths = {"DOCKER_SOCKET": str(engine.socket), "DOCKER_ROOT": str(engine.data_root)}
        host = Host(engine, client, Compose(program, engine.host, **paths))
        client.containers.run(images.BASE, ["sleep", "600"], name="web", detach=True)
        try:
            host.up("proxy", "watchd", "prometheus")
            yield host
        finally:
            print(host.compose("logs", "--no-color"))  # noqa: T201 - pytest shows it where a test fails
            host.compose("down", "--volumes", "--timeout", "1")
            client.containers.get("web").remove(force=True)
            for service in ("proxy", "prometheus", "watchd"):
                client.images.remove(read["services"][service]["image"], force=True)


def test_prometheus_has_what_containers_use_by_way_of_the_proxy(host: Host) -> None:
    names = {"web", "watchd-proxy-1", "watchd-watchd-1", "watchd-prometheus-1"}
    used = "container_memory_working_set_bytes{name!=%22%22}"
    wait_until(lambda: host.query(used).keys() == names, seconds=60, what="a scrape")
    assert host.query("up") == {"": 1}
    assert host.query("watchd_sampler_info{source=%22cgroup%22}") == {"": 1}
    assert host.query("watchd_disk_used_bytes/watchd_disk_size_bytes")[""] < 1
    rules = json.loads(host.get("http://127.0.0.1:9090/api/v1/rules"))["data"]["groups"]
    assert {group["name"] for group in rules} >= {"watchd", "watchd-containers", "watchd-disk", "watchd-itself"}


@pytest.mark.parametrize("service", ["proxy", "prometheus"])
def test_its_health_check_says_that_it_is_well(service: str, host: Host) -> None:
    """That of watchd is the image's: see test_image."""
    wait_until(lambda: host.service(service).health == "healthy", seconds=60, what=f"{service} to be healthy")


def test_the_events_come_through_the_proxy(host: Host) -> None:
    host.client.containers.run(images.BASE, ["sleep", "600"], name="later", detach=True)
    try:
        wait_until(lambda: 'name="later"' in host.get("http://127.0.0.1:10210/metrics"), seconds=30, what="its series")
    finally:
        host.client.containers.get("later").remove(force=True)


def test_watchd_may_ask_what_it_needs_and_nothing_else(host: Host) -> None:
    until = {"/events": "/events?since=0&until=1", "/containers/{id}/stats": "/containers/{id}/stats?stream=0"}
    reading = [(method, until.get(path, path)) for method, path in sorted(READING)]
    versioned = [(method, f"/v1.41{path}") for method, path in reading]
    answers = host.ask(*reading, *versioned)
    assert {request for request, status in answers.items() if status == 403} == set()
    assert answers["GET", "/v1.41/containers/{id}/json"] == 200
    refused = host.ask(*NEEDED_BY_NOBODY, *sorted(WRITING))
    assert set(refused.values()) == {403}
    assert host.client.containers.get("web").status == "running"


def test_removal_waits_until_one_asks_for_it(host: Host) -> None:
    host.client.containers.run(images.BASE, ["true"], name="done", detach=True).wait(timeout=60)
    dockerfile = f"FROM {images.BASE}\nRUN echo {time.time_ns()} > /a\n"
    images.build_with_buildkit(host.engine.host, dockerfile, "--tag", "old:1")
    host.client.networks.create("apart")
    host.client.volumes.create()
    kinds = {"container", "image", "network", "volume", "build_cache"}
    assert host.prune("--dry-run") == (0, {(kind, None) for kind in kinds})
    assert host.prune("--yes") == (3, {(kind, "refused") for kind in kinds}), "by the proxy"
    host.up("proxy", "watchd", WATCHD_MODE="enforce")
    assert set(host.ask(*NEEDED_BY_NOBODY).values()) == {403}
    assert host.prune("--yes") == (0, {(kind, "removed") for kind in kinds})
    assert host.client.containers.list(all=True, filters={"name": "done"}) == []
    assert not images.cache_records(host.client)
    asked = host.ask(("DELETE", "/containers/{id}"), ("DELETE", "/networks/absent"), ("DELETE", "/images/absent:1"))
    assert list(asked.values()) == [409, 404, 404], "these the engine itself answers"


def test_it_makes_room_on_the_disk_until_the_low_mark(host: Host) -> None:
    host.up("proxy", "watchd", WATCHD_MODE="enforce")
    filling.fill(host.client)
    full = filling.used_percent(host.engine.data_root)
    low = full - 100 * 0.7 * filling.EACH / (1024 * filling.MEBIBYTE)
    assert host.prune("--yes", filling.policy(low + 0.1, low)) == (0, {("image", "removed")})
    assert filling.left(host.client), "it ends at the low mark"
    assert filling.used_percent(host.engine.data_root) <= low
