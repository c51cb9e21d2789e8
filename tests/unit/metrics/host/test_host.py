"""The host itself: what /proc says of it, and what its file systems hold."""

import errno
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchd.kernel.parse import procfs
from watchd.kernel.parse.formats import Malformed
from watchd.metrics.groups import groups_named
from watchd.metrics.host.filesystems import Filesystems
from watchd.metrics.host.host import Host
from watchd.metrics.host.machine import Machine
from watchd.model import Own

STAT = b"cpu  1000 20 300 9000 77 5 15 3 0 0\ncpu0 500 10 150 4500 38 2 8 1 0 0\nbtime 1795000000\nprocesses 5\n"
MEMINFO = b"""\
MemTotal:        8000 kB
MemFree:         1000 kB
Buffers:          100 kB
Cached:          2000 kB
SwapCached:        10 kB
Active(file):     700 kB
Inactive(file):   600 kB
SwapTotal:       4000 kB
SwapFree:        3000 kB
Dirty:              4 kB
Writeback:          0 kB
AnonPages:       3000 kB
Mapped:           250 kB
Slab:             300 kB
KernelStack:       50 kB
PageTables:        20 kB
HugePages_Total:       0
"""
DISKSTATS = b"""\
 259       0 nvme0n1 100 7 2048 1500 50 3 4096 2500 2 3000 4000 0 0 0 0 5 6
   7       0 loop0 1 0 2 0 0 0 0 0 0 0 0
"""
MOUNTINFO = b"""\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 8:17 / /var/lib/docker rw - xfs /dev/sdb1 rw
31 22 8:1 /home /mnt/a\\040b rw - ext4 /dev/root rw
32 22 0:30 / /run rw - tmpfs tmpfs rw
"""


def test_cpu_time_without_waiting_and_without_what_the_hypervisor_took() -> None:
    cpu = procfs.cpu(STAT)

    assert (cpu.usage, cpu.user, cpu.system) == (13.4, 10.2, 3.2)
    assert procfs.boot_time(STAT) == 1795000000


def test_memory_as_the_kernel_counts_it_for_a_cgroup() -> None:
    memory = procfs.memory(
        procfs.meminfo(MEMINFO), b"pgfault 12\npgmajfault 3\nworkingset_refault_file 7\nworkingset_refault_anon 0\n"
    )

    assert memory.rss == 3000 * 1024
    assert memory.cache == 2110 * 1024
    assert memory.usage == 5110 * 1024
    assert memory.working_set == 4510 * 1024
    assert memory.swap == 1000 * 1024
    assert memory.kernel == 370 * 1024
    assert (memory.tree_faults, memory.tree_major_faults) == (12, 3)
    assert (memory.faults, memory.major_faults) == (None, None), "the machine's are of all its cgroups"
    assert (memory.refaults_file, memory.refaults_anon) == (7, 0)


def test_disks() -> None:
    disk, _ = procfs.diskstats(DISKSTATS)

    assert (disk.device, disk.major, disk.minor) == ("/dev/nvme0n1", "259", "0")
    assert (disk.reads, disk.merged_reads, disk.read_bytes, disk.read_time) == (100, 7, 1024 * 1024, 1.5)
    assert (disk.writes, disk.merged_writes, disk.written_bytes, disk.write_time) == (50, 3, 2048 * 1024, 2.5)
    assert (disk.queued, disk.io_time, disk.weighted_time) == (2, 3.0, 4.0)


@given(st.binary())
def test_junk_is_malformed_and_nothing_else(data: bytes) -> None:
    for parse in (procfs.cpu, procfs.boot_time, procfs.meminfo, procfs.diskstats):
        with suppress(Malformed):
            parse(data)


def cpu_seconds() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def test_this_machine_is_told_as_psutil_tells_it() -> None:
    before = cpu_seconds()
    sample = Host(Path("/proc"), Filesystems(Path("/proc"))).sample(1_800_000_000.0)
    after = cpu_seconds()

    assert sample.labels == 'id="/"', "neither name nor image: it is no container"
    assert sample.state is None
    usage = sample.usage
    assert usage.spec is not None
    assert usage.spec.memory_limit == psutil.virtual_memory().total
    assert sample.lifecycle.started == pytest.approx(psutil.boot_time(), abs=1)
    assert usage.cpu is not None
    assert usage.cpu.usage is not None
    assert before - 0.02 <= usage.cpu.usage <= after + 0.02
    assert usage.network is not None
    assert "lo" not in {interface.interface for interface in usage.network}
    assert sample.filesystem
    for filesystem in sample.filesystem:
        assert filesystem.usage is not None
        assert filesystem.limit is not None
        assert 0 <= filesystem.usage <= filesystem.limit


def test_only_the_groups_asked_for_are_told() -> None:
    sample = Host(Path("/proc"), Filesystems(Path("/proc")), groups_named(["cpu"])).sample(0.0)
    usage = sample.usage

    assert usage.cpu is not None
    assert (usage.memory, usage.network, usage.disk, sample.filesystem, usage.pressure) == (None,) * 5


def test_what_cannot_be_read_is_left_out_and_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "stat").write_bytes(STAT)
    broken = Host(tmp_path, Filesystems(tmp_path), groups_named(["cpu", "memory"]))

    for _ in range(3):
        usage = broken.sample(0.0).usage

    assert usage.cpu is not None
    assert usage.memory is None
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "the host's spec cannot be read",
        "the host's memory cannot be read",
    ]
    assert broken.errors == {"host_spec": 3, "host_cpu": 0, "host_memory": 3}


def _fail(error: Exception) -> None:
    raise error


