"""Containers come, go, restart and fail; samples are given only of those that are there."""

import dataclasses
import logging
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.metrics.conftest import NOW, Host, open_descriptors
from watchd.metrics.sampler import CgroupSampler
from watchd.metrics.usage import Sample
from watchd.model import Container


@pytest.fixture
def sampler(own_host: Host) -> Iterator[CgroupSampler]:
    sampler = CgroupSampler(procfs=own_host.procfs, cgroupfs=own_host.cgroupfs)
    yield sampler
    sampler.close()


def _names(sampler: CgroupSampler, host: Host) -> set[str]:
    names = {container.id: name for name, container in host.containers.items()}
    return {names[sample.container_id] for sample in sampler.collect(list(host.containers.values()), NOW)}


def _cgroup(host: Host, name: str) -> Path:
    (path,) = host.cgroupfs.rglob(f"*{host.containers[name].id}*")
    return path


def test_containers_that_do_not_run_have_no_sample(own_host: Host, sampler: CgroupSampler) -> None:
    stopped = dataclasses.replace(own_host.containers["idle"], pid=0, status="exited")

    assert sampler.collect([stopped], NOW) == ()


def test_the_same_container_twice_is_sampled_once(own_host: Host, sampler: CgroupSampler) -> None:
    idle = own_host.containers["idle"]

    assert len(sampler.collect([idle, idle], NOW)) == 1


def test_a_container_whose_process_or_cgroup_is_gone_has_no_sample(own_host: Host, sampler: CgroupSampler) -> None:
    shutil.rmtree(own_host.procfs / str(own_host.containers["idle"].pid))
    shutil.rmtree(_cgroup(own_host, "busy"))

    assert _names(sampler, own_host) == {"oomkid", "parented", "paused"}
    assert not sampler.errors, "that containers end is no error"


def test_a_number_used_again_by_another_containers_process(own_host: Host, sampler: CgroupSampler) -> None:
    """The inventory may lag: its process number then is another container's."""
    idle, busy = own_host.containers["idle"], own_host.containers["busy"]
    lagging = dataclasses.replace(idle, pid=busy.pid)

    assert sampler.collect([lagging], NOW) == ()
    assert sampler.errors == {"cgroup": 1}


def test_a_restarted_container_is_read_anew(own_host: Host, sampler: CgroupSampler) -> None:
    before = own_host.containers["idle"]
    (first,) = sampler.collect([before], NOW)
    shutil.copytree(own_host.procfs / str(before.pid), own_host.procfs / "4711")
    net_dev = own_host.procfs / "4711/net/dev"
    net_dev.write_text(net_dev.read_text().replace("eth0", "eth7"))

    (second,) = sampler.collect([dataclasses.replace(before, pid=4711)], NOW)

    assert first.usage.network is not None
    assert second.usage.network is not None
    assert [interface.interface for interface in second.usage.network] == ["eth7"]
    assert second.labels == first.labels, "a restart does not change the identity of series"


def test_a_rename_changes_the_labels_at_once(own_host: Host, sampler: CgroupSampler) -> None:
    idle = own_host.containers["idle"]
    sampler.collect([idle], NOW)

    (renamed,) = sampler.collect([dataclasses.replace(idle, name="other")], NOW)

    assert 'name="other"' in renamed.labels


def test_what_cannot_be_read_costs_only_its_group_and_is_told_once(
    own_host: Host, sampler: CgroupSampler, caplog: pytest.LogCaptureFixture
) -> None:
    (_cgroup(own_host, "busy") / "memory.stat").write_text("anon")

    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            samples = sampler.collect(list(own_host.containers.values()), NOW)

    by_id = {sample.container_id: sample.usage for sample in samples}
    assert len(samples) == len(own_host.containers)
    assert by_id[own_host.containers["busy"].id].memory is None
    assert by_id[own_host.containers["busy"].id].cpu is not None
    assert by_id[own_host.containers["idle"].id].memory is not None
    assert sampler.errors == {"memory": 3}
    assert [record.message for record in caplog.records] == [
        "cannot read memory of container busy: not lines of a key and a number: the last number is missing"
    ]


