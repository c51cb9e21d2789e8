"""The dashboard in `deploy/grafana`: how it is laid out, and what a real Prometheus answers to each of its queries."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from tests import ROOT
from tests.harness import images
from tests.harness.engine import Engine
from tests.harness.install import UnavailableError
from tests.harness.prometheus import Prometheus, Sample, ensure_prometheus, scraping
from tests.harness.waiting import wait_until
from tests.harness.watchd_process import Daemon, running, write_config

DASHBOARD = json.loads((ROOT / "deploy/grafana/watchd.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [(panel, target) for panel in PANELS for target in panel["targets"]]
VARIABLES = [variable for variable in DASHBOARD["templating"]["list"] if variable["type"] == "query"]


# What Grafana makes of them where Prometheus scrapes every second and the last minute is shown.
TIMES = {"__rate_interval": "8s", "__range": "60s"}

# What only some kernels tell: there such queries have to be empty where this file, or this word in it, is not there.
KERNELS = {
    "container_pressure_": (Path("/proc/pressure/cpu"), ""),
    "watchd_exited_container_cpu_seconds_total": (Path("/proc/self/mountinfo"), " - cgroup2 "),
    "watchd_exited_container_memory_peak_bytes": (Path("/proc/self/mountinfo"), " - cgroup2 "),
}

REMOVED = 'watchd_prune_removed_total{policy="done"}'

SECOND = 1_000_000_000  # nanoseconds
MIB = 1024 * 1024
CLEANUP = """
mode = "enforce"
grace = "0s"
jitter = "0s"
schedule = "2s"
[[cleanup.policies]]
name = "done"
kind = "container"
select.name = ["done-*"]
when.finished_for = "5s"
[[cleanup.policies]]
name = "ended"
kind = "container"
mode = "report"
select.status = ["exited"]
when.finished_for = "0s"
[[cleanup.policies]]
name = "unused"
kind = "image"
mode = "report"
when.unused_for = "0s"
[[cleanup.policies]]
name = "room"
kind = "volume"
pressure.free_below = "1000TiB"
pressure.free_until = "1000TiB"
"""


def titled(title: str, row: str = "") -> Any:
    """Return the panel with a title, the first of a row."""
    at = [panel["title"] for panel in DASHBOARD["panels"]].index(row) if row else 0
    return next(panel for panel in DASHBOARD["panels"][at:] if panel["title"] == title)


@dataclass(frozen=True, slots=True)
class Host:
    """A host on which a lot happens, and the Prometheus that sees it."""

    daemon: Daemon
    prometheus: Prometheus

    def ask(self, expression: str, **chosen: str) -> list[Sample]:
        """Return the answer to a query of the dashboard, with `chosen` values of its variables: else "All"."""
        return self.prometheus.query(substituted(expression, {**self.variables(), **chosen}))

    def variables(self) -> Mapping[str, str]:
        """Return what stands for each variable in a query when "All" is chosen."""
        values: dict[str, str] = dict(TIMES)
        for variable in VARIABLES:
            options = "|".join(map(re.escape, self.options(variable, values)))
            values[variable["name"]] = variable.get("allValue", f"({options})")
        return values

    def options(self, variable: Any, values: Mapping[str, str]) -> list[str]:
        """Return what can be chosen for a variable."""
        asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
        assert asked, variable
        selector, label = asked.groups()
        found = {labels.get(label) for labels in self.prometheus.series(substituted(selector, values))}
        return sorted(value for value in found if value)


def substituted(expression: str, values: Mapping[str, str]) -> str:
    """Return a query as Grafana sends it."""
    text = re.sub(r"\$(\w+)", lambda found: values.get(found[1], found[0]).replace("\\", "\\\\"), expression)
    # What is left belongs to label_replace.
    assert not re.search(r"\$[A-Za-z_{]", text), text
    return text


def is_told(expression: str) -> bool:
    """Return whether this kernel has what a query asks for."""
    needed = [place for metric, place in KERNELS.items() if metric in expression]
    return all(file.exists() and word in file.read_text() for file, word in needed)


@pytest.fixture(scope="module")
def host(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    try:
        ensure_prometheus()
    except UnavailableError as error:
        pytest.skip(str(error))
    directory = tmp_path_factory.mktemp("grafana")
    with ExitStack() as stack:
        client = stack.enter_context(closing(engine.client()))
        clear(client)
        stack.callback(clear, client)
        busy(client)
        daemon = stack.enter_context(running(write_config(directory, engine.host, CLEANUP)))
        host = Host(daemon, stack.enter_context(scraping(daemon.listen, directory)))
        wait_until(lambda: host.prometheus.query(REMOVED), seconds=30, what="a scrape")
        for number in range(3):
            run(client, f"done-{number}", "head -c 100000 /dev/zero > /waste")
        yield host


def clear(client: docker.DockerClient) -> None:
    for container in client.containers.list(all=True, ignore_removed=True):
        container.remove(force=True, v=True)
    for volume in client.volumes.list():
        volume.remove()


def run(client: docker.DockerClient, name: str, script: str, **options: Any) -> None:
    client.containers.run(images.BASE, ["sh", "-c", script], name=name, detach=True, **options)


def busy(client: docker.DockerClient) -> None:
    """Start what uses something, what fails, what is killed, and what could go."""
    client.volumes.create("data")
    shop = {"com.docker.compose.project": "shop"}
    check = {"interval": SECOND, "retries": 1}
    run(
        client,
        "shop-web-1",
        "sleep 600",
        labels=shop,
        mem_limit=64 * MIB,
        healthcheck={"test": ["CMD", "true"], **check},
    )
    run(client, "sick", "sleep 600", healthcheck={"test": ["CMD", "false"], **check})
    run(client, "slow", "while :; do :; done", nano_cpus=SECOND // 20)
    run(client, "backup", "while :; do dd if=/dev/zero of=/data bs=64k count=16 conv=fsync; sleep 0.5; done")
    run(client, "loop", "sleep 1; exit 7", restart_policy={"Name": "on-failure"})
    limits = {"mem_limit": 16 * MIB, "memswap_limit": 16 * MIB}
    run(client, "greedy", "while sleep 1; do tail -c 100m /dev/zero; done", **limits)
    run(client, "failed", "exit 3", labels=shop)
    run(client, "left", "true")


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: str(variable["name"]))
def test_each_variable_has_something_to_choose(variable: Any, host: Host) -> None:
    wait_until(lambda: host.options(variable, host.variables()), seconds=30, what=f"options of {variable['name']}")


@pytest.mark.parametrize(
    ("panel", "target"), QUERIES, ids=[f"{panel['id']}{target['refId']} {panel['title']}" for panel, target in QUERIES]
)
def test_each_query_is_answered(panel: Any, target: Any, host: Host) -> None:
    expression = target["expr"]
    if not is_told(expression):
        assert host.ask(expression) == []
        return
    wanted = set(re.findall(r"{{(\w+)}}", target.get("legendFormat", "")))
    # A share is no percentage, though above 1 where scrapes come late, as of a busy host. NaN is below nothing.
    most = 2 if panel["fieldConfig"]["defaults"].get("max") == 1 else math.inf

    def is_answered() -> bool:
        found = host.ask(expression)
        labels = {label for sample in found for label in sample.labels}
        return bool(found) and wanted <= labels and all(sample.value < most for sample in found)

    wait_until(is_answered, seconds=60, what=expression)


@pytest.mark.parametrize(
    "panel", [panel for panel in PANELS if panel["type"] == "table"], ids=lambda panel: str(panel["title"])
)
def test_the_columns_of_tables_are_there(panel: Any, host: Host) -> None:
    _, organize = panel["transformations"]
    shown, hidden = organize["options"]["renameByName"], organize["options"]["excludeByName"]
    values = {f"Value #{target['refId']}" for target in panel["targets"]}

    def labels() -> set[str]:
        return {label for target in panel["targets"] for sample in host.ask(target["expr"]) for label in sample.labels}

    wait_until(lambda: shown.keys() | hidden.keys() == values | labels() | {"Time"}, seconds=30, what="all columns")
    assert not shown.keys() & hidden.keys()
    overridden = {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]}
    assert {name for name in overridden if not name.startswith("/")} <= set(shown.values())


def rises(host: Host, title: str, row: str = "", **labels: str) -> None:
    """Wait until the answer to a panel's first query is or was above 0."""
    expression = f"max_over_time(({titled(title, row)['targets'][0]['expr']})[10m:1s])"

    def has_risen() -> bool:
        return any(each.value > 0 and labels.items() <= each.labels.items() for each in host.ask(expression))

    wait_until(has_risen, seconds=60, what=f"{title} {labels}")


