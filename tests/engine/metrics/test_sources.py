"""The contract of sources: what the engine's API gives of real containers is what their cgroups give.

Each container is read from its cgroup before and after it is read through the API: what the API gives must lie between.
"""

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.harness import images
from tests.harness.engine import Engine
from tests.harness.waiting import wait_until
from watchd.config.schema.config import Engine as EngineConfig
from watchd.config.schema.config import Metrics
from watchd.engine.client import EngineClient
from watchd.kernel.block_devices import BlockDevices
from watchd.kernel.cgroup_paths import Hierarchy
from watchd.kernel.parse.formats import refuse
from watchd.metrics.groups import groups_named
from watchd.metrics.sources.api import MOST_REQUESTS, ApiSource
from watchd.metrics.sources.cgroup import CgroupSource
from watchd.metrics.sources.source import Reading
from watchd.model import Container
from watchd.model.usage import Usage

pytestmark = pytest.mark.kernel

KIB, MIB = 1024, 1024 * 1024
PROCFS = Path("/proc")

NEVER_TOLD = {
    *(f"pressure.{resource}_{how}" for resource in ("cpu", "memory", "io") for how in ("waiting", "stalled")),
    *("cpu.burst_periods", "cpu.burst"),
    *("memory.kernel", "memory.swap", "memory.refaults_file", "memory.refaults_anon"),
    "process.processes",
}
NOT_TOLD = {
    1: NEVER_TOLD,
    2: NEVER_TOLD
    | {
        *("memory.max_usage", "memory.failures", "memory.events_high", "memory.events_max"),
        *("disk.reads", "disk.writes"),
        *("disk.cost_usage", "disk.cost_wait", "disk.cost_indebt", "disk.cost_indelay"),
    },
}
"""Metrics that the API lacks, by cgroup version; on v2 also the CPU shares of a container that has some."""

TOLERANCE = {
    **dict.fromkeys(("memory.usage", "memory.working_set"), 512 * KIB),
    **dict.fromkeys((f"memory.{kind}" for kind in ("rss", "cache", "mapped_file")), 64 * KIB),
    **dict.fromkeys((f"memory.{kind}" for kind in ("active_file", "inactive_file")), 64 * KIB),
}
"""By how much a value may lie outside: the kernel counts memory in batches on each CPU. All others are exact."""

BUSY = ["sh", "-c", "while :; do :; done"]
IDLE = ["sleep", "600"]
DISK = "dd if=/dev/zero of=/f bs=64k count=64 oflag=direct 2>/dev/null; dd if=/f of=/dev/null bs=64k iflag=direct"
HOLD = "dd if=/dev/zero bs=16M count=1 | { head -c 1 >/dev/null; echo done; exec sleep 600; }"  # dd keeps its buffer
SERVE = f"mkdir /www; head -c {3 * MIB} /dev/urandom > /www/f; echo ready; exec httpd -f -h /www"
FETCH = "until wget -qO /dev/null http://{address}/f; do :; done; echo done; exec sleep 600"


@dataclass(frozen=True)
class Both:
    """The same containers from both sources, by name."""

    version: int
    containers: Mapping[str, Container]
    before: Mapping[str, Reading]
    api: Mapping[str, Reading]
    after: Mapping[str, Reading]


@pytest.fixture
def both(clean_engine: Engine, docker_client: docker.DockerClient) -> Both:
    """Containers of all kinds, that have done something, read from both sources."""
    make_containers(docker_client)
    config = EngineConfig(host=clean_engine.host)
    hierarchy = Hierarchy.read(PROCFS)
    groups = groups_named(Metrics().groups)
    with closing(EngineClient(config, read_only=True, connections=MOST_REQUESTS)) as client:
        containers = client.containers()
        with (
            closing(CgroupSource(hierarchy, procfs=PROCFS, groups=groups)) as cgroup,
            closing(ApiSource(client, device_name=BlockDevices(PROCFS, refuse).name)) as api,
        ):
            readings = [source.read(containers, time.time()) for source in (cgroup, api, cgroup)]
            assert not cgroup.errors
            assert not api.errors
    names = {container.id: container.name for container in containers}
    before, through_api, after = ({names[key]: value for key, value in each.items()} for each in readings)
    return Both(hierarchy.version, {container.name: container for container in containers}, before, through_api, after)


def test_the_api_gives_what_the_cgroups_give(both: Both) -> None:
    running = both.containers.keys() - {"exited", "created"}
    assert both.before.keys() == both.api.keys() == both.after.keys() == running
    for name in sorted(running):
        _assert_equal(both, name)
    _assert_that_it_is_what_they_did({name: _values(reading.usage) for name, reading in both.api.items()})


