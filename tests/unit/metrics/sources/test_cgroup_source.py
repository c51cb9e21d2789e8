"""Containers come, go, restart and fail; readings are given only of those that are there."""

import dataclasses
import logging
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.conftest import NOW, Host, no_cycles, open_descriptors
from watchd.metrics.sources.cgroup import LINGERS, CgroupSource


@pytest.fixture
def source(own_host: Host) -> Iterator[CgroupSource]:
    source = own_host.source()
    yield source
    source.close()


def _names(source: CgroupSource, host: Host) -> set[str]:
    names = {container.id: name for name, container in host.containers.items()}
    return {names[container_id] for container_id in source.read(list(host.containers.values()), NOW)}


def _cgroup(host: Host, name: str) -> Path:
    (path,) = host.cgroupfs.rglob(f"*{host.containers[name].id}*")
    return path


def test_containers_that_do_not_run_have_no_reading(own_host: Host, source: CgroupSource) -> None:
    stopped = dataclasses.replace(own_host.containers["idle"], pid=0, status="exited")

    assert source.read([stopped], NOW) == {}


def test_the_same_container_twice_is_read_once(own_host: Host, source: CgroupSource) -> None:
    idle = own_host.containers["idle"]

    assert len(source.read([idle, idle], NOW)) == 1


def test_a_container_whose_process_or_cgroup_is_gone_has_no_reading(own_host: Host, source: CgroupSource) -> None:
    shutil.rmtree(own_host.procfs / str(own_host.containers["idle"].pid))
    shutil.rmtree(_cgroup(own_host, "busy"))

    assert _names(source, own_host) == {"oomkid", "parented", "paused"}
    assert not source.errors, "that containers end is no error"


def test_one_that_runs_for_the_engine_and_not_here_is_an_error_in_the_end(
    own_host: Host, source: CgroupSource, caplog: pytest.LogCaptureFixture
) -> None:
    """As behind another PID namespace, or in a virtual machine."""
    idle = own_host.containers["idle"]
    shutil.rmtree(own_host.procfs / str(idle.pid))

    for after in (0.0, 1.0, LINGERS):
        assert source.read([idle], NOW + after) == {}
    assert source.errors == {"cgroup": 1}
    assert "--pid host" in caplog.text


def test_a_number_used_again_by_another_containers_process(own_host: Host, source: CgroupSource) -> None:
    """The inventory may lag: its process number then is another container's."""
    idle, busy = own_host.containers["idle"], own_host.containers["busy"]
    lagging = dataclasses.replace(idle, pid=busy.pid)

    for after in (0.0, LINGERS / 2):
        assert source.read([lagging], NOW + after) == {}
    assert not source.errors
    assert source.read([lagging], NOW + LINGERS) == {}
    assert source.errors == {"cgroup": 1}


def test_a_container_that_ends_is_no_error_before_it_lingers(
    own_host: Host, source: CgroupSource, caplog: pytest.LogCaptureFixture
) -> None:
    """A zombie is in the root of each hierarchy for the kernel, until its parent asks for its exit status."""
    idle = own_host.containers["idle"]
    (own_host.procfs / str(idle.pid) / "cgroup").write_text("0::/\n")

    for after in (0.0, LINGERS / 2):
        assert source.read([idle], NOW + after) == {}
    assert not source.errors
    assert not caplog.records
    assert source.read([idle], NOW + LINGERS) == {}
    assert source.errors == {"cgroup": 1}
    assert "--cgroupns=host" in caplog.text


def test_what_cannot_be_read_leaves_no_cycles(own_host: Host, source: CgroupSource) -> None:
    shutil.rmtree(own_host.procfs / str(own_host.containers["idle"].pid))
    shutil.rmtree(_cgroup(own_host, "busy"))
    (own_host.procfs / str(own_host.containers["paused"].pid) / "cgroup").write_text("0::/\n")
    odd = own_host.procfs / str(own_host.containers["parented"].pid) / "cgroup"
    odd.unlink()
    odd.mkdir()  # for root no file is unreadable, but a directory is

    for after in (0.0, LINGERS):
        source.read(list(own_host.containers.values()), NOW + after)
    with no_cycles():  # without the first errors, which pytest keeps with the log
        readings = source.read(list(own_host.containers.values()), NOW + LINGERS)
        assert readings.keys() == {own_host.containers["oomkid"].id}
    assert source.errors == {"cgroup": 1 + 4 + 4}


