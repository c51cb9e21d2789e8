"""Stats of captured containers give the values of their cgroup files."""

import copy
import json
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.conftest import Host
from watchd.engine.decode.containers import container_from_inspect
from watchd.engine.decode.fields import MalformedReply
from watchd.engine.decode.stats import is_of_a_running_container, spec
from watchd.metrics.groups import GROUPS
from watchd.metrics.groups.group import Context
from watchd.model import Limits
from watchd.model.usage import Cpu, Device, Memory, Process, Spec, Usage

NAMES = ("busy", "idle", "oomkid", "paused", "parented")
ENDED = {"read": "0001-01-01T00:00:00Z", "pids_stats": {}, "cpu_stats": {"cpu_usage": {"total_usage": 0}}}


def _name(number: str) -> str:
    return {"254:0": "/dev/vda", "98:16": "/dev/ubdb"}.get(number, number)


def _limits(host: Host, name: str) -> Limits:
    inspect = json.loads((host.root / f"inspect-{name}.json").read_text())
    return container_from_inspect(inspect[0] if isinstance(inspect, list) else inspect).limits


def usage(raw: Any, limits: Limits) -> Usage:
    """Readings that the API source makes of stats."""
    made = Usage(spec(raw, limits))
    for group in GROUPS:
        if group.api:
            setattr(made, group.name, group.api(raw, Context(_name, has_cpu_quota=limits.cpu_quota > 0)))
    return made


def _usage(host: Host, name: str) -> Usage:
    return usage(host.stats(name), _limits(host, name))


def _told(record: Any) -> set[str]:
    return {field.name for field in fields(record) if getattr(record, field.name) is not None}


@pytest.fixture(params=["v1_host", "v2_host"])
def host_with_stats(request: pytest.FixtureRequest) -> Host:
    host: Host = request.getfixturevalue(request.param)
    return host


@pytest.mark.parametrize("name", NAMES)
def test_limits_are_those_of_the_files(host_with_stats: Host, name: str) -> None:
    assert _usage(host_with_stats, name).spec == host_with_stats.usage(name).spec


@pytest.mark.parametrize("name", ["idle", "parented"])
def test_an_idle_container_has_exactly_the_values_of_its_files(host_with_stats: Host, name: str) -> None:
    """As far as the API gives them: what is left is the same."""
    api, cgroup = _usage(host_with_stats, name), host_with_stats.usage(name)

    assert api.cpu == cgroup.cpu
    assert api.memory is not None
    assert cgroup.memory is not None
    not_told = {"kernel", "swap", "refaults_file", "refaults_anon"}
    if api.memory.max_usage is None:
        not_told |= {"max_usage", "failures", "events_high", "events_max"}
    assert api.memory == replace(cgroup.memory, **dict.fromkeys(not_told))
    assert api.process is not None
    assert cgroup.process is not None
    assert api.process == replace(cgroup.process, processes=None)
    assert api.disk == cgroup.disk == ()
    assert api.pressure is None


def test_a_busy_container_has_used_a_little_more_by_then(host_with_stats: Host) -> None:
    """Its stats were asked for a second or two after its files were read."""
    api, cgroup = _usage(host_with_stats, "busy"), host_with_stats.usage("busy")

    assert api.cpu is not None
    assert cgroup.cpu is not None
    assert _told(api.cpu) == _told(cgroup.cpu) - {"burst", "burst_periods"}
    for field in _told(api.cpu):
        assert 0 <= getattr(api.cpu, field) - getattr(cgroup.cpu, field) <= 30, field
    assert api.disk is not None
    assert cgroup.disk is not None
    for after, before in zip(api.disk, cgroup.disk, strict=True):
        assert (after.device, after.major, after.minor) == (before.device, before.major, before.minor)
        assert (after.read_bytes, after.read_time) == (before.read_bytes, None)
        assert (after.written_bytes or 0) >= (before.written_bytes or 0) > 0


def test_interfaces_are_those_of_net_dev(host_with_stats: Host) -> None:
    api, cgroup = _usage(host_with_stats, "idle").network, host_with_stats.usage("idle").network

    assert api is not None
    assert cgroup is not None
    for after, before in zip(api, cgroup, strict=True):
        assert after.interface == before.interface
        assert after.received_bytes >= before.received_bytes > 0
        assert after.received_packets >= before.received_packets > 0


def test_the_hosts_interfaces_are_not_in_the_stats(v1_host: Host) -> None:
    assert _usage(v1_host, "hostnet").network is None


def test_interfaces_that_are_not_the_containers_own_are_left_out(v1_host: Host) -> None:
    stats = copy.deepcopy(v1_host.stats("idle"))
    stats["networks"] = dict.fromkeys(("eth0", "docker0", "lo", "eth1"), stats["networks"]["eth0"])

    network = usage(stats, Limits()).network

    assert network is not None
    assert [interface.interface for interface in network] == ["eth0", "eth1"]


