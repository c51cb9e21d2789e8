"""The host itself: what /proc says of it, and what its file systems hold."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchd.metrics import host
from watchd.metrics.filesystems import Filesystems, Mounted, mounts
from watchd.metrics.formats import Malformed
from watchd.metrics.host import Host
from watchd.metrics.usage import GROUPS

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
31 22 8:1 /home /mnt/a\\040b rw - ext4 /dev/sda1 rw
32 22 0:30 / /run rw - tmpfs tmpfs rw
"""


def test_cpu_time_without_waiting_and_without_what_the_hypervisor_took() -> None:
    cpu = host.cpu(STAT)

    assert (cpu.usage, cpu.user, cpu.system) == (13.4, 10.2, 3.2)
    assert host.boot_time(STAT) == 1795000000


def test_memory_as_the_kernel_counts_it_for_a_cgroup() -> None:
    memory = host.memory(host.meminfo(MEMINFO), b"pgfault 12\npgmajfault 3\n")

    assert memory.rss == 3000 * 1024
    assert memory.cache == 2110 * 1024
    assert memory.usage == 5110 * 1024
    assert memory.working_set == 4510 * 1024
    assert memory.swap == 1000 * 1024
    assert memory.kernel == 370 * 1024
    assert (memory.faults, memory.major_faults) == (12, 3)


def test_disks() -> None:
    disk, _ = host.diskstats(DISKSTATS)

    assert (disk.device, disk.major, disk.minor) == ("/dev/nvme0n1", "259", "0")
    assert (disk.reads, disk.merged_reads, disk.read_bytes, disk.read_time) == (100, 7, 1024 * 1024, 1.5)
    assert (disk.writes, disk.merged_writes, disk.written_bytes, disk.write_time) == (50, 3, 2048 * 1024, 2.5)
    assert (disk.queued, disk.io_time) == (2, 3.0)


@given(st.binary())
def test_junk_is_malformed_and_nothing_else(data: bytes) -> None:
    for parse in (host.cpu, host.boot_time, host.meminfo, host.diskstats, mounts):
        with suppress(Malformed):
            parse(data)


def test_mounts_have_their_names_unescaped() -> None:
    assert mounts(MOUNTINFO)[2] == Mounted("/dev/sda1", "/mnt/a b")


def test_this_machine_is_told_as_psutil_tells_it() -> None:
    sample = Host(Path("/proc"), Filesystems(Path("/proc")), GROUPS).sample(1_800_000_000.0)

    assert sample.labels == 'id="/"', "neither name nor image: it is no container"
    assert sample.state is None
    usage = sample.usage
    assert usage.spec is not None
    assert usage.spec.memory_limit == psutil.virtual_memory().total
    assert sample.lifecycle.started == pytest.approx(psutil.boot_time(), abs=1)
    assert usage.cpu is not None
    assert usage.cpu.usage is not None
    times = psutil.cpu_times()
    expected = times.user + times.nice + times.system + times.irq + times.softirq
    assert usage.cpu.usage == pytest.approx(expected, rel=0.01)
    assert usage.network is not None
    assert "lo" not in {interface.interface for interface in usage.network}
    assert usage.filesystem
    for filesystem in usage.filesystem:
        assert filesystem.usage is not None
        assert filesystem.limit is not None
        assert 0 <= filesystem.usage <= filesystem.limit


def test_only_the_groups_asked_for_are_told() -> None:
    usage = Host(Path("/proc"), Filesystems(Path("/proc")), ["cpu"]).sample(0.0).usage

    assert usage.cpu is not None
    assert (usage.memory, usage.network, usage.disk, usage.filesystem, usage.pressure) == (None,) * 5


def test_what_cannot_be_read_is_left_out_and_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "stat").write_bytes(STAT)
    broken = Host(tmp_path, Filesystems(tmp_path), ["cpu", "memory"])

    for _ in range(3):
        usage = broken.sample(0.0).usage

    assert usage.cpu is not None
    assert usage.memory is None
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "the host's spec cannot be read",
        "the host's memory cannot be read",
    ]


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
    assert [found.device for found in filesystems.on_disks()] == ["/dev/sda1", "/dev/sdb1"], "each device once"
    assert filesystems.of("/not/there") is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a mount namespace of its own made")
def test_what_is_another_file_system_here_than_for_the_host_is_not_measured(tmp_path: Path) -> None:
    """As in a container that shares the host's processes: its paths are its own."""
    (tmp_path / "elsewhere").mkdir()
    look = "; ".join(
        (
            "from pathlib import Path",
            "from watchd.metrics.filesystems import Filesystems",
            "here = Filesystems(Path('/proc'))",
            f"print([here.of(path) is not None for path in ('{tmp_path}', '{tmp_path}/elsewhere')])",
        )
    )
    script = f'mount -t tmpfs none {tmp_path}/elsewhere && exec {sys.executable} -c "{look}"'
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[True, False]\n"
