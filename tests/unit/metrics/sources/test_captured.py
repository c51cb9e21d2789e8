"""Readings of captured hosts equal the stats of their engines."""

from typing import Any

import pytest

from tests.unit.conftest import NOW, Host
from watchd.metrics.groups import groups_named
from watchd.model.usage import Device, Interface, Sample


def _interface(stats: Any) -> Interface:
    counts = stats["networks"]["eth0"]
    return Interface(
        "eth0",
        *(counts[f"rx_{count}"] for count in ("bytes", "packets", "errors", "dropped")),
        *(counts[f"tx_{count}"] for count in ("bytes", "packets", "errors", "dropped")),
    )


def test_every_running_container_has_a_sample_under_its_own_path(host: Host) -> None:
    samples = host.samples()

    assert samples.keys() == host.containers.keys()
    for name, sample in samples.items():
        container = host.containers[name]
        path = sample.labels.partition('"')[2].partition('"')[0]
        assert container.id in path
        assert path.startswith(
            ("/docker/", "/h6batch/", "/batch/", "/system.slice/docker-", "/my.slice/my-batch.slice/")
        )
        assert sample.lifecycle.seen == NOW
        assert (sample.lifecycle.created, sample.lifecycle.started) == (container.created_at, container.started_at)


@pytest.mark.parametrize("name", ["idle", "parented"])
def test_v1_says_what_the_engine_says(v1_host: Host, name: str) -> None:
    usage, stats = v1_host.usage(name), v1_host.stats(name)

    assert usage.cpu is not None
    assert usage.memory is not None
    assert usage.process is not None
    cpu, memory = stats["cpu_stats"]["cpu_usage"], stats["memory_stats"]
    assert usage.cpu.usage == cpu["total_usage"] / 1e9
    assert usage.cpu.user == cpu["usage_in_usermode"] / 1e9
    assert usage.cpu.system == cpu["usage_in_kernelmode"] / 1e9
    assert usage.memory.usage == memory["usage"]
    assert usage.memory.max_usage == memory["max_usage"]
    assert usage.memory.working_set == memory["usage"] - memory["stats"]["total_inactive_file"]
    for field, key in {
        "rss": "total_rss",
        "cache": "total_cache",
        "mapped_file": "total_mapped_file",
        "active_file": "total_active_file",
        "inactive_file": "total_inactive_file",
        "faults": "pgfault",
        "tree_faults": "total_pgfault",
        "major_faults": "pgmajfault",
    }.items():
        assert getattr(usage.memory, field) == memory["stats"][key], field
    assert usage.process.threads == stats["pids_stats"]["current"]
    assert usage.process.processes == 1
    assert usage.spec is not None
    assert usage.spec.threads == 0
    assert usage.network == (_interface(stats),)


@pytest.mark.parametrize("name", ["idle", "parented"])
def test_v2_says_what_the_engine_says(v2_host: Host, name: str) -> None:
    usage, stats = v2_host.usage(name), v2_host.stats(name)

    assert usage.cpu is not None
    assert usage.memory is not None
    assert usage.process is not None
    cpu, memory = stats["cpu_stats"]["cpu_usage"], stats["memory_stats"]
    assert usage.cpu.usage == cpu["total_usage"] / 1e9
    assert usage.cpu.user == cpu["usage_in_usermode"] / 1e9
    assert usage.cpu.system == cpu["usage_in_kernelmode"] / 1e9
    assert usage.memory.usage == memory["usage"]
    assert usage.memory.working_set == memory["usage"] - memory["stats"]["inactive_file"]
    for field, key in {
        "rss": "anon",
        "cache": "file",
        "mapped_file": "file_mapped",
        "active_file": "active_file",
        "inactive_file": "inactive_file",
        "faults": "pgfault",
        "major_faults": "pgmajfault",
        "dirty_file": "file_dirty",
        "pages_scanned": "pgscan",
        "pages_reclaimed": "pgsteal",
    }.items():
        assert getattr(usage.memory, field) == memory["stats"][key], field
    assert usage.process.threads == stats["pids_stats"]["current"]
    assert usage.network is not None
    (interface,) = usage.network
    later = _interface(stats)  # a broadcast may have come in between
    assert 0 < interface.received_bytes <= later.received_bytes
    assert 0 < interface.received_packets <= later.received_packets


def test_systemd_says_what_docker_stats_says(systemd_host: Host) -> None:
    lines = (systemd_host.root / "docker-stats.txt").read_text().splitlines()[1:]
    said = {fields[1]: fields for fields in map(str.split, lines)}

    for name in ("idle", "paused", "parented"):
        usage = systemd_host.usage(name)
        assert usage.memory is not None
        assert usage.memory.working_set is not None
        assert usage.process is not None
        assert f"{usage.memory.working_set / 1024:g}KiB" == said[name][3]
        assert str(usage.process.threads) == said[name][-1]


