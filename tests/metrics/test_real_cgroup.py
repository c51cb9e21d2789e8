"""The kernel of this machine: values rise as work is done, and vanish with the process and the cgroup."""

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

from tests.metrics.conftest import open_descriptors
from watchd.metrics.hierarchy import mountinfo
from watchd.metrics.sampler import CgroupSampler
from watchd.metrics.usage import Usage
from watchd.model import Container

NEEDED = frozenset({"cpu", "cpuacct", "memory", "blkio", "pids"})
MIB = 2**20

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
        mounts = [mount for mount in mountinfo(Path("/proc/self/mountinfo").read_bytes()) if mount.root == "/"]
        used = [mount for mount in mounts if not mount.controllers or mount.controllers & NEEDED]
        self.directories = [mount.point / f"watchd-test-{os.getpid()}" / self.id for mount in used]
        for mount in used:
            if not mount.controllers and len(used) == 1:  # pure v2: controllers are handed down level by level
                for directory in (mount.point, mount.point / f"watchd-test-{os.getpid()}"):
                    directory.mkdir(exist_ok=True)
                    (directory / "cgroup.subtree_control").write_text("+cpu +memory +pids")
        for directory in self.directories:
            directory.mkdir(parents=True)
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        for directory in self.directories:
            (directory / "cgroup.procs").write_text(str(self.process.pid))

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
        for directory in self.directories:
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


def _usage(sampler: CgroupSampler, container: Container) -> Usage:
    (sample,) = sampler.collect([container], time.time())
    assert not sampler.errors
    return sample.usage


def _numbers(usage: Usage) -> tuple[float, int, int]:
    assert usage.cpu is not None
    assert usage.cpu.usage is not None
    assert usage.memory is not None
    assert usage.memory.rss is not None
    assert usage.process is not None
    assert usage.process.processes is not None
    return usage.cpu.usage, usage.memory.rss, usage.process.processes


def test_kept_descriptors_show_the_work_of_a_process_as_it_goes_on(own_cgroup: OwnCgroup) -> None:
    sampler = CgroupSampler()
    cpu_before, memory_before, _ = _numbers(_usage(sampler, own_cgroup.container))

    own_cgroup.go_on()
    cpu, memory, processes = _numbers(_usage(sampler, own_cgroup.container))
    assert cpu - cpu_before >= 0.29
    assert memory - memory_before >= 30 * MIB
    assert processes == 1

    own_cgroup.go_on()
    _, memory_after, _ = _numbers(_usage(sampler, own_cgroup.container))
    assert memory - memory_after >= 30 * MIB
    sampler.close()


def test_a_kept_descriptor_says_what_a_new_one_says(own_cgroup: OwnCgroup) -> None:
    """Every file that is read, on this kernel: a pread from the start makes the kernel tell anew."""
    sampler = CgroupSampler()
    _usage(sampler, own_cgroup.container)
    own_cgroup.go_on()
    own_cgroup.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, own_cgroup.process.pid, os.WSTOPPED)

    reader = sampler._followed[own_cgroup.id].reader
    compared = 0
    for files in (reader._files, reader._unified):
        for name, descriptor in files._descriptors.items():
            if descriptor >= 0:
                path = Path(f"/proc/self/fd/{descriptor}").readlink()
                before, kept, after = path.read_bytes(), os.pread(descriptor, 65536, 0), path.read_bytes()
                assert kept in (before, after) or before != after, name
                compared += 1
    own_cgroup.process.send_signal(signal.SIGCONT)
    sampler.close()

    assert compared >= 10


def test_nothing_is_told_of_a_process_that_ended_or_a_cgroup_that_is_gone(own_cgroup: OwnCgroup) -> None:
    before = open_descriptors()
    sampler = CgroupSampler()
    container = own_cgroup.container
    _usage(sampler, container)

    own_cgroup.end()
    assert sampler.collect([container], time.time()) == ()
    own_cgroup.remove()
    assert sampler.collect([container], time.time()) == ()

    assert not sampler.errors
    assert open_descriptors() == before - 2, "and its two pipes are closed"


def test_a_restarted_container_starts_from_nothing(own_cgroup: OwnCgroup) -> None:
    sampler = CgroupSampler()
    own_cgroup.go_on()
    assert _numbers(_usage(sampler, own_cgroup.container))[0] >= 0.29

    own_cgroup.end()
    own_cgroup.remove()
    for directory in own_cgroup.directories:
        directory.mkdir(parents=True)
    own_cgroup.start()

    assert _numbers(_usage(sampler, own_cgroup.container))[0] < 0.25
    sampler.close()


def test_a_process_moved_out_of_its_cgroup_is_not_followed(own_cgroup: OwnCgroup) -> None:
    """So it looks when a number is used again: the process lives, and is not the container's."""
    for directory in own_cgroup.directories:
        (directory.parent / "cgroup.procs").write_text(str(own_cgroup.process.pid))
    sampler = CgroupSampler()

    assert sampler.collect([own_cgroup.container], time.time()) == ()
    assert sampler.errors == {"cgroup": 1}
    sampler.close()
