"""A real Prometheus takes every sample of `/metrics`, and answers the queries of dashboards."""

import math
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import NotFound
from docker.models.containers import Container
from prometheus_client.parser import text_string_to_metric_families

from tests.harness import images
from tests.harness.engine import Engine
from tests.harness.install import UnavailableError
from tests.harness.prometheus import JOB, Prometheus, ensure_prometheus, promtool, scraping
from tests.harness.waiting import wait_until
from tests.harness.watchd_process import Daemon, running, write_config
from tests.unit.metrics import reference

MIB = 1024 * 1024

LINES = Path(__file__).with_name("queries.txt").read_text().splitlines()
ANSWERED = [line for line in LINES if line and not line.startswith(("#", "!"))]
EMPTY = [line.removeprefix("!").strip() for line in LINES if line.startswith("!")]

SWARM_TASK = "market_worker.1.q3v8n0k5x2b7m4c9z6l1j3h5g"

# Scrapes, which are a second apart, before and after what happens while they go on.
SCRAPES = 4

NAME = r"[a-zA-Z_]\w*"
VALUE = r'"(?:[^"\\]|\\[\\"n])*"'
LABEL_PAIR = re.compile(rf"({NAME})=({VALUE})")

# A sample as watchd writes it. It has no timestamp: with one, a series would outlive its source by five minutes.
SAMPLE = re.compile(rf"(?P<name>{NAME})(?:\{{(?P<labels>{NAME}={VALUE}(?:,{NAME}={VALUE})*)\}})? (?P<value>\S+)")