def test_a_restarted_container_is_read_anew(own_host: Host, source: CgroupSource) -> None:
    before = own_host.containers["idle"]
    (first,) = source.read([before], NOW).values()
    shutil.copytree(own_host.procfs / str(before.pid), own_host.procfs / "4711")
    net_dev = own_host.procfs / "4711/net/dev"
    net_dev.write_text(net_dev.read_text().replace("eth0", "eth7"))

    (second,) = source.read([dataclasses.replace(before, pid=4711)], NOW).values()

    assert first.usage.network is not None
    assert second.usage.network is not None
    assert [interface.interface for interface in second.usage.network] == ["eth7"]
    assert second.cgroup_path == first.cgroup_path


def test_what_cannot_be_read_costs_only_its_group_and_is_told_once(
    own_host: Host, source: CgroupSource, caplog: pytest.LogCaptureFixture
) -> None:
    for stat in own_host.cgroupfs.rglob(f"*{own_host.containers['busy'].id}*/memory.stat"):
        stat.unlink()
        stat.mkdir()  # for root no file is unreadable, but a directory is

    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            readings = source.read(list(own_host.containers.values()), NOW)

    by_id = {container_id: reading.usage for container_id, reading in readings.items()}
    assert len(readings) == len(own_host.containers)
    assert by_id[own_host.containers["busy"].id].memory is None
    assert by_id[own_host.containers["busy"].id].cpu is not None
    assert by_id[own_host.containers["idle"].id].memory is not None
    assert source.errors == {"memory": 3}
    assert [record.message.partition(": ")[0] for record in caplog.records] == ["cannot read memory of container busy"]