def test_in_a_container_file_systems_are_those_of_the_hosts_processes(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1/mountinfo").write_bytes(MOUNTINFO)
    (tmp_path / "1/root/var/lib/docker").mkdir(parents=True)
    filesystems = Filesystems(tmp_path)
    size = os.statvfs(tmp_path)

    docker = filesystems.of("/var/lib/docker")
    assert docker is not None
    assert docker.device == "/dev/sdb1"
    assert docker.limit == size.f_blocks * size.f_frsize
    assert [found.device for found in filesystems.on_disks(_fail)] == ["/dev/sda1", "/dev/sdb1"], "each device once"
    assert filesystems.of("/not/there") is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a mount namespace of its own made")
def test_what_is_another_file_system_here_than_for_the_host_is_not_measured(tmp_path: Path) -> None:
    """As in a container that shares the host's processes: its paths are its own."""
    (tmp_path / "elsewhere").mkdir()
    look = "; ".join(
        (
            "from pathlib import Path",
            "from watchd.metrics.host.filesystems import Filesystems",
            "here = Filesystems(Path('/proc'))",
            f"print([here.of(path) is not None for path in ('{tmp_path}', '{tmp_path}/elsewhere')])",
        )
    )
    script = f'mount -t tmpfs none {tmp_path}/elsewhere && exec {sys.executable} -c "{look}"'
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[True, False]\n"


def test_where_proc_hides_the_first_process_the_hosts_interfaces_are_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with the mount option hidepid=2, for an ordinary user."""
    monkeypatch.setattr("watchd.metrics.host.host.find_own", lambda: Own(in_container=False))
    for name in ("net/dev", "self/mountinfo"):
        (tmp_path / name).parent.mkdir()
    (tmp_path / "net/dev").write_bytes(Path("/proc/self/net/dev").read_bytes())
    (tmp_path / "self/mountinfo").write_text(f"85 83 0:60 / {tmp_path} rw - proc proc rw,hidepid=invisible\n")

    host = Host(tmp_path, Filesystems(tmp_path), groups_named(["network"]))

    assert host.sample(0.0).usage.network is not None
    assert host.errors["host_network"] == 0


@pytest.mark.parametrize(
    ("missing", "source"),
    [
        ("stat", "host_cpu"),
        ("meminfo", "host_memory"),
        ("vmstat", "host_memory"),
        ("diskstats", "host_disk"),
        ("1/net/dev", "host_network"),
        ("1/mountinfo", "host_filesystem"),
        ("pressure/cpu", "host_pressure"),
    ],
)
def test_each_file_that_cannot_be_read_is_counted_at_each_reading(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, missing: str, source: str
) -> None:
    for name in ("stat", "meminfo", "vmstat", "diskstats", "1/net/dev", "1/mountinfo"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((Path("/proc") / name.replace("1/", "self/")).read_bytes())
    (tmp_path / "1/root").symlink_to("/")
    whole = Host(tmp_path, Filesystems(tmp_path))
    whole.sample(0.0)
    assert not +whole.errors, "pressure that this kernel does not tell is no error"

    (tmp_path / missing).unlink(missing_ok=True)
    (tmp_path / missing).mkdir(parents=True)  # for root no file is unreadable, but a directory is
    host = Host(tmp_path, Filesystems(tmp_path))
    for _ in range(3):
        host.sample(0.0)

    assert host.errors[source] == 3
    assert [record.message for record in caplog.records if f"host's {source.removeprefix('host_')} " in record.message]
    assert len(caplog.records) == len({record.message for record in caplog.records}), "logged once"


def test_a_file_system_that_cannot_be_measured_is_counted_and_costs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "1/root/var/lib/docker").mkdir(parents=True)
    (tmp_path / "1/mountinfo").write_bytes(MOUNTINFO)
    statvfs = os.statvfs

    def failing(path: str) -> os.statvfs_result:
        if path.endswith("docker"):
            raise OSError(errno.EIO, "disk is broken")
        return statvfs(path)

    monkeypatch.setattr(os, "statvfs", failing)
    host = Host(tmp_path, Filesystems(tmp_path), groups_named(["disk"]))

    assert [found.device for found in host.sample(0.0).filesystem or ()] == ["/dev/sda1"]
    assert host.errors["host_filesystem"] == 1


def test_machine_totals_that_cannot_be_read_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "PROCFS_PATH", "/proc")  # restored afterwards
    machine = Machine(lambda: None, lambda: True, procfs=tmp_path)

    for _ in range(3):
        families = {family.name: family.samples for family in machine.collect()}

    assert families["machine_scrape_error"][0].value == 1
    assert machine.errors == {"machine": 3}
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("files", "uuid"),
    [
        ({"sys/class/dmi/id/product_uuid": "pc\n", "proc/device-tree/vm,uuid": "power\0"}, "pc"),
        ({"proc/device-tree/system-id": "power\0", "proc/1/root/etc/machine-id": "os\n"}, "power"),
        ({"proc/device-tree/vm,uuid": "virtual\0"}, "virtual"),
        ({"proc/1/root/etc/machine-id": "os\n"}, "os"),
    ],
)
def test_the_uuid_of_the_machine_is_where_cadvisor_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], uuid: str
) -> None:
    monkeypatch.setattr(psutil, "PROCFS_PATH", "/proc")  # restored afterwards
    for name in ("meminfo", "cpuinfo", "vmstat", "stat"):
        (tmp_path / "proc").mkdir(exist_ok=True)
        (tmp_path / "proc" / name).write_bytes((Path("/proc") / name).read_bytes())
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(content)
    machine = Machine(lambda: None, lambda: True, procfs=tmp_path / "proc", sysfs=tmp_path / "sys")

    families = {family.name: family.samples for family in machine.collect()}

    assert families["machine_cpu_cores"][0].labels["system_uuid"] == uuid
