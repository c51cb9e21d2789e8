"""Many short containers leave nothing behind in what serves metrics."""

import secrets
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.unit.conftest import collector_of, open_descriptors
from watchd.kernel.cgroup_paths import Hierarchy, cgroup_mounts
from watchd.kernel.parse.mountinfo import mountinfo
from watchd.metrics import exposition
from watchd.metrics.containers import collector as collector_module
from watchd.metrics.exits.exits import Exits
from watchd.metrics.groups import GROUPS
from watchd.metrics.sources.cgroup import CgroupSource
from watchd.model import Container, Event, Exit

AT_ONCE = 20
MOST_GONE = 100
WARM_UP = MOST_GONE + 200  # so many that are gone are remembered: only then nothing more may come
MORE = 1_000
MIB = 2**20


class Crowd:
    """Cgroups and processes as a runtime makes them for containers, in every hierarchy that is used."""

    def __init__(self) -> None:
        used = {"cpu", "cpuacct", "memory", "blkio", "pids"}
        mounted = cgroup_mounts(mountinfo(Path("/proc/self/mountinfo").read_bytes()))
        mounts = [mount for mount in mounted if mount.root == "/"]
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

    def end(self, started: Sequence[tuple[Container, "subprocess.Popen[bytes]"]]) -> None:
        for _, process in started:
            process.kill()
        for container, process in started:
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


class Forgetful:
    """A store that takes every exit."""

    def record_exits(self, _engine: str, exits: Iterable[Exit]) -> None:
        pass


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    try:
        crowd = Crowd()
    except OSError as error:
        pytest.skip(f"cgroups cannot be made here: {error}")
    yield crowd
    crowd.close()


def test_a_thousand_short_containers_leave_nothing_behind(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector_module, "MOST_GONE", MOST_GONE)
    groups = [group for group in GROUPS if group.name != "tcp"]  # it walks the machine's whole table of sockets
    source = CgroupSource(Hierarchy.read(Path("/proc")), groups=groups)
    collector = collector_of(source, [])
    mirror, exits = collector._mirror, Exits("cgroup_v1")

    def scrape() -> None:
        exposition.page(collector.collect(time.time()))

    def tell(containers: list[Container], action: str) -> None:
        before = mirror.view
        after = mirror.update({each.key: each if action == "start" else None for each in containers})
        events = [Event("container", action, each.id, time.time_ns(), {"exitCode": "0"}) for each in containers]
        exits.on_events(events, before, after, listed=False)

    def live(number: int) -> None:
        for _ in range(0, number, AT_ONCE):
            started = [crowd.start() for _ in range(AT_ONCE)]
            tell([container for container, _ in started], "start")
            scrape()
            crowd.end(started)
            tell([container for container, _ in started], "die")
            exits.save(Forgetful(), "engine")

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
    assert len(collector._last_seen) == MOST_GONE
    assert exits.unaccounted() == {"cgroup_v1": WARM_UP + MORE}
    source.close()