def test_it_tells_what_happened(host: Host) -> None:
    rises(host, "Unhealthy")
    rises(host, "Restarts", "Exits and restarts", name="loop")
    rises(host, "OOM kills", "Exits and restarts", name="greedy")
    rises(host, "Exits, by exit code", exit_code="7")
    rises(host, "Ended with an error", name="failed")
    rises(host, "Waiting for CPU time that the limit withholds", name="slow")
    rises(host, "What will go", policy="ended")
    rises(host, "Why the rest is kept", kind="image", reason="in_use")
    rises(host, "Acting for room on the disk", policy="room")
    wait_until(lambda: [s.value for s in host.prometheus.query(REMOVED)] == [3], seconds=30, what="removals")
    went = titled("What went")["targets"][0]["expr"].replace("$__rate_interval", "10m")
    wait_until(
        lambda: {sample.labels["reason"] for sample in host.ask(went) if sample.value > 0} == {"exited_too_long"},
        seconds=10,
        what="the rise, which begins at 0",
    )


def test_a_choice_of_project_and_container_leaves_the_others_out(host: Host) -> None:
    panel = titled("CPU", "Containers")["targets"][0]["expr"]

    def shown(**chosen: str) -> set[str]:
        return {sample.labels["name"] for sample in host.ask(panel, **chosen)}

    wait_until(lambda: shown() >= {"slow", "shop-web-1"}, seconds=30, what="all containers")
    wait_until(lambda: shown(project="shop") == {"shop-web-1"}, seconds=30, what="those of a project")
    wait_until(lambda: shown(container="slow|sick") == {"slow", "sick"}, seconds=30, what="those that were chosen")