def test_limits_are_told_where_they_are_set(host: Host) -> None:
    busy, idle = host.usage("busy"), host.usage("idle")

    for usage in (busy, idle):
        assert usage.spec is not None
        assert usage.spec.cpu_period == 100_000
        assert usage.spec.cpu_shares in {1024, 2597}  # v2's default weight of 100 on the scale of v1
        assert usage.spec.memory_reservation == 0
    assert busy.spec is not None
    assert idle.spec is not None
    assert (busy.spec.cpu_quota, busy.spec.memory_limit) == (50_000, 64 * 2**20)
    assert (idle.spec.cpu_quota, idle.spec.memory_limit) == (None, 0)
    assert busy.spec.threads == 50


def test_throttling_is_told_only_where_a_quota_is_set(host: Host) -> None:
    busy, idle = host.usage("busy").cpu, host.usage("idle").cpu

    assert busy is not None
    assert idle is not None
    assert busy.periods is not None
    assert busy.throttled_periods is not None
    assert busy.throttled is not None
    assert busy.periods >= busy.throttled_periods > 0
    assert busy.throttled > 0
    assert (idle.periods, idle.throttled_periods, idle.throttled, idle.burst_periods, idle.burst) == (None,) * 5


def test_the_out_of_memory_container_hit_its_limit(host: Host) -> None:
    memory = host.usage("oomkid").memory

    assert memory is not None
    if "v1" in host.root.parts:
        assert memory.max_usage == 16 * 2**20
        assert memory.events_max is None, "only v2 tells"
    else:
        assert memory.failures
        assert memory.events_max == memory.failures


def test_disk_has_reads_and_writes_by_device_and_nothing_before_the_first(host: Host) -> None:
    busy, idle = host.usage("busy").disk, host.usage("idle").disk

    assert busy is not None
    assert idle is not None
    (device,) = busy
    assert device.read_bytes
    assert device.written_bytes
    assert device.reads
    assert device.writes
    assert all(used.read_bytes is not None for used in idle)


def test_v1_disk_counts_are_the_engines_reads_and_writes(v1_host: Host) -> None:
    """Not its Total, which is wrong on this kernel."""
    disk = v1_host.usage("oomkid").disk

    assert disk is not None
    entries = v1_host.stats("oomkid")["blkio_stats"]["io_service_bytes_recursive"]
    counts = {(f"{entry['major']}:{entry['minor']}", entry["op"]): entry["value"] for entry in entries}
    read = {(f"{device.major}:{device.minor}", "Read"): device.read_bytes for device in disk}
    written = {(f"{device.major}:{device.minor}", "Write"): device.written_bytes for device in disk}
    assert {**read, **written} == {key: count for key, count in counts.items() if key[1] in {"Read", "Write"}}


def test_v2_devices_have_names_and_counts(v2_host: Host) -> None:
    assert v2_host.usage("busy").disk == (
        Device("/dev/ubdb", "98", "16", read_bytes=1736704, written_bytes=239075328, reads=37, writes=1945),
    )


def test_a_hybrid_hosts_pressure_comes_from_its_v2_tree(v1_host: Host) -> None:
    pressure = v1_host.usage("busy").pressure

    assert pressure is not None
    assert (pressure.cpu_waiting, pressure.cpu_stalled) == (2.118312, 2.115356)
    assert (pressure.io_waiting, pressure.io_stalled) == (0.081104, 0.081053)
    assert pressure.memory_waiting is not None


def test_a_kernel_without_pressure_has_none(v2_host: Host) -> None:
    pressure = v2_host.usage("busy").pressure

    assert pressure is not None
    assert all(getattr(pressure, field) is None for field in pressure.__slots__)


def test_the_hosts_network_is_not_the_containers(v1_host: Host) -> None:
    assert v1_host.usage("hostnet").network is None
    assert v1_host.usage("idle").network is not None


def test_only_the_groups_asked_for_are_read(host: Host) -> None:
    usage = host.samples(groups=groups_named({"cpu"}))["busy"].usage

    assert usage.cpu is not None
    assert usage.spec is not None
    assert (usage.memory, usage.network, usage.disk, usage.pressure, usage.process) == (None,) * 5


def test_ids_can_be_the_same_whatever_the_driver(host: Host) -> None:
    samples: dict[str, Sample] = host.samples("docker")

    for name, sample in samples.items():
        assert sample.labels.startswith(f'id="/docker/{host.containers[name].id}",')