def make_containers(client: docker.DockerClient) -> None:
    """Make containers of all kinds, and wait until they have done what they do."""

    def run(name: str, command: list[str], **options: Any) -> Any:
        return client.containers.run(images.BASE, command, name=name, detach=True, **options)

    server = run("server", ["sh", "-c", SERVE])
    wait_until(server.logs, seconds=30, what="the server")
    server.reload()
    address = server.attrs["NetworkSettings"]["IPAddress"]
    fetching = run("client", ["sh", "-c", FETCH.format(address=address)])
    disk = run("disk", ["sh", "-c", f"{DISK} 2>/dev/null; echo done; exec sleep 600"])
    run(
        "limited",
        BUSY,
        mem_limit=64 * MIB,
        memswap_limit=96 * MIB,
        mem_reservation=32 * MIB,
        nano_cpus=200_000_000,
        cpu_shares=512,
        pids_limit=50,
    )
    run("quota", IDLE, cpu_period=50_000, cpu_quota=25_000, mem_limit=100_000_001, memswap_limit=-1)
    run("period", IDLE, cpu_period=50_000, mem_limit=64 * MIB)
    run("noswap", IDLE, mem_limit=64 * MIB, memswap_limit=64 * MIB)
    holder = run("holder", ["sh", "-c", HOLD])
    run("idle", IDLE)
    run("host", IDLE, network_mode="host")
    run("none", IDLE, network_mode="none")
    run("guest", IDLE, network_mode="container:server")
    run("paused", BUSY, nano_cpus=200_000_000).pause()
    run("exited", ["true"]).wait()
    client.containers.create(images.BASE, name="created")
    for container in (fetching, disk, holder):
        wait_until(container.logs, seconds=60, what="the work to be done")


def _assert_equal(both: Both, name: str) -> None:
    before, through_api, after = (_values(readings[name].usage) for readings in (both.before, both.api, both.after))
    for series in sorted(before.keys() | through_api.keys() | after.keys()):
        values = (before.get(series), through_api.get(series), after.get(series))
        field = _field(series)
        if field in NOT_TOLD[both.version] or (
            field == "spec.cpu_shares" and both.version == 2 and both.containers[name].limits.cpu_shares
        ):
            assert through_api.get(series) is None, f"{name}: the API gives {series} after all"
        else:
            assert None not in values, f"{name}: {series} is {values}"
            assert is_between(*values, TOLERANCE.get(field, 0)), f"{name}: {series} is {values}"


def _assert_that_it_is_what_they_did(values: Mapping[str, Mapping[str, Any]]) -> None:
    """So that equal does not mean that nothing was counted."""
    assert values["limited"]["cpu.throttled_periods"] > 0
    assert values["holder"]["memory.rss"] >= 16 * MIB
    assert values["server"]["network[eth0].sent_bytes"] > 3 * MIB
    assert values["client"]["network[eth0].received_bytes"] > 3 * MIB
    written = [value for series, value in values["disk"].items() if _field(series) == "disk.written_bytes"]
    assert max(written) >= 4 * MIB
    for name in ("host", "none", "guest"):
        assert not any(series.startswith("network") for series in values[name])
    spec = {field: value for field, value in values["limited"].items() if field.startswith("spec.")}
    assert (spec["spec.memory_limit"], spec["spec.memory_reservation"]) == (64 * MIB, 32 * MIB)
    assert (spec["spec.cpu_quota"], spec["spec.cpu_period"]) == (20_000, 100_000)
    assert values["limited"]["spec.threads"] == 50
    assert values["idle"]["spec.memory_limit"] == values["idle"]["spec.threads"] == 0


def is_between(before: Any, value: Any, after: Any, tolerance: int) -> bool:
    """Return whether a value lies between two others, in either order, or no more than `tolerance` outside."""
    return bool(min(before, after) - tolerance <= value <= max(before, after) + tolerance)


def _values(usage: Usage) -> dict[str, Any]:
    """The values there are, as "cpu.usage", and of interfaces and devices as "network[eth0].sent_bytes"."""
    values = {}
    for group in fields(usage):
        record = getattr(usage, group.name)
        for item in record if isinstance(record, tuple) else [record]:
            key = getattr(item, "interface", None) or getattr(item, "device", None)
            if is_dataclass(item):
                for field in fields(item):
                    value = getattr(item, field.name)
                    if value is not None and not isinstance(value, str):
                        values[f"{group.name}[{key}].{field.name}" if key else f"{group.name}.{field.name}"] = value
    return values


def _field(series: str) -> str:
    """Give "network.sent_bytes" for "network[eth0].sent_bytes"."""
    return f"{series.partition('.')[0].partition('[')[0]}.{series.rpartition('.')[2]}"