# What follows a family's name in the names of its series.
SUFFIXES = {
    "counter": ("",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
    "summary": ("", "_sum", "_count"),
}


@dataclass(frozen=True, slots=True)
class Host:
    """A host with containers, the watchd that watches it, and the Prometheus that scrapes that."""

    daemon: Daemon
    prometheus: Prometheus

    def scrape_on(self, scrapes: int) -> None:
        """Wait for so many more scrapes."""
        samples = f'sum_over_time(up{{job="{JOB}"}}[1h])'
        before = sum(sample.value for sample in self.prometheus.query(samples))
        wait_until(
            lambda: sum(sample.value for sample in self.prometheus.query(samples)) >= before + scrapes,
            seconds=30,
            what=f"{scrapes} scrapes of {self.daemon.listen}",
        )


@pytest.fixture(scope="module")
def host(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host as `queries.txt` describes it, after all of that has been scraped."""
    try:
        ensure_prometheus()
    except UnavailableError as error:
        pytest.skip(str(error))
    directory = tmp_path_factory.mktemp("prometheus")
    with ExitStack() as stack:
        client = stack.enter_context(closing(engine.client()))
        containers = _containers(client, stack)
        daemon = stack.enter_context(running(write_config(directory, engine.host)))
        host = Host(daemon, stack.enter_context(scraping(daemon.listen, directory)))
        wait_until(lambda: _health(containers["shop-web-1"]) == "healthy", seconds=60, what="the health check")
        host.scrape_on(SCRAPES)
        containers["gone"].remove(force=True)
        containers["shop-web-1"].restart(timeout=0)
        wait_until(lambda: _health(containers["shop-web-1"]) == "healthy", seconds=60, what="the health check")
        host.scrape_on(SCRAPES)
        yield host


def _containers(client: docker.DockerClient, stack: ExitStack) -> dict[str, Container]:
    """Start the containers that `queries.txt` speaks of. The stack removes them."""
    for leftover in client.containers.list(all=True, ignore_removed=True):
        leftover.remove(force=True, v=True)
    network = client.networks.create("shop_default")
    stack.callback(network.remove)
    containers: dict[str, Container] = {}

    def run(name: str, script: str, **options: Any) -> None:
        container = client.containers.create(images.BASE, ["sh", "-c", script], name=name, **options)
        containers[name] = container
        stack.callback(_remove, container)
        container.start()

    def shop(service: str) -> dict[str, Any]:
        labels = {"project": "shop", "service": service, "container-number": "1", "oneoff": "False"}
        return {
            "labels": {f"com.docker.compose.{key}": value for key, value in labels.items()},
            "network": "shop_default",
            "networking_config": {"shop_default": client.api.create_endpoint_config(aliases=[service])},
        }

    second = 1_000_000_000  # nanoseconds
    web = "mkdir -p /www; head -c 65536 /dev/zero > /www/index.html; exec httpd -f -h /www"
    run("shop-web-1", web, mem_limit=64 * MIB, healthcheck={"test": ["CMD", "true"], "interval": second}, **shop("web"))
    run("shop-client-1", "while :; do wget -qO /dev/null http://web/; sleep 0.2; done", **shop("client"))
    swarm = {
        "com.docker.stack.namespace": "market",
        "com.docker.swarm.node.id": "n1o2d3e4",
        "com.docker.swarm.service.id": "s1e2r3v4",
        "com.docker.swarm.service.name": "market_worker",
        "com.docker.swarm.task": "",
        "com.docker.swarm.task.id": SWARM_TASK.rpartition(".")[2],
        "com.docker.swarm.task.name": SWARM_TASK,
        "org.label-schema.group": "monitoring",
    }
    # So little that other processes leave it that much on a busy machine, too: else nothing would be throttled.
    run(SWARM_TASK, "while :; do :; done", nano_cpus=second // 20, labels=swarm)
    write = "while :; do dd if=/dev/zero of=/data bs=64k count=16 conv=fsync; sleep 0.5; done"
    run("backup", write, labels={"com.example.secret": "not to be served"})
    run("gone", "exec sleep 600")
    run("failed", "exit 3")
    containers["failed"].wait(timeout=20)
    return containers


def _remove(container: Container) -> None:
    with suppress(NotFound):
        container.remove(force=True, v=True)


def _health(container: Container) -> str:
    container.reload()
    return str(container.attrs["State"]["Health"]["Status"])


@pytest.mark.parametrize("query", ANSWERED, ids=str)
def test_what_dashboards_ask_is_answered(host: Host, query: str) -> None:
    # Rates of the last seconds may be too low on a busy machine. NaN is what scalar() gives where there is nothing.
    wait_until(
        lambda: any(not math.isnan(sample.value) for sample in host.prometheus.query(query)), seconds=15, what=query
    )


@pytest.mark.parametrize("query", EMPTY, ids=str)
def test_what_must_not_be_there_is_not(host: Host, query: str) -> None:
    assert host.prometheus.query(query) == []


def test_variables_of_dashboards_find_their_values(host: Host) -> None:
    def label_values(label: str, selector: str) -> set[str]:
        return {labels[label] for labels in host.prometheus.series(selector)}

    assert label_values("job", "container_cpu_user_seconds_total") == {JOB}
    assert label_values("instance", f'container_cpu_user_seconds_total{{job=~"{JOB}"}}') == {host.daemon.listen}
    assert label_values("name", 'container_last_seen{name!=""}') == {
        "shop-web-1",
        "shop-client-1",
        SWARM_TASK,
        "backup",
        "gone",
    }
    assert label_values(
        "container_label_com_docker_compose_service",
        'container_last_seen{container_label_com_docker_compose_project="shop"}',
    ) == {"web", "client"}
    # query_result() shows the labels of series as text, of which a regular expression cuts the value.
    stacks = 'count by (container_label_com_docker_stack_namespace) (container_last_seen{name=~"market_.+"})'
    wait_until(
        lambda: (
            [sample.labels for sample in host.prometheus.query(stacks)]
            == [{"container_label_com_docker_stack_namespace": "market"}]
        ),
        seconds=15,
        what=stacks,
    )


def test_prometheus_takes_every_sample_of_every_scrape(host: Host) -> None:
    def total(query: str) -> float:
        return sum(sample.value for sample in host.prometheus.query(query))

    # One that failed sooner than its time-out, which is a second, was refused for what it had.
    assert host.prometheus.query("max_over_time((up == 0 and scrape_duration_seconds < 0.9)[1h:1s])") == []
    wait_until(lambda: total("scrape_samples_scraped") > 0, seconds=15, what="a scrape")
    assert host.prometheus.query("scrape_samples_scraped != scrape_samples_post_metric_relabeling") == []
    # As many series are stored as there were samples: none of them was there twice.
    assert total('count({__name__=~".+"}) - count({__name__=~"up|scrape_.+"}) - sum(scrape_samples_scraped)') == 0
    assert host.prometheus.dropped_samples()
    assert not any(host.prometheus.dropped_samples().values())
    complaint = re.compile(r"duplicate|out.of.order|ingesting|scrape.*failed", re.IGNORECASE)
    assert [line for line in host.prometheus.log.splitlines() if complaint.search(line)] == []


def test_the_page_is_valid_to_the_letter(host: Host) -> None:
    status, body = host.daemon.get("/metrics")
    page = body.decode()
    assert status == 200
    assert page.endswith("\n")
    # Stricter than Prometheus itself: a family has HELP and TYPE once, in this order, then all its series, each once.
    before, *families = re.split(r"^(?=# HELP )", page, flags=re.MULTILINE)
    assert before == ""
    names = [family.split(" ", 3)[2] for family in families]
    assert sorted(names) == sorted(set(names))
    series = [one for family in families for one in _series(*family.splitlines())]
    assert [one for one, count in Counter(series).items() if count > 1] == []
    parsed = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    assert len(parsed) == len(series)


def _series(help_line: str, type_line: str, *lines: str) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield name and labels of each series of a family, whose lines must be as they should."""
    described = re.fullmatch(rf"# HELP ({NAME}) .+", help_line)
    assert described, help_line
    typed = re.fullmatch(rf"# TYPE {described[1]} (\w+)", type_line)
    assert typed, type_line
    for line in lines:
        sample = SAMPLE.fullmatch(line)
        assert sample, line
        assert sample["name"] in {described[1] + suffix for suffix in SUFFIXES[typed[1]]}, line
        assert math.isfinite(float(sample["value"])), line
        labels = [label for label, _ in LABEL_PAIR.findall(sample["labels"] or "")]
        assert len(labels) == len(set(labels)), line
        # A label without a value is none to Prometheus.
        yield sample["name"], frozenset(pair for pair in LABEL_PAIR.findall(sample["labels"] or "") if pair[1] != '""')


def test_promtool_finds_nothing_to_mend_in_the_metrics_of_watchd(host: Host) -> None:
    page = host.daemon.get("/metrics")[1].decode()
    own = [line for line in page.splitlines(keepends=True) if re.match(r"(# (HELP|TYPE) )?watchd_", line)]
    assert own
    result = subprocess.run(
        [promtool(), "check", "metrics"], input="".join(own), capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_every_metric_is_documented(host: Host) -> None:
    page = host.daemon.get("/metrics")[1].decode()
    served = set(re.findall(rf"^# TYPE ({NAME}) ", page, flags=re.MULTILINE))
    documented = set(re.findall(NAME, reference.DOCUMENT.read_text()))

    assert [name for name in sorted(served - documented) if not name.startswith("process_")] == []
