"""Hosts as they were captured: the cgroup files and /proc of running containers, and what their engine said of them."""

import gc
import json
import shutil
import tarfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests import ROOT
from watchd.engine.watch.mirror import Mirror
from watchd.kernel.cgroup_paths import Hierarchy
from watchd.metrics.containers.choice import Choice
from watchd.metrics.containers.collector import ContainerCollector
from watchd.metrics.containers.event_counts import EventCounts
from watchd.metrics.containers.labels import ContainerId, ContainerLabels, RenderedLabels
from watchd.metrics.groups import GROUPS
from watchd.metrics.groups.group import Group
from watchd.metrics.sources.cgroup import CgroupSource
from watchd.metrics.sources.source import Source
from watchd.model import Container
from watchd.model.usage import Sample, Usage

FIXTURES = ROOT / "tests/fixtures"
NOW = 1_800_000_000.5

V1 = "v1/cgroupfs-docker20.10-linux6.18-hybrid"
V2_CGROUPFS = "v2/cgroupfs-docker20.10-uml7.2"
V2_SYSTEMD_UML = "v2/systemd-docker26.1-uml7.2"
V2_SYSTEMD = "v2/systemd-docker26.1-linux6.1"
ALL_HOSTS = (V1, V2_CGROUPFS, V2_SYSTEMD_UML, V2_SYSTEMD)

# A busy machine is not a failure.
settings.register_profile("any speed", deadline=None)
settings.load_profile("any speed")

_PURE_V2_MOUNT = "25 23 0:22 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n"
_PARTITIONS = """major minor  #blocks  name

 254        0  268435456 vda
  98       16    4194304 ubdb
"""


@dataclass(frozen=True, slots=True)
class Host:
    """A captured host, unpacked: roots for a sampler, its containers by name, and the engine's stats of them."""

    root: Path
    containers: Mapping[str, Container]

    @property
    def procfs(self) -> Path:
        return self.root / "proc"

    @property
    def cgroupfs(self) -> Path:
        return self.root / "sys/fs/cgroup"

    def stats(self, name: str) -> Any:
        """The engine's own view, of a second or two later."""
        return json.loads((self.root / f"stats-{name}.json").read_text())

    def source(self, groups: Sequence[Group] = GROUPS) -> CgroupSource:
        """A source that reads its cgroups."""
        return CgroupSource(Hierarchy.read(self.procfs, self.cgroupfs), procfs=self.procfs, groups=groups)

    def samples(self, container_id: ContainerId = "cgroup", groups: Sequence[Group] = GROUPS) -> dict[str, Sample]:
        """The samples of a scrape, by container name."""
        source = self.source(groups)
        collector = collector_of(source, self.containers.values(), container_id=container_id)
        try:
            by_id = {sample.container_id: sample for sample in collector.collect(NOW)}
            assert not source.errors
        finally:
            source.close()
        return {name: by_id[container.id] for name, container in self.containers.items()}

    def usage(self, name: str) -> Usage:
        return self.samples()[name].usage


def collector_of(
    source: Source,
    containers: Iterable[Container],
    *,
    container_id: ContainerId = "cgroup",
) -> ContainerCollector:
    """A collector of the samples of these containers."""
    mirror = Mirror()
    mirror.replace(containers=tuple(containers))
    labels = RenderedLabels(ContainerLabels(container_id, ()))
    return ContainerCollector(mirror, EventCounts(), source, labels, Choice(), host=lambda _: None, disk=lambda: None)


def _container(inspect: Any) -> Container:
    return Container(
        id=inspect["Id"],
        name=inspect["Name"].removeprefix("/"),
        image=inspect["Config"]["Image"],
        image_id=inspect["Image"],
        status=inspect["State"]["Status"],
        created_at=datetime.fromisoformat(inspect["Created"][:19] + "+00:00").timestamp(),
        started_at=datetime.fromisoformat(inspect["State"]["StartedAt"][:19] + "+00:00").timestamp(),
        labels=inspect["Config"]["Labels"] or {},
        pid=inspect["State"]["Pid"],
        network_mode=inspect["HostConfig"]["NetworkMode"],
    )


def unpack(directory: Path) -> None:
    """Unpack all captured hosts, and add the few files of /proc that a capture lacks."""
    for archive in FIXTURES.glob("cgroup*.tar.gz"):
        with tarfile.open(archive) as packed:
            # Python before 3.11.4 has no filters; the archives are our own.
            packed.extraction_filter = getattr(tarfile, "data_filter", None)
            packed.extractall(directory)  # noqa: S202 - filtered above
    for name in ALL_HOSTS:
        procfs = directory / name / "proc"
        captured = procfs / "self_mountinfo"
        (procfs / "self").mkdir()
        (procfs / "self/mountinfo").write_text(captured.read_text() if captured.exists() else _PURE_V2_MOUNT)
        (procfs / "partitions").write_text(_PARTITIONS)


def host_at(root: Path) -> Host:
    inspects = [json.loads(path.read_text()) for path in sorted(root.glob("inspect-*.json"))]
    containers = [_container(inspect[0] if isinstance(inspect, list) else inspect) for inspect in inspects]
    return Host(root, {container.name: container for container in containers})


def open_descriptors() -> int:
    """The number of file descriptors that this process has open."""
    gc.collect()  # those of garbage would be closed at any moment
    return len(list(Path("/proc/self/fd").iterdir()))


@contextmanager
def no_cycles() -> Iterator[None]:
    """Fail if the block leaves reference cycles: the daemon may collect them only once an hour.

    An error that is kept in a variable of the frame that caught it is one, and has all frames that called it.
    """
    gc.collect()
    gc.disable()
    try:
        yield
        assert gc.collect() == 0
    finally:
        gc.enable()


@pytest.fixture(autouse=True)
def no_threads_left() -> Iterator[None]:
    """Wait for the threads that a test began: the next one would find their descriptors, garbage and warnings."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 10  # a test that failed may leave some that do not end
    for thread in set(threading.enumerate()) - before:
        thread.join(max(0.0, deadline - time.monotonic()))


@pytest.fixture(scope="session")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All captured hosts, to be read only."""
    directory = tmp_path_factory.mktemp("captured")
    unpack(directory)
    return directory


@pytest.fixture(params=ALL_HOSTS)
def host(request: pytest.FixtureRequest, captured: Path) -> Host:
    """Each captured host in turn."""
    return host_at(captured / request.param)


@pytest.fixture
def v1_host(captured: Path) -> Host:
    return host_at(captured / V1)


@pytest.fixture
def v2_host(captured: Path) -> Host:
    return host_at(captured / V2_CGROUPFS)


@pytest.fixture
def systemd_host(captured: Path) -> Host:
    return host_at(captured / V2_SYSTEMD)


@pytest.fixture
def own_host(captured: Path, tmp_path: Path) -> Host:
    """A v2 host that a test may change."""
    return host_at(shutil.copytree(captured / V2_CGROUPFS, tmp_path / "host"))


@pytest.fixture(params=ALL_HOSTS)
def any_own_host(request: pytest.FixtureRequest, captured: Path, tmp_path: Path) -> Host:
    """Each captured host in turn, which a test may change."""
    return host_at(shutil.copytree(captured / request.param, tmp_path / "host"))


@pytest.fixture(scope="session")
def new_engine_directory() -> None:
    """Fail a test that would start an engine: those are in tests/engine."""
    pytest.fail("tests in tests/unit start no engine")
