"""The rules in `deploy/prometheus`: what promtool says of them, and a real Prometheus by which they fire."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import docker
import pytest

from tests import ROOT
from tests.harness import images, proxy
from tests.harness.engine import Engine
from tests.harness.install import UnavailableError
from tests.harness.prometheus import JOB, Prometheus, ensure_prometheus, promtool, scraping
from tests.harness.waiting import wait_until
from tests.harness.watchd_process import Daemon, running, write_config

RULES = sorted((ROOT / "deploy/prometheus").glob("watchd-*.yml"))
SECOND = 1_000_000_000  # nanoseconds
MIB = 1024 * 1024
CANNOT_REMOVE = """
mode = "enforce"
grace = "0s"
jitter = "0s"
schedule = "2s"
[[cleanup.policies]]
name = "exited"
kind = "container"
select.name = ["done"]
when.finished_for = "0s"
"""


@pytest.fixture(scope="module", autouse=True)
def prometheus_is_there() -> None:
    try:
        ensure_prometheus()
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "config", ROOT / "deploy/prometheus/prometheus.yml"],
        ["check", "rules", *RULES],
        ["test", "rules", ROOT / "tests/matrix/alerts.yml"],
    ],
    ids=lambda arguments: " ".join(map(str, arguments[:2])),
)
def test_promtool(arguments: list[str]) -> None:
    result = subprocess.run([promtool(), *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def hurried(directory: Path) -> list[Path]:
    """Return the rules with seconds where they have minutes."""
    hurried = []
    for file in RULES:
        text = re.sub(r"for: (\d+)m", r"for: 1s", file.read_text())
        text = (
            text.replace('job="watchd"', f'job="{JOB}"')
            .replace("[5m]", "[8s]")
            .replace("[15m]", "[60s]")
            .replace("> 90", "> 2")
            .replace("2 * 86400", "6")
        )
        hurried.append(directory / file.name)
        hurried[-1].write_text(text)
    return hurried


class Host:
    """An engine on which everything goes wrong that alerts are for."""

    def __init__(self, daemon: Daemon, between: proxy.Proxy, prometheus: Prometheus) -> None:
        self.daemon = daemon
        self.between = between
        self.prometheus = prometheus

    def firing(self, alert: str) -> set[str]:
        """Return the names of containers or policies that an alert fires for or has fired for, or its instances."""
        samples = self.prometheus.query(f'max_over_time(ALERTS{{alertname="{alert}",alertstate="firing"}}[1h])')
        return {
            sample.labels.get("name") or sample.labels.get("policy") or sample.labels["instance"] for sample in samples
        }

    def fires(self, alert: str, name: str) -> None:
        wait_until(lambda: name in self.firing(alert), seconds=60, what=f"{alert} for {name}")

    def fires_no_more(self, alert: str, names: str = "") -> None:
        """Wait until an alert fires for none of these, "|" in between: for a moment a busy machine is as it tells."""
        firing = f'ALERTS{{alertname="{alert}",alertstate="firing",name=~"{names}"}}'
        wait_until(lambda: not self.prometheus.query(firing), seconds=30, what=f"{alert} to end")


@pytest.fixture
def host(clean_engine: Engine, docker_client: docker.DockerClient, tmp_path: Path) -> Iterator[Host]:
    def run(name: str, script: str, **options: Any) -> None:
        docker_client.containers.run(images.BASE, ["sh", "-c", script], name=name, detach=True, **options)

    with ExitStack() as stack:
        # It lets nothing be removed.
        between = stack.enter_context(
            proxy.in_front_of(clean_engine, tmp_path / "docker.sock", methods={"GET", "HEAD"})
        )
        limits = {"mem_limit": 16 * MIB, "memswap_limit": 16 * MIB}
        run("greedy", "while sleep 5; do tail -c 100m /dev/zero; done", **limits)  # seen running, so not waited with
        daemon = stack.enter_context(running(write_config(tmp_path, between.host, CANNOT_REMOVE)))
        prometheus = stack.enter_context(scraping(daemon.listen, tmp_path, rules=hurried(tmp_path)))
        run("gone", "sleep 600")
        run("redeployed", "sleep 600")
        run("well", "sleep 600", mem_limit=64 * MIB, healthcheck={"test": ["CMD", "true"], "interval": SECOND})
        run("sick", "sleep 600", healthcheck={"test": ["CMD", "false"], "interval": SECOND, "retries": 1})
        run("loop", "sleep 1; exit 1", restart_policy={"Name": "always"})
        run("slow", "while :; do :; done", nano_cpus=SECOND // 20)
        run("done", "true")
        yield Host(daemon, between, prometheus)


def test_they_fire(host: Host, docker_client: docker.DockerClient) -> None:
    wait_until(lambda: "gone" in host.daemon.names(), seconds=10, what="a scrape of what will be gone")
    wait_until(
        lambda: host.prometheus.query('container_last_seen{name="gone"}'), seconds=10, what="Prometheus to have seen it"
    )
    docker_client.containers.get("gone").remove(force=True)
    docker_client.containers.get("redeployed").remove(force=True)
    docker_client.containers.run(images.BASE, ["sleep", "600"], name="redeployed", detach=True)
    for alert, name in (
        ("ContainerGone", "gone"),
        ("ContainerUnhealthy", "sick"),
        ("ContainerRestarting", "loop"),
        ("ContainerThrottled", "slow"),
        ("ContainerOOMKilled", "greedy"),
        ("CleanupFailed", "exited"),
    ):
        host.fires(alert, name)
    assert not {"well", "slow"} & host.firing("ContainerUnhealthy")
    host.fires_no_more("ContainerGone", "well|slow|redeployed")
    host.fires_no_more("CleanupOverdue")
    host.fires_no_more("DockerEngineDown")
    redeployed = 'container_last_seen{name="redeployed"}'
    wait_until(lambda: len(host.prometheus.query(redeployed)) == 1, seconds=30, what="one of that name")
    host.between.fault = _hangs_up
    host.between.cut()
    host.fires("DockerEngineDown", host.daemon.listen)
    host.daemon.stop()
    host.fires("WatchdDown", host.daemon.listen)


def _hangs_up(_: proxy.Handler) -> None:
    """Answer nothing."""
