"""Scrapes of containers that run, have stopped, or are gone."""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.conftest import NOW
from tests.unit.settings import checked
from watchd.config.schema.config import Metrics
from watchd.engine.watch.mirror import Mirror
from watchd.metrics.containers.choice import Choice
from watchd.metrics.containers.collector import MOST_GONE, ContainerCollector
from watchd.metrics.containers.event_counts import STAYS, EventCounts
from watchd.metrics.containers.labels import ContainerLabels, RenderedLabels
from watchd.metrics.sources.source import Reading
from watchd.model import Container, ContainerSize, DiskUsage, EngineInfo, Event
from watchd.model.usage import Cpu, Filesystem, Interface, Lifecycle, Sample, Spec, State, Usage

ID = "a" * 64
ENGINE = EngineInfo("id", "host", "28.5.2", "1.51", "overlay2", "graphdriver", "2", "systemd", "/var/lib/docker")
RUNNING = Container(ID, "web", "shop:1", "sha256:1", "running", NOW - 100, started_at=NOW - 50, pid=7)
DISK = Filesystem("/dev/sda1", usage=9_000, limit=10_000, inodes=100, inodes_free=60)
EXITED = replace(RUNNING, status="exited", pid=0, exit_code=137, oom_killed=True, finished_at=NOW + 5)


class _Source:
    """Reads every running container."""

    name = "cgroup"

    def __init__(self) -> None:
        self.errors: Counter[str] = Counter()
        self.durations: dict[str, float] = {}

    def read(self, containers: Sequence[Container], now: float) -> Mapping[str, Reading]:
        return {
            container.id: Reading(Usage(cpu=Cpu(usage=1.0)), now, f"/system.slice/docker-{container.id}.scope")
            for container in containers
            if container.is_running
        }

    def close(self) -> None:
        pass


class _Host:
    """The parts that a collector puts together, with an engine that only says what a test lets it."""

    def __init__(self, **metrics: Any) -> None:
        settings = checked(Metrics, metrics)
        self.mirror = Mirror()
        self.counts = EventCounts()
        self.disk: Filesystem | None = DISK
        labels = RenderedLabels(ContainerLabels("cgroup", ["tier"]))
        choice = Choice(settings.include, settings.exclude)
        self.collector = ContainerCollector(
            self.mirror, self.counts, _Source(), labels, choice, host=lambda _: None, disk=lambda: self.disk
        )

    def has(self, *containers: Container) -> None:
        self.told(engine=ENGINE, containers=containers)

    def told(self, *events: Event, **view: Any) -> None:
        before = self.mirror.view
        self.counts.on_events(events, before, self.mirror.replace(**view), listed=not events)

    def kills(self, container_id: str = ID) -> None:
        self.told(Event("container", "oom", container_id, 1))

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


def _event(action: str, at: float) -> Event:
    return Event("container", action, ID, int(at * 1e9))


def test_kills_before_the_first_scrape_rise_a_minute_after_it(host: _Host) -> None:
    """`increase()` needs a value from before: a series that begins at 2 has none."""
    host.has()
    host.told(_event("start", NOW - 50), containers=(RUNNING,))
    for at in (NOW - 40, NOW - 1):
        host.told(_event("oom", at))
    assert host.sample().lifecycle.oom_events == 0
    host.told(_event("oom", NOW + 15))  # more than a minute after the start
    assert [host.sample(NOW + after).lifecycle.oom_events for after in (20, 59.9, 60, 75)] == [1, 1, 3, 3]
    host.told(_event("start", NOW + 100), _event("oom", NOW + 101))
    assert host.sample(NOW + 105).lifecycle.oom_events == 4, "a restart begins no series"


def test_kills_of_a_container_whose_start_was_not_seen_are_told_at_once(host: _Host) -> None:
    host.has(RUNNING)
    host.kills()
    assert host.sample().lifecycle.oom_events == 1


def test_kills_of_a_container_that_ended_before_any_scrape_rise_too(host: _Host) -> None:
    host.has()
    host.told(_event("start", NOW - 2), _event("oom", NOW - 1), containers=(EXITED,))
    assert [host.sample(NOW + after).lifecycle.oom_events for after in (6, 36, 66)] == [0, 0, 1]


COMPOSE = {
    "com.docker.compose.project": "shop",
    "com.docker.compose.service": "web",
    "com.docker.compose.container-number": "1",
    "com.docker.compose.oneoff": "False",
}
SWARM = {"com.docker.swarm.service.id": "s1", "com.docker.swarm.task.name": "shop_web.2.t1"}


