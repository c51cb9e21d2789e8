"""Containers come, go, restart and fail; readings are given only of those that are there."""

import dataclasses
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.metrics.conftest import NOW, Host, open_descriptors
from watchd.metrics.cgroup_source import LINGERS, CgroupSource


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

    assert source.read([lagging], NOW) == {}
    assert source.errors == {"cgroup": 1}


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
    (_cgroup(own_host, "busy") / "memory.stat").write_text("anon")

    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            readings = source.read(list(own_host.containers.values()), NOW)

    by_id = {container_id: reading.usage for container_id, reading in readings.items()}
    assert len(readings) == len(own_host.containers)
    assert by_id[own_host.containers["busy"].id].memory is None
    assert by_id[own_host.containers["busy"].id].cpu is not None
    assert by_id[own_host.containers["idle"].id].memory is not None
    assert source.errors == {"memory": 3}
    assert [record.message for record in caplog.records] == [
        "cannot read memory of container busy: not lines of a key and a number: the last number is missing"
    ]


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