def test_an_odd_line_costs_itself_alone_is_counted_at_each_reading_and_told_once(
    any_own_host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    """As where a disk was removed ("(unknown) rbytes=1"), and in any other file; on v1 and v2."""
    containers = list(any_own_host.containers.values())
    with closing(any_own_host.source()) as source:
        before = source.read(containers, NOW)
    for path in any_own_host.cgroupfs.rglob("*"):
        if path.name in {"io.stat", "memory.stat", "cpu.stat", "memory.pressure"} or path.name.startswith("blkio."):
            path.write_bytes(b"(unknown) rbytes=1 wbytes=2 3\n" + path.read_bytes())

    with closing(any_own_host.source()) as source, caplog.at_level(logging.WARNING):
        for _ in range(2):
            after = source.read(containers, NOW)

    assert {id_: reading.usage for id_, reading in after.items()} == {
        id_: reading.usage for id_, reading in before.items()
    }
    assert source.errors["memory"] == 2 * len(after)
    assert source.errors["disk"] >= 2 * len(after)
    told = [record.message for record in caplog.records]
    assert len(told) == len(set(told)) > 0
    assert sum("cannot read disk of container busy" in message for message in told) == 1


def _joins(host: Host, name: str, namespace: Path) -> None:
    directory = host.procfs / str(host.containers[name].pid) / "ns"
    directory.mkdir()
    (directory / "net").hardlink_to(namespace)


@pytest.mark.parametrize("hosts_is_known", [True, False])
def test_network_namespaces_are_compared_where_they_can_be_known(
    own_host: Host, source: CgroupSource, tmp_path: Path, *, hosts_is_known: bool
) -> None:
    """Podman's --network ns:/path shares one without a mode that says so."""
    hosts, shared, alone = (tmp_path / name for name in ("hosts", "shared", "alone"))
    for namespace in (hosts, shared, alone):
        namespace.touch()
    if hosts_is_known:
        (own_host.procfs / "1/ns").mkdir(parents=True)
        (own_host.procfs / "1/ns/net").hardlink_to(hosts)
    networks = {"idle": shared, "busy": shared, "parented": alone, "paused": hosts}
    for name, namespace in networks.items():
        _joins(own_host, name, namespace)
    modes = {"idle": "ns:/run/x", "busy": "ns:/run/x", "parented": "container:x", "paused": "host", "oomkid": "ns:/x"}
    started = {"idle": 20.0, "busy": 10.0}
    containers = {
        name: dataclasses.replace(own_host.containers[name], network_mode=mode, started_at=started.get(name))
        for name, mode in modes.items()
    }

    def shown(*names: str) -> set[str]:
        readings = source.read([containers[name] for name in names], NOW)
        return {name for name in names if readings[containers[name].id].usage.network is not None}

    source = own_host.source()
    for _ in range(2):
        assert shown(*modes) == {"busy", "parented"}, "the first of two, the only one; where unknown, by the mode"
    shown("idle")
    assert shown("idle") == {"idle"}, "nobody else is in it any more"
    source.close()


def test_a_first_thread_that_ended_costs_only_the_network(own_host: Host, source: CgroupSource) -> None:
    idle = own_host.containers["idle"]
    (own_host.procfs / f"{idle.pid}/net/dev").unlink()

    (reading,) = source.read([idle], NOW).values()

    assert reading.usage.network is None
    assert reading.usage.cpu is not None
    assert not source.errors


def test_a_file_that_the_kernel_does_not_have_is_not_looked_for_again(own_host: Host, source: CgroupSource) -> None:
    idle = own_host.containers["idle"]
    peak = _cgroup(own_host, "idle") / "memory.peak"
    peak.unlink()

    for usage in (4096, 8192):
        peak.with_name("memory.current").write_text(f"{usage}\n")
        (reading,) = source.read([idle], NOW).values()
        assert reading.usage.memory is not None
        assert reading.usage.memory.usage == usage
        assert reading.usage.memory.max_usage is None
        peak.write_text("1\n")


def test_values_are_fresh_at_every_collection(own_host: Host, source: CgroupSource) -> None:
    idle = own_host.containers["idle"]
    source.read([idle], NOW)
    (_cgroup(own_host, "idle") / "memory.current").write_text("4096000000\n")

    (reading,) = source.read([idle], NOW).values()

    assert reading.usage.memory is not None
    assert reading.usage.memory.usage == 4096000000


def test_files_longer_than_one_read_are_read_whole(own_host: Host, source: CgroupSource) -> None:
    idle = own_host.containers["idle"]
    for count in (20_000, 20_001):  # with the file just opened, and with the one that was kept open
        (_cgroup(own_host, "idle") / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in range(1, count + 1)))

        (reading,) = source.read([idle], NOW).values()

        assert reading.usage.process is not None
        assert reading.usage.process.processes == count


def test_devices_without_a_name_keep_their_number(own_host: Host, source: CgroupSource) -> None:
    (own_host.procfs / "partitions").unlink()

    (reading,) = source.read([own_host.containers["busy"]], NOW).values()

    assert reading.usage.disk is not None
    assert [device.device for device in reading.usage.disk] == ["98:16"]


def test_no_descriptor_stays_behind(own_host: Host) -> None:
    before = open_descriptors()
    source = own_host.source()
    containers = list(own_host.containers.values())
    for _ in range(3):
        source.read(containers, NOW)
        while_running = open_descriptors()
        shutil.rmtree(own_host.procfs / str(containers[0].pid), ignore_errors=True)
        source.read(containers[:1], NOW)  # the others were removed
        source.read([dataclasses.replace(containers[1], id="f" * 64)], NOW)  # cannot be resolved
        assert while_running > before
        assert open_descriptors() <= before + 40, "at most one container is still followed"
    source.read([], NOW)
    assert open_descriptors() == before
    source.read(containers, NOW)
    source.close()
    assert open_descriptors() == before
