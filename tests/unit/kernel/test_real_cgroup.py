"""The kernel of this machine: values rise as work is done, and vanish with the process and the cgroup."""

import dataclasses
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.unit.conftest import open_descriptors
from watchd.kernel.cgroup_paths import Hierarchy, cgroup_mounts
from watchd.kernel.parse.mountinfo import mountinfo
from watchd.metrics.sources.cgroup import LINGERS, CgroupSource
from watchd.model import Container
from watchd.model.usage import Usage

pytestmark = pytest.mark.kernel

NEEDED = frozenset({"cpu", "cpuacct", "memory", "blkio", "pids"})
MIB = 2**20

USE_MEMORY = (
    f"import sys; sys.stdin.readline(); block = bytearray({64 * MIB}); block[::4096] = b'x' * {64 * MIB // 4096}"
)
WORK = """
import sys, time
sys.stdin.readline()                     # until it is in its cgroup
block = bytearray(32 * 2**20)
block[::4096] = b"x" * len(block[::4096])
until = time.process_time() + 0.3
while time.process_time() < until:
    pass
print("worked", flush=True)
sys.stdin.readline()
del block
print("let go", flush=True)
sys.stdin.readline()
"""


class OwnCgroup:
    """A cgroup in every hierarchy, as a container of that name would have, and a process that works in it."""

    def __init__(self) -> None:
        self.id = secrets.token_hex(32)
        mounted = cgroup_mounts(mountinfo(Path("/proc/self/mountinfo").read_bytes()))
        mounts = [mount for mount in mounted if mount.root == "/"]
        used = [mount for mount in mounts if not mount.controllers or mount.controllers & NEEDED]
        self.directories = [mount.point / f"watchd-test-{os.getpid()}" / self.id for mount in used]
        self.is_pure_v2 = all(not mount.controllers for mount in used)
        self.make()
        self.start()

    def make(self) -> None:
        for directory in self.directories:
            directory.parent.mkdir(exist_ok=True)
            if self.is_pure_v2:  # controllers are handed down level by level
                for above in (directory.parent.parent, directory.parent):
                    (above / "cgroup.subtree_control").write_text("+cpu +memory +pids")
            directory.mkdir()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.take_in(self.process)

    def take_in(self, process: subprocess.Popen[str]) -> None:
        for directory in self.directories:
            (directory / "cgroup.procs").write_text(str(process.pid))

    def limit_memory(self, limit: int) -> None:
        for name in ("memory.limit_in_bytes", "memory.max"):
            for directory in self.directories:
                if (directory / name).exists():
                    (directory / name).write_text(str(limit))

    def go_on(self) -> None:
        """Let the process do the next piece of work, and wait until it has."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        assert self.process.stdout.readline()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()

    def remove(self) -> None:
        own = self.directories
        beside, below = [each.with_name("elsewhere") for each in own], [each / "below" for each in own]
        for directory in [*beside, *below, *own]:
            for _ in range(100):  # the kernel may need a moment after the last process
                with suppress(OSError):
                    directory.rmdir()
                if not directory.exists():
                    break
                time.sleep(0.02)
            with suppress(OSError):
                directory.parent.rmdir()

    @property
    def container(self) -> Container:
        return Container(self.id, "real", "image", "sha256:1", "running", 1.0, pid=self.process.pid)


@pytest.fixture
def own_cgroup() -> Iterator[OwnCgroup]:
    try:
        cgroup = OwnCgroup()
    except OSError as error:
        pytest.skip(f"cgroups cannot be made here: {error}")
    yield cgroup
    cgroup.end()
    cgroup.remove()


def _usage(source: CgroupSource, container: Container) -> Usage:
    (reading,) = source.read([container], time.time()).values()
    assert not source.errors
    return reading.usage


def _source() -> CgroupSource:
    return CgroupSource(Hierarchy.read(Path("/proc")))


def _numbers(usage: Usage) -> tuple[float, int, int]:
    assert usage.cpu is not None
    assert usage.cpu.usage is not None
    assert usage.memory is not None
    assert usage.memory.rss is not None
    assert usage.process is not None
    assert usage.process.processes is not None
    return usage.cpu.usage, usage.memory.rss, usage.process.processes


def test_kept_descriptors_show_the_work_of_a_process_as_it_goes_on(own_cgroup: OwnCgroup) -> None:
    source = _source()
    cpu_before, memory_before, _ = _numbers(_usage(source, own_cgroup.container))

    own_cgroup.go_on()
    cpu, memory, processes = _numbers(_usage(source, own_cgroup.container))
    assert cpu - cpu_before >= 0.29
    assert memory - memory_before >= 30 * MIB
    assert processes == 1

    own_cgroup.go_on()
    _, memory_after, _ = _numbers(_usage(source, own_cgroup.container))
    assert memory - memory_after >= 30 * MIB
    source.close()


def test_processes_are_told_at_once_and_those_below_too(own_cgroup: OwnCgroup) -> None:
    """Cgroup v1 keeps the list of a file that stays open for a second; systemd inside has cgroups below."""
    source = _source()
    assert _numbers(_usage(source, own_cgroup.container))[2] == 1
    others = [subprocess.Popen(["sleep", "600"], text=True) for _ in range(3)]
    try:
        own_cgroup.take_in(others[0])
        assert _numbers(_usage(source, own_cgroup.container))[2] == 2
        for directory in own_cgroup.directories:
            (directory / "below").mkdir()
            for process in others[1:]:
                (directory / "below/cgroup.procs").write_text(str(process.pid))
        assert _numbers(_usage(source, own_cgroup.container))[2] == 4
    finally:
        for process in others:
            process.kill()
            process.wait()
    assert _numbers(_usage(source, own_cgroup.container))[2] == 1
    source.close()


def test_what_limits_the_cgroup_around_holds(own_cgroup: OwnCgroup) -> None:
    """As of a slice, or --cgroup-parent."""
    around = [directory.parent for directory in own_cgroup.directories]
    for name, value in (
        *(("memory.limit_in_bytes", 512 * MIB), ("memory.max", 512 * MIB)),
        *(("cpu.cfs_quota_us", 10000), ("cpu.max", "10000 100000")),
    ):
        for directory in around:
            if (directory / name).exists():
                (directory / name).write_text(str(value))
    source = _source()
    first = _usage(source, own_cgroup.container)
    own_cgroup.go_on()
    usage = _usage(source, own_cgroup.container)

    assert usage.spec is not None
    assert (usage.spec.memory_limit, usage.spec.effective_memory_limit) == (0, 512 * MIB)
    assert (usage.spec.cpu_quota, usage.spec.effective_cpus) == (None, 0.1)
    assert first.around is not None
    assert usage.around is not None
    assert usage.around.throttled > first.around.throttled
    source.close()


def _says_what_a_new_one_says(descriptor: int, path: Path) -> bool:
    """Return whether both say the same while the file does not change; a stopped process changes it seldom."""
    for _ in range(100):
        before, kept, after = path.read_bytes(), os.pread(descriptor, 65536, 0), path.read_bytes()
        if before == after:
            return kept == before
    pytest.fail(f"{path} changes all the time")


def test_a_kept_descriptor_says_what_a_new_one_says(own_cgroup: OwnCgroup) -> None:
    """Every file that is read, on this kernel: a pread from the start makes the kernel tell anew."""
    source = _source()
    _usage(source, own_cgroup.container)
    own_cgroup.go_on()
    own_cgroup.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, own_cgroup.process.pid, os.WSTOPPED)

    reader = source._followed[own_cgroup.id].reader
    compared = 0
    for files in (reader._files, reader._unified):
        for name, descriptor in files._descriptors.items():
            if descriptor >= 0:
                path = Path(f"/proc/self/fd/{descriptor}").readlink()
                assert _says_what_a_new_one_says(descriptor, path), f"{name}: the kept descriptor says something else"
                compared += 1
    own_cgroup.process.send_signal(signal.SIGCONT)
    source.close()

    assert compared >= 10


def test_how_often_memory_hit_its_limit_is_told_with_and_without_one(own_cgroup: OwnCgroup) -> None:
    """Without a limit on v1 nobody looks, but with one at every scrape."""
    source, container = _source(), own_cgroup.container

    def failures() -> int:
        memory = _usage(source, container).memory
        assert memory is not None
        assert memory.failures is not None
        return memory.failures

    assert failures() == 0
    open_without = open_descriptors()
    own_cgroup.limit_memory(32 * MIB)
    container = dataclasses.replace(container)  # as after the event "update"
    assert failures() == 0
    assert open_descriptors() == open_without + (0 if own_cgroup.is_pure_v2 else 1)
    with subprocess.Popen([sys.executable, "-c", USE_MEMORY], stdin=subprocess.PIPE, text=True) as another:
        own_cgroup.take_in(another)
        another.communicate("\n")  # killed, or swapped out
    hit = failures()
    assert hit > 0
    own_cgroup.limit_memory(-1 if not own_cgroup.is_pure_v2 else 2**60)
    container = dataclasses.replace(container)
    assert failures() >= hit
    source.close()


def test_nothing_is_told_of_a_process_that_ended_or_a_cgroup_that_is_gone(own_cgroup: OwnCgroup) -> None:
    before = open_descriptors()
    source = _source()
    container = own_cgroup.container
    _usage(source, container)

    own_cgroup.end()
    assert source.read([container], time.time()) == {}
    own_cgroup.remove()
    assert source.read([container], time.time()) == {}

    assert not source.errors
    assert open_descriptors() == before - 2, "and its two pipes are closed"


def test_a_restarted_container_starts_from_nothing(own_cgroup: OwnCgroup) -> None:
    source = _source()
    own_cgroup.go_on()
    assert _numbers(_usage(source, own_cgroup.container))[0] >= 0.29

    own_cgroup.end()
    own_cgroup.remove()
    own_cgroup.make()
    own_cgroup.start()

    assert _numbers(_usage(source, own_cgroup.container))[0] < 0.25
    source.close()


def test_a_process_moved_out_of_its_cgroup_is_not_followed(own_cgroup: OwnCgroup) -> None:
    """So it looks when a number is used again: the process lives, and is not the container's."""
    elsewhere = [directory.with_name("elsewhere") for directory in own_cgroup.directories]
    for directory in elsewhere:
        directory.mkdir()
        (directory / "cgroup.procs").write_text(str(own_cgroup.process.pid))
    source = _source()
    now = time.time()

    assert source.read([own_cgroup.container], now) == {}
    assert not source.errors, "it may have ended a moment ago"
    assert source.read([own_cgroup.container], now + LINGERS) == {}
    assert source.errors == {"cgroup": 1}
    source.close()


@pytest.mark.parametrize("was_followed", [True, False])
def test_an_ended_process_whose_parent_has_not_asked_is_no_error(own_cgroup: OwnCgroup, *, was_followed: bool) -> None:
    """The kernel then says that it is in the root of each v1 hierarchy."""
    source = _source()
    if was_followed:
        assert source.read([own_cgroup.container], time.time())
    own_cgroup.process.kill()
    os.waitid(os.P_PID, own_cgroup.process.pid, os.WEXITED | os.WNOWAIT)

    source.read([own_cgroup.container], time.time())

    assert not source.errors
    source.close()
