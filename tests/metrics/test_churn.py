"""Thousands of short containers leave nothing behind in what serves metrics."""

import secrets
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.metrics.conftest import collector_of, open_descriptors
from watchd.metrics import exposition
from watchd.metrics.cgroup_source import CgroupSource
from watchd.metrics.collector import MOST_GONE
from watchd.metrics.exits import Exits
from watchd.metrics.hierarchy import Hierarchy, mountinfo
from watchd.model import Container, Event

AT_ONCE = 20
WARM_UP = MOST_GONE + 200  # so many that are gone are remembered: only then nothing more may come
MORE = 1_000
MIB = 2**20


class Crowd:
    """Cgroups and processes as a runtime makes them for containers, in every hierarchy that is used."""

    def __init__(self) -> None:
        used = {"cpu", "cpuacct", "memory", "blkio", "pids"}
        mounts = [mount for mount in mountinfo(Path("/proc/self/mountinfo").read_bytes()) if mount.root == "/"]
        parent = f"watchd-test-{secrets.token_hex(4)}"
        self._parents = [mount.point / parent for mount in mounts if not mount.controllers or mount.controllers & used]
        for directory in self._parents:
            directory.mkdir()

    def start(self) -> tuple[Container, "subprocess.Popen[bytes]"]:
        container_id = secrets.token_hex(32)
        process = subprocess.Popen(["sleep", "600"])
        for parent in self._parents:
            (parent / container_id).mkdir()
            (parent / container_id / "cgroup.procs").write_text(str(process.pid))
        return Container(container_id, "short", "image", "sha256:1", "running", 1.0, pid=process.pid), process

    def end(self, container: Container, process: "subprocess.Popen[bytes]") -> None:
        process.kill()
        process.wait()
        for parent in self._parents:
            _remove(parent / container.id)

    def close(self) -> None:
        for parent in self._parents:
            _remove(parent)


def _remove(directory: Path) -> None:
    for _ in range(200):  # the kernel may need a moment after the last process
        with suppress(OSError):
            directory.rmdir()
        if not directory.exists():
            return
        time.sleep(0.01)


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    try:
        crowd = Crowd()
    except OSError as error:
        pytest.skip(f"cgroups cannot be made here: {error}")
    yield crowd
    crowd.close()


def test_thousands_of_short_containers_leave_nothing_behind(crowd: Crowd) -> None:
    source = CgroupSource(Hierarchy.read(Path("/proc")))
    collector = collector_of(source, [])
    inventory, exits = collector._inventory, Exits("cgroup_v1")

    def scrape() -> None:
        exposition.page(collector.collect(time.time()))

    def live(number: int) -> None:
        for _ in range(0, number, AT_ONCE):
            started = [crowd.start() for _ in range(AT_ONCE)]
            for container, _ in started:
                inventory.changed(container)
                exits.changed(container)
            exits.happened([Event("container", "start", container.id, time.time_ns()) for container, _ in started])
            scrape()
            for container, process in started:
                crowd.end(container, process)
            for container, _ in started:
                inventory.gone(container.id)
                exits.happened([Event("container", "die", container.id, time.time_ns(), {"exitCode": "0"})])
            exits.unsaved()

    scrape()
    before = open_descriptors(), threading.active_count()
    live(WARM_UP)
    memory = psutil.Process().memory_info().rss
    live(MORE)
    grown = psutil.Process().memory_info().rss - memory
    scrape()

    assert not source.errors
    assert (open_descriptors(), threading.active_count()) == before
    assert grown < 2 * MIB
    assert len(collector._served) == MOST_GONE
    assert exits.unaccounted() == {"cgroup_v1": WARM_UP + MORE}
    source.close()
