"""The requests to an engine are those of docs/security.md, and no more."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import docker
import pytest

from tests import ROOT
from tests.harness import images
from tests.harness.engine import Engine
from tests.harness.proxy import Proxy, in_front_of
from tests.harness.user import enterable
from tests.harness.waiting import wait_until
from tests.harness.watchd_process import WATCHD, decisions, plan_of, running, watchd, write_config
from watchd.config.schema.config import Engine as EngineConfig
from watchd.engine.client import EngineClient
from watchd.errors import WriteForbidden

DOCUMENT = (ROOT / "docs/security.md").read_text()
READING, WRITING = (
    {(method, endpoint) for method, endpoint in re.findall(r"^\| (GET|DELETE|POST) \| `(\S+)` \|", part, re.MULTILINE)}
    for part in DOCUMENT.split("\nWriting, ")
)
DOCKER_GROUP = 64_998
ALL_METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE"}

EVERYTHING = """\
mode = "{mode}"
grace = "0s"
policies = [
    {{ name = "exited", kind = "container", when = {{ finished_for = "0s" }} }},
    {{ name = "created", kind = "container", when = {{ never_started_for = "0s" }} }},
    {{ name = "unused", kind = "image", when = {{ unused_for = "0s" }} }},
    {{ name = "volumes", kind = "volume", when = {{ unused_for = "0s" }} }},
    {{ name = "networks", kind = "network", when = {{ unused_for = "0s" }} }},
    {{ name = "cache", kind = "build_cache", when = {{ unused_for = "0s" }} }},
]
"""


@pytest.fixture
def client(clean_engine: Engine) -> Iterator[docker.DockerClient]:
    """A client of an engine with something to remove of most kinds."""
    with closing(clean_engine.client()) as client:
        client.containers.run(images.BASE, ["true"])
        client.containers.run(images.BASE, ["sleep", "600"], name="runs", detach=True)
        images.build(client, "app:1", f"FROM {images.BASE}\nLABEL a=1\n")
        client.volumes.create()
        client.networks.create("apart")
        yield client


def asked(proxy: Proxy) -> set[tuple[str, str]]:
    """Return what a proxy was asked, as the tables have it."""
    shapes = [
        (method, endpoint, re.compile(r"(/v[\d.]+)?" + endpoint.replace("{id}", r"(?!json$).+?")))
        for method, endpoint in sorted(READING | WRITING, key=lambda row: "{" in row[1])
    ]
    found = set()
    for method, path in proxy.requests:
        fits = [(shape, endpoint) for shape, endpoint, text in shapes if shape == method and text.fullmatch(path)]
        found.add(fits[0] if fits else (method, path))
    return found


def test_monitoring_and_dry_runs_need_no_more_than_reading(
    client: docker.DockerClient, clean_engine: Engine, tmp_path: Path
) -> None:
    with in_front_of(clean_engine, tmp_path / "proxy.sock", methods={"GET", "HEAD"}) as proxy:
        config = write_config(tmp_path, proxy.host, EVERYTHING.format(mode="enforce"))
        with running(config) as daemon:
            assert daemon.names() == {"runs"}
            client.containers.run(images.BASE, ["sleep", "600"], name="later", detach=True)
            wait_until(lambda: daemon.names() == {"runs", "later"}, seconds=5, what="the new container's series")
            assert daemon.value("watchd_engine_up") == 1
        dry = watchd("prune", "--dry-run", "--json", "-c", config)
        assert dry.returncode == 0, dry.stderr
        assert {kind for kind, *_ in decisions(plan_of(dry), "remove")} >= {"container", "image", "network"}
        for command in (["explain", "runs"], ["df"]):
            done = watchd(*command, "-c", config)
            assert done.returncode == 0, done.stderr
    assert asked(proxy) <= READING
    assert ("GET", "/events") in asked(proxy)


def test_a_run_asks_nothing_that_the_tables_do_not_have(
    client: docker.DockerClient, clean_engine: Engine, tmp_path: Path
) -> None:
    with in_front_of(clean_engine, tmp_path / "proxy.sock", methods=ALL_METHODS) as proxy:
        config = write_config(tmp_path, proxy.host, EVERYTHING.format(mode="enforce"))
        done = watchd("prune", "--yes", "--json", "-c", config)
    assert done.returncode == 0, done.stderr
    assert asked(proxy) <= READING | WRITING
    assert {("DELETE", "/containers/{id}"), ("DELETE", "/images/{id}"), ("DELETE", "/networks/{id}")} <= asked(proxy)
    assert [container.name for container in client.containers.list(all=True)] == ["runs"]


def test_without_a_policy_that_enforces_nothing_is_written(
    client: docker.DockerClient, clean_engine: Engine, tmp_path: Path
) -> None:
    before = len(client.containers.list(all=True))
    with in_front_of(clean_engine, tmp_path / "proxy.sock", methods=ALL_METHODS) as proxy:
        config = write_config(tmp_path, proxy.host, EVERYTHING.format(mode="report"))
        done = watchd("prune", "--yes", "-c", config)
    assert done.returncode == 0, done.stderr
    assert asked(proxy) <= READING
    assert len(client.containers.list(all=True)) == before


@pytest.mark.parametrize(("method", "endpoint"), [*sorted(WRITING), ("GET", "/containers/{id}/archive")])
def test_a_connection_that_only_reads_sends_nothing_else(engine: Engine, method: str, endpoint: str) -> None:
    client = EngineClient(EngineConfig(host=engine.host), read_only=True)
    with closing(client._connected()) as connection, pytest.raises(WriteForbidden):
        connection.ask(method, endpoint.replace("{id}", "abc"), params={}, timeout=10)


@contextmanager
def open_to_all(path: Path) -> Iterator[None]:
    """Let everyone enter a directory."""
    mode = path.stat().st_mode
    path.chmod(0o755)
    try:
        yield
    finally:
        path.chmod(mode)


def test_an_ordinary_user_of_the_sockets_group_watches_and_cleans(
    clean_engine: Engine, client: docker.DockerClient, open_path: Path
) -> None:
    """As a member of the group docker, which is root by way of the engine and by nothing else."""
    user = [*enterable(), "setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
    user += ["--reuid=65534", "--regid=65534", f"--groups={DOCKER_GROUP}"]
    config = write_config(
        open_path, clean_engine.host, EVERYTHING.format(mode="enforce") + 'schedule = "1s"\njitter = "0s"'
    )
    state = open_path / "state"
    state.mkdir()
    os.chown(state, 65534, 65534)
    before = clean_engine.socket.stat()
    os.chown(clean_engine.socket, 0, DOCKER_GROUP)
    clean_engine.socket.chmod(0o660)
    try:
        with open_to_all(clean_engine.directory), running(config, through=user) as daemon:
            assert re.search(r"^Uid:\s+65534", Path(f"/proc/{daemon.process.pid}/status").read_text(), re.MULTILINE)
            for metric in ("cpu_usage_seconds_total", "memory_working_set_bytes", "network_receive_bytes_total"):
                assert daemon.names(f"container_{metric}") == {"runs"}
            assert daemon.value("watchd_scrape_errors_total") == 0
            wait_until(
                lambda: len(client.containers.list(all=True, ignore_removed=True)) == 1,
                seconds=15,
                what="what ended to go",
            )
            assert daemon.names() == {"runs"}
            healthy = subprocess.run([*user, WATCHD, "healthcheck", "-c", config], check=False, capture_output=True)
            assert healthy.returncode == 0
    finally:
        os.chown(clean_engine.socket, before.st_uid, before.st_gid)
        clean_engine.socket.chmod(before.st_mode)
