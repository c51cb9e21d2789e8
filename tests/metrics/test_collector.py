"""What a scrape shows of containers that run, that stopped, that are gone, and of how they fared."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.metrics.conftest import NOW
from watchd.config.schema import Engine as EngineConfig
from watchd.engine.client import EngineClient
from watchd.metrics.collector import MOST_GONE, Collector
from watchd.metrics.filesystems import Filesystems
from watchd.metrics.inventory import STAYS, Inventory
from watchd.metrics.labels import ContainerLabels, RenderedLabels
from watchd.metrics.objects import Objects
from watchd.metrics.source import Reading
from watchd.metrics.usage import Cpu, Filesystem, Interface, Lifecycle, Sample, Spec, State, Usage
from watchd.model import Container, ContainerSize, DiskUsage, EngineInfo, Event

ID = "a" * 64
ENGINE = EngineInfo("id", "host", "28.5.2", "1.51", "overlay2", "graphdriver", "2", "systemd", "/var/lib/docker")
RUNNING = Container(ID, "web", "shop:1", "sha256:1", "running", NOW - 100, started_at=NOW - 50, pid=7)
EXITED = replace(RUNNING, status="exited", pid=0, exit_code=137, oom_killed=True, finished_at=NOW + 5)


class _Source:
    """Reads every running container."""

    name = "cgroup"

    def __init__(self) -> None:
        self.errors: Counter[str] = Counter()

    def read(self, containers: Sequence[Container], now: float) -> Mapping[str, Reading]:
        return {
            container.id: Reading(Usage(cpu=Cpu(usage=1.0)), now, f"/system.slice/docker-{container.id}.scope")
            for container in containers
            if container.is_running
        }

    def close(self) -> None:
        pass


class _Disks(Filesystems):
    def of(self, path: str) -> Filesystem | None:
        return Filesystem("/dev/sda1", usage=9_000, limit=10_000, inodes=100, inodes_free=60) if path else None


class _Host:
    """The parts that a collector puts together, with an engine that only says what a test lets it."""

    def __init__(self) -> None:
        self.inventory = Inventory()
        self.objects = Objects(EngineClient(EngineConfig(host="unix:///nowhere"), read_only=True))
        labels = RenderedLabels(ContainerLabels("cgroup", ["tier"]))
        self.collector = Collector(
            self.inventory, _Source(), labels, self.objects, host=None, filesystems=_Disks(Path("/proc"))
        )

    def has(self, *containers: Container) -> None:
        self.inventory.reconciled(ENGINE, containers)

    def kills(self, container_id: str = ID) -> None:
        self.inventory.happened([Event("container", "oom", container_id, 1)])

    def sample(self, now: float = NOW) -> Sample:
        (sample,) = self.collector.collect(now)
        return sample


@pytest.fixture
def host() -> _Host:
    return _Host()


def test_a_running_container(host: _Host) -> None:
    host.has(replace(RUNNING, health="starting", restart_count=3, labels={"tier": "front", "secret": "x"}))

    sample = host.sample()

    assert sample.labels == (
        f'id="/system.slice/docker-{ID}.scope",image="shop:1",name="web",container_label_tier="front"'
    )
    assert sample.lifecycle == Lifecycle(seen=NOW, created=NOW - 100, started=NOW - 50, health=0, oom_events=0)
    assert sample.usage.cpu == Cpu(usage=1.0)
    assert sample.state == State("running", oom_killed=0, restarts=3)
    assert sample.health is not None
    assert sample.health.status == "starting"


@pytest.mark.parametrize(("health", "value"), [(None, -1), ("healthy", 1), ("unhealthy", 0), ("starting", 0)])
def test_health_as_cadvisor_writes_it(host: _Host, health: str | None, value: int) -> None:
    host.has(replace(RUNNING, health=health))

    assert host.sample().lifecycle.health == value


def test_a_container_that_stopped_is_last_seen_when_it_was(host: _Host) -> None:
    host.has(RUNNING)
    running = host.sample()
    host.kills()
    host.has(EXITED)

    sample = host.sample(NOW + 15)

    assert sample.labels == running.labels, "its series do not change their identity"
    assert sample.lifecycle == Lifecycle(seen=NOW, oom_events=1), "and nothing else that says it lives"
    assert sample.usage == Usage()
    assert sample.state == State("exited", exit_code=137, oom_killed=1, restarts=0)
    assert host.sample(NOW + STAYS).lifecycle.seen == NOW
    assert host.sample(NOW + STAYS + 6).lifecycle == Lifecycle(), "ten minutes from its end, which no scrape saw"


def test_a_container_that_was_removed_is_last_seen_for_ten_minutes(host: _Host) -> None:
    host.has(RUNNING)
    running = host.sample()
    host.has()

    sample = host.sample(NOW + 15)

    assert sample == Sample(ID, running.labels, Lifecycle(seen=NOW, oom_events=0))
    assert len(host.collector.collect(NOW + STAYS)) == 1
    assert host.collector.collect(NOW + STAYS + 1) == []


def test_those_that_are_gone_come_first_so_that_a_bound_leaves_them(host: _Host) -> None:
    host.has(RUNNING)
    host.sample()
    host.has(replace(RUNNING, id="b" * 64))

    assert [sample.container_id for sample in host.collector.collect(NOW + 15)] == [ID, "b" * 64]


def test_a_container_that_never_was_served_is_not_last_seen(host: _Host) -> None:
    host.has(EXITED)

    assert host.sample(NOW + 15).lifecycle == Lifecycle()


def test_one_that_was_killed_before_any_scrape_is_told_all_the_same(host: _Host) -> None:
    host.has(EXITED)
    host.kills()

    assert host.sample(NOW + 15).lifecycle == Lifecycle(oom_events=1)
    assert host.sample(NOW + STAYS + 6).lifecycle == Lifecycle()


def test_one_that_runs_again_goes_on(host: _Host) -> None:
    host.has(RUNNING)
    before = host.sample()
    host.has(EXITED)
    host.sample(NOW + 15)
    host.has(replace(RUNNING, started_at=NOW + 20, pid=8))

    sample = host.sample(NOW + 30)

    assert sample.labels == before.labels
    assert sample.lifecycle.seen == NOW + 30
    assert sample.lifecycle.started == NOW + 20


def test_a_rename_changes_the_labels_at_once(host: _Host) -> None:
    host.has(RUNNING)
    host.sample()
    host.has(replace(RUNNING, name="other"))

    assert 'name="other"' in host.sample().labels


def test_not_more_than_a_thousand_are_remembered(host: _Host) -> None:
    crowd = [replace(RUNNING, id=f"{number:064x}") for number in range(MOST_GONE + 10)]
    for number, container in enumerate(crowd):
        host.has(container)
        host.collector.collect(NOW + number / 1000)
    host.has()

    samples = host.collector.collect(NOW + 10)

    assert [sample.container_id for sample in samples] == [container.id for container in crowd[10:]]


def test_sizes_come_with_the_file_system_they_are_on(host: _Host) -> None:
    host.has(RUNNING)
    host.objects.sizes = DiskUsage({ID: ContainerSize(writable_layer=12, root_fs=340)})

    sample = host.sample()

    assert sample.usage.filesystem == (Filesystem("/dev/sda1", usage=12, limit=10_000, inodes=100, inodes_free=60),)
    assert sample.state is not None
    assert (sample.state.writable_layer, sample.state.root_fs) == (12, 340)


def test_the_age_is_that_of_the_oldest_reading(host: _Host, monkeypatch: pytest.MonkeyPatch) -> None:
    old = replace(RUNNING, id="b" * 64)
    host.has(RUNNING, old)
    monkeypatch.setattr(_Source, "read", lambda *_: {ID: Reading(Usage(), NOW), old.id: Reading(Usage(), NOW - 7)})

    samples = host.collector.collect(NOW)

    assert host.collector.oldest == NOW - 7
    assert [sample.lifecycle.seen for sample in samples] == [NOW, NOW - 7]


def test_of_containers_without_cgroups_of_their_own_only_the_network_is_known(
    host: _Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What else a rootless engine on cgroup v1 tells of them is what all processes use."""
    network = (Interface("eth0", 1, 2, 3, 4, 5, 6, 7, 8),)
    told = Reading(Usage(spec=Spec(memory_limit=8_000_000), cpu=Cpu(usage=1.0), network=network), NOW)
    monkeypatch.setattr(_Source, "read", lambda *_: {ID: told})
    host.inventory.reconciled(replace(ENGINE, container_cgroups=False), [RUNNING])
    (sample,) = host.collector.collect(NOW)
    assert sample.usage == Usage(network=network)
    assert sample.lifecycle.seen == NOW
    monkeypatch.setattr(_Source, "read", lambda *_: {ID: replace(told, cgroup_path="/user/web")})
    (sample,) = host.collector.collect(NOW)
    assert sample.usage == told.usage, "a cgroup of its own was seen after all"


def test_an_engine_without_events_of_oom_kills_has_no_counter_of_them(host: _Host) -> None:
    host.inventory.reconciled(replace(ENGINE, tells_oom=False), [RUNNING])
    (sample,) = host.collector.collect(NOW)
    assert sample.lifecycle.oom_events is None
    assert sample.state == State("running", oom_killed=None, restarts=0), "that it was not is not known either"