@pytest.mark.parametrize(
    ("before", "after", "is_replaced"),
    [
        ({}, {}, True),
        ({}, {"name": "other"}, False),
        ({"labels": COMPOSE}, {"labels": COMPOSE, "name": "shop-web-1"}, True),
        ({"labels": COMPOSE}, {"labels": COMPOSE | {"com.docker.compose.project": "x"}, "name": "x-web-1"}, False),
        ({"labels": COMPOSE}, {"labels": COMPOSE | {"com.docker.compose.container-number": "2"}, "name": "b"}, False),
        ({"labels": COMPOSE}, {"labels": COMPOSE | {"com.docker.compose.oneoff": "True"}, "name": "run-1"}, False),
        ({"labels": SWARM}, {"labels": SWARM | {"com.docker.swarm.task.name": "shop_web.2.t2"}, "name": "b"}, True),
        ({"labels": SWARM}, {"labels": SWARM | {"com.docker.swarm.task.name": "shop_web.1.t2"}, "name": "b"}, False),
    ],
)
@pytest.mark.parametrize("is_removed", [True, False])
def test_a_container_that_was_replaced_is_no_loss(
    host: _Host, before: dict[str, Any], after: dict[str, Any], *, is_replaced: bool, is_removed: bool
) -> None:
    """A redeploy: by name, by Compose and by Swarm, whether the old one is removed or only stopped (and renamed)."""
    old = replace(RUNNING, **before)
    ended = [] if is_removed else [replace(EXITED, **before, name="old" if before else "web")]
    new = replace(RUNNING, **after, id="b" * 64, pid=8)
    host.has(old)
    host.kills()
    host.sample()
    host.has(*ended)
    assert host.sample(NOW + 5).lifecycle.seen == NOW, "not replaced yet"

    host.has(*ended, new)
    of_old, of_new = sorted(host.collector.collect(NOW + 15), key=lambda sample: sample.container_id)
    assert of_old.lifecycle == Lifecycle(seen=None if is_replaced else NOW, oom_events=1)
    assert of_new.lifecycle.seen == NOW + 15

    host.has(*ended)
    of_old, of_new = sorted(host.collector.collect(NOW + 30), key=lambda sample: sample.container_id)
    assert of_old.lifecycle.seen == (None if is_replaced else NOW), "once replaced, the one that replaced it counts"
    assert of_new.lifecycle.seen == NOW + 15


def test_a_container_that_stops_after_the_one_that_replaces_it_came_is_no_loss(host: _Host) -> None:
    """As in an update that starts the new one first."""
    new = replace(RUNNING, id="b" * 64, pid=8, name="shop-web-1", labels=COMPOSE)
    host.has(replace(RUNNING, labels=COMPOSE), new)
    host.collector.collect(NOW)
    host.has(new)

    assert [sample.lifecycle.seen for sample in host.collector.collect(NOW + 15)] == [None, NOW + 15]


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
    host.told(sizes=DiskUsage({ID: ContainerSize(writable_layer=12, root_fs=340)}))

    sample = host.sample()

    assert sample.filesystem == (Filesystem("/dev/sda1", usage=12, limit=10_000, inodes=100, inodes_free=60),)
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
    """Other values of a rootless engine on cgroup v1 are those of all processes."""
    network = (Interface("eth0", 1, 2, 3, 4, 5, 6, 7, 8),)
    told = Reading(Usage(spec=Spec(memory_limit=8_000_000), cpu=Cpu(usage=1.0), network=network), NOW)
    monkeypatch.setattr(_Source, "read", lambda *_: {ID: told})
    host.told(engine=replace(ENGINE, container_cgroups=False), containers=(RUNNING,))
    (sample,) = host.collector.collect(NOW)
    assert sample.usage == Usage(network=network)
    assert sample.lifecycle.seen == NOW
    monkeypatch.setattr(_Source, "read", lambda *_: {ID: replace(told, cgroup_path="/user/web")})
    (sample,) = host.collector.collect(NOW)
    assert sample.usage == told.usage, "a cgroup of its own was seen after all"


def test_an_engine_without_events_of_oom_kills_has_no_counter_of_them(host: _Host) -> None:
    host.told(engine=replace(ENGINE, tells_oom=False), containers=(RUNNING,))
    (sample,) = host.collector.collect(NOW)
    assert sample.lifecycle.oom_events is None
    assert sample.state == State("running", oom_killed=None, restarts=0), "that it was not is not known either"


def test_an_excluded_container_is_not_shown_and_counted() -> None:
    host = _Host(exclude={"names": ["db*"]})
    host.has(RUNNING, replace(RUNNING, id="b" * 64, name="db-1"))
    assert host.sample().container_id == ID
    assert host.collector.excluded == 1
    host.has(RUNNING)
    host.sample()
    assert host.collector.excluded == 0


def test_one_that_is_renamed_to_what_is_excluded_has_not_ended() -> None:
    """Its last_seen would stay frozen, and an alert say that it is gone."""
    host = _Host(exclude={"names": ["db*"]})
    host.has(RUNNING)
    host.sample()
    host.has(replace(RUNNING, name="db-1"))
    assert host.collector.collect(NOW + 5) == []
    host.has(RUNNING)
    assert host.sample(NOW + 10).lifecycle.seen == NOW + 10


def test_who_asks_during_a_reading_gets_it(host: _Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the readings of before: right after the start there are none, and a page would show none for long."""
    host.has(RUNNING)
    began, may_end = threading.Event(), threading.Event()
    reads: list[float] = []

    def read(containers: Sequence[Container], now: float) -> Mapping[str, Reading]:
        reads.append(now)
        began.set()
        assert may_end.wait(30)
        return {each.id: Reading(Usage(cpu=Cpu(usage=1.0)), now, "") for each in containers}

    monkeypatch.setattr(host.collector._source, "read", read)
    sampler = threading.Thread(target=host.collector.update_recent, args=(NOW,))
    sampler.start()
    assert began.wait(30)
    host.collector.update_recent(NOW + 1)
    assert host.collector.recent.use(ID) is None
    lock = host.collector._reading

    def acquire(*, timeout: float) -> bool:
        may_end.set()
        return lock.acquire(timeout=timeout)

    monkeypatch.setattr(host.collector, "_reading", SimpleNamespace(acquire=acquire, release=lock.release))
    host.collector.update_recent(NOW + 1, wait=30)
    assert host.collector.recent.use(ID) is not None
    assert reads == [NOW]
    sampler.join()