def test_v1_reads_and_writes_of_the_scheduler_with_times() -> None:
    def entries(read: int, write: int) -> list[Any]:
        device = {"major": 8, "minor": 0}
        return [{**device, "op": op, "value": value} for op, value in (("Read", read), ("Write", write), ("Total", 99))]

    blkio = {
        "io_service_bytes_recursive": entries(10, 20),
        "io_serviced_recursive": entries(1, 2),
        "io_merged_recursive": entries(3, 4),
        "io_service_time_recursive": entries(500_000_000, 250_000_000),
        "io_queue_recursive": entries(1, 0),
    }

    disk = usage({"blkio_stats": blkio}, Limits()).disk

    assert disk == (
        Device("8:0", "8", "0", 10, 20, 1, 2, 3, 4, read_time=0.5, write_time=0.25, io_time=0.75, queued=1),
    )


V1_STATS = {"total_rss": 1, "hierarchical_memsw_limit": 1}
V2_STATS = {"anon": 1}


@pytest.mark.parametrize(
    ("stats", "limits", "expected"),
    [
        (V1_STATS, Limits(), Spec(100_000, None, 1024, 0, 0, 0)),
        (V2_STATS, Limits(), Spec(100_000, None, 2597, 0, 0, 0)),
        ({}, Limits(), Spec(100_000, None, None, 0, None, 0)),
        (V1_STATS, Limits(cpu_period=50_000, cpu_quota=25_000), Spec(50_000, 25_000, 1024, 0, 0, 0)),
        (V1_STATS, Limits(cpu_period=50_000, cpu_quota=-1), Spec(50_000, None, 1024, 0, 0, 0)),
        (V1_STATS, Limits(memory=8192, memory_swap=16384), Spec(100_000, None, 1024, 8192, 16384, 0)),
        (V2_STATS, Limits(memory=8192, memory_swap=16384), Spec(100_000, None, 2597, 8192, 8192, 0)),
        (V2_STATS, Limits(memory=8192, memory_swap=8192), Spec(100_000, None, 2597, 8192, 0, 0)),
        (V1_STATS, Limits(memory=8192, memory_swap=-1), Spec(100_000, None, 1024, 8192, 0, 0)),
        (V2_STATS, Limits(memory=8192, memory_swap=-1), Spec(100_000, None, 2597, 8192, 0, 0)),
        (V1_STATS, Limits(memory=8193, memory_reservation=4097), Spec(100_000, None, 1024, 8192, 0, 4096)),
        (V1_STATS, Limits(cpu_shares=1), Spec(100_000, None, 2, 0, 0, 0)),
        (V1_STATS, Limits(cpu_shares=512), Spec(100_000, None, 512, 0, 0, 0)),
        (V2_STATS, Limits(cpu_shares=512), Spec(100_000, None, None, 0, 0, 0)),
        ({"total_rss": 1}, Limits(memory=8192, memory_swap=16384), Spec(100_000, None, 1024, 8192, None, 0)),
    ],
)
def test_limits(stats: dict[str, int], limits: Limits, expected: Spec) -> None:
    """The last is a kernel that does not count swap."""
    raw = {"memory_stats": {"usage": 1, "limit": 25 << 30, "stats": stats}}

    found = spec(raw, limits)
    assert replace(found, swap_limit=None, effective_memory_limit=None, effective_cpus=None) == expected


@pytest.mark.parametrize(
    ("limits", "swap", "memory", "cpus"),
    [
        (Limits(), None, None, None),
        (Limits(memory=8192, memory_swap=8192), 0, 8192, None),  # swap is forbidden
        (Limits(memory=8192, memory_swap=16384), 8192, 8192, None),
        (Limits(memory=8192, memory_swap=-1), None, 8192, None),
        (Limits(cpu_period=50_000, cpu_quota=25_000), None, None, 0.5),
    ],
)
@pytest.mark.parametrize("stats", [V1_STATS, V2_STATS])
def test_swap_that_is_forbidden_is_not_swap_without_limit(
    stats: dict[str, int], limits: Limits, swap: int | None, memory: int | None, cpus: float | None
) -> None:
    found = spec({"memory_stats": {"usage": 1, "stats": stats}}, limits)
    assert (found.swap_limit, found.effective_memory_limit, found.effective_cpus) == (swap, memory, cpus)


def test_a_kernel_without_the_memory_controller_has_no_limit() -> None:
    raw = {"memory_stats": {}, "cpu_stats": {"cpu_usage": {"percpu_usage": [1]}}}

    result = usage(raw, Limits(memory=8192))

    assert result.spec == Spec(cpu_period=100_000, cpu_shares=1024)
    assert result.memory == Memory()