def test_a_first_thread_that_ended_costs_only_the_network(own_host: Host, sampler: CgroupSampler) -> None:
    idle = own_host.containers["idle"]
    (own_host.procfs / f"{idle.pid}/net/dev").unlink()

    (sample,) = sampler.collect([idle], NOW)

    assert sample.usage.network is None
    assert sample.usage.cpu is not None
    assert not sampler.errors


def test_a_file_that_the_kernel_does_not_have_is_not_looked_for_again(own_host: Host, sampler: CgroupSampler) -> None:
    idle = own_host.containers["idle"]
    peak = _cgroup(own_host, "idle") / "memory.peak"
    peak.unlink()

    for _ in range(2):
        (sample,) = sampler.collect([idle], NOW)
        assert sample.usage.memory is not None
        assert sample.usage.memory.max_usage is None
        peak.write_text("1\n")


def test_values_are_fresh_at_every_collection(own_host: Host, sampler: CgroupSampler) -> None:
    idle = own_host.containers["idle"]
    sampler.collect([idle], NOW)
    (_cgroup(own_host, "idle") / "memory.current").write_text("4096000000\n")

    (sample,) = sampler.collect([idle], NOW)

    assert sample.usage.memory is not None
    assert sample.usage.memory.usage == 4096000000


def test_files_longer_than_one_read_are_read_whole(own_host: Host, sampler: CgroupSampler) -> None:
    idle = own_host.containers["idle"]
    (_cgroup(own_host, "idle") / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in range(1, 20_001)))

    (sample,) = sampler.collect([idle], NOW)

    assert sample.usage.process is not None
    assert sample.usage.process.processes == 20_000


def test_devices_without_a_name_keep_their_number(own_host: Host, sampler: CgroupSampler) -> None:
    (own_host.procfs / "partitions").unlink()

    (sample,) = sampler.collect([own_host.containers["busy"]], NOW)

    assert sample.usage.disk is not None
    assert [device.device for device in sample.usage.disk] == ["98:16"]


def test_no_descriptor_stays_behind(own_host: Host) -> None:
    before = open_descriptors()
    sampler = CgroupSampler(procfs=own_host.procfs, cgroupfs=own_host.cgroupfs)
    containers = list(own_host.containers.values())
    for _ in range(3):
        sampler.collect(containers, NOW)
        while_running = open_descriptors()
        shutil.rmtree(own_host.procfs / str(containers[0].pid), ignore_errors=True)
        sampler.collect(containers[:1], NOW)  # the others were removed
        sampler.collect([dataclasses.replace(containers[1], id="f" * 64)], NOW)  # cannot be resolved
        assert while_running > before
        assert open_descriptors() <= before + 40, "at most one container is still followed"
    sampler.collect([], NOW)
    assert open_descriptors() == before
    sampler.collect(containers, NOW)
    sampler.close()
    assert open_descriptors() == before


class _CountingLock:
    """A lock that knows how many have come to it, whether they got in or wait."""

    def __init__(self) -> None:
        self.comers = threading.Semaphore(0)
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self.comers.release()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_callers_at_the_same_time_share_one_collection(own_host: Host) -> None:
    first_is_in, others_wait = threading.Event(), threading.Event()

    class Watched(CgroupSampler):
        collections = 0

        def _collect(self, containers: Sequence[Container], now: float) -> tuple[Sample, ...]:
            self.collections += 1
            first_is_in.set()
            assert others_wait.wait(10)
            return super()._collect(containers, now)

    sampler = Watched(procfs=own_host.procfs, cgroupfs=own_host.cgroupfs)
    lock = _CountingLock()
    sampler._lock = lock  # type: ignore[assignment]
    containers = list(own_host.containers.values())
    results: list[tuple[Sample, ...]] = []
    threads = [threading.Thread(target=lambda: results.append(sampler.collect(containers, NOW))) for _ in range(8)]
    threads[0].start()
    assert first_is_in.wait(10)
    for thread in threads[1:]:
        thread.start()
    for _ in threads:
        assert lock.comers.acquire(timeout=10)
    others_wait.set()
    for thread in threads:
        thread.join(10)
    later = sampler.collect(containers, NOW + 1)
    sampler.close()

    assert len(results) == 8
    assert all(result is results[0] for result in results)
    assert later[0].times.seen == NOW + 1, "who comes afterwards gets a new one"
    assert sampler.collections == 2