def test_what_an_engine_fills_with_0_is_not_known() -> None:
    """As with the kernel's parameter cgroup_disable=memory, on v2: the engine has a map of fields that are all 0."""
    fields = ("anon", "file", "kernel_stack", "pgfault", "file_dirty", "inactive_file")
    zeros = dict.fromkeys(fields, 0)
    raw = {
        "cpu_stats": {"cpu_usage": {"total_usage": 0, "usage_in_usermode": 0}},
        "pids_stats": {"current": 0, "limit": 0},
    }
    for memory in ({"stats": zeros}, {"stats": zeros, "usage": 0, "max_usage": 0, "failcnt": 0}):
        result = usage(raw | {"memory_stats": memory}, Limits(memory=1 << 20, cpu_quota=1000))

        assert result.memory == Memory()
        assert result.cpu == Cpu()
        assert result.process == Process()
        assert result.spec is not None
        assert (result.spec.memory_limit, result.spec.memory_swap_limit, result.spec.threads) == (None, None, None)


def test_throttling_is_told_only_where_a_quota_is_set() -> None:
    raw = {"cpu_stats": {"throttling_data": {"periods": 3, "throttled_periods": 2, "throttled_time": 1_500_000_000}}}

    assert usage(raw, Limits()).cpu == Cpu()
    limited = usage(raw, Limits(cpu_quota=1000)).cpu
    assert limited == Cpu(periods=3, throttled_periods=2, throttled=1.5)


@pytest.mark.parametrize(
    ("pids", "expected"),
    [
        ({"current": 2}, (2, 0)),
        ({"current": 2, "limit": 0}, (2, 0)),
        ({"current": 2, "limit": 2**64 - 1}, (2, 0)),
        ({"current": 2, "limit": 50}, (2, 50)),
        ({}, (None, None)),
    ],
)
def test_threads(pids: dict[str, int], expected: tuple[int | None, int | None]) -> None:
    result = usage({"pids_stats": pids}, Limits())
    assert result.process is not None
    assert result.spec is not None
    assert (result.process.threads, result.spec.threads) == expected


def test_a_container_that_ended_has_stats_of_the_year_1(v1_host: Host) -> None:
    assert is_of_a_running_container(v1_host.stats("paused"))
    assert not is_of_a_running_container(ENDED)
    assert not is_of_a_running_container({})


_KEYS = st.sampled_from(
    [
        *("read", "memory_stats", "stats", "usage", "failcnt", "max_usage", "anon", "total_rss", "inactive_file"),
        *("cpu_stats", "cpu_usage", "percpu_usage", "total_usage", "throttling_data", "periods", "throttled_time"),
        *("networks", "eth0", "rx_bytes", "pids_stats", "current", "limit", "\ud800"),
        *("blkio_stats", "io_service_bytes_recursive", "io_queue_recursive", "major", "minor", "op", "value"),
    ]
)
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from([10**4000, 2**64, "Read"]),
)
_JUNK = st.recursive(
    _SCALARS, lambda children: st.lists(children, max_size=4) | st.dictionaries(_KEYS, children, max_size=6)
)


@given(raw=_JUNK)
def test_whatever_an_engine_says_gives_values_or_malformed(raw: Any) -> None:
    for limits in (Limits(), Limits(cpu_quota=1000, memory=2**60, memory_swap=-1)):
        with suppress(MalformedReply):
            usage(raw, limits)
    with suppress(MalformedReply):
        is_of_a_running_container(raw)


@given(data=st.data(), junk=_SCALARS | st.just({}) | st.just([]))
def test_one_odd_value_gives_values_or_malformed(captured_stats: Any, data: st.DataObject, junk: Any) -> None:
    """Anywhere in stats that are otherwise sound."""
    raw = copy.deepcopy(captured_stats)
    place: Any = raw
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not (place[key] and isinstance(place[key], (dict, list))) or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = junk
    with suppress(MalformedReply):
        usage(raw, Limits(cpu_quota=1000))
        is_of_a_running_container(raw)


@pytest.fixture(scope="module", params=["v1/cgroupfs-docker20.10-linux6.18-hybrid", "v2/cgroupfs-docker20.10-uml7.2"])
def captured_stats(request: pytest.FixtureRequest, captured: Any) -> Any:
    return json.loads((captured / request.param / "stats-busy.json").read_text())


@pytest.mark.parametrize("odd", [True, -1, 2**64, 1.5, "1", [1]])
def test_what_is_no_count_is_malformed(odd: Any) -> None:
    with pytest.raises(MalformedReply, match="usage"):
        usage({"memory_stats": {"usage": odd}}, Limits())


def test_what_is_malformed_is_not_told_whole() -> None:
    with pytest.raises(MalformedReply) as raised:
        usage({"memory_stats": "x" * 10_000}, Limits())

    assert len(str(raised.value)) < 100
