"""The plan for who looks on: from the mirror, one at a time, once a minute, and nothing is written or asked."""

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from tests.unit.cleanup.builders import ENGINE, EXITED, UNUSED, UNUSED_CACHE, cleanup, container, image, record, volume
from tests.unit.engine.fake_engine import FakeEngine
from watchd.api.preview import BeingMade, Preview
from watchd.cleanup.observe.observer import Observer
from watchd.engine.data.disks import EngineDisks
from watchd.engine.watch.mirror import Mirror
from watchd.engine.watch.sizes import Sizes
from watchd.engine.watch.watcher import Watch
from watchd.errors import EngineUnreachable
from watchd.model import ContainerSize, DiskUsage, EngineView, Observations
from watchd.store import Notes, Store

if TYPE_CHECKING:
    from watchd.engine.event_stream import EventStream

NOWHERE = Observer(None, writable=False, count_unwatched=False)
JOB = container("job")


class Host:
    """A mirror of an engine, and what measures sizes for it."""

    def __init__(self) -> None:
        self.engine = FakeEngine(JOB, image("app"))
        self.mirror = Mirror()
        self.sizes = Sizes(self.engine.client, self.mirror)
        watch = Watch(self.engine.client, self.mirror)
        watch._refresh([], connected=cast("EventStream", object()))

    def preview(self, *policies: dict[str, object], observer: Observer = NOWHERE) -> Preview:
        return Preview(self.mirror, self.sizes, cleanup(*policies), observer, EngineDisks())


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store.open(tmp_path)) as opened:
        yield opened


class _Slow(Observer):
    """Observations that are told when the test lets them: planning takes as long."""

    def __init__(self) -> None:
        super().__init__(None, writable=False, count_unwatched=False)
        self.asked = threading.Event()
        self.go_on = threading.Event()
        self.times = 0

    def read(self, view: EngineView, now: float) -> Observations:
        self.times += 1
        self.asked.set()
        assert self.go_on.wait(60)
        return super().read(view, now)


def test_one_waits_and_no_other(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = _Slow()
    planner = host.preview(EXITED, observer=slow)
    first = threading.Thread(target=planner.plan)
    first.start()
    assert slow.asked.wait(60)
    with pytest.raises(BeingMade):
        planner.plan()
    slow.go_on.set()
    first.join(60)
    made = planner.plan()
    assert slow.times == 1, "within a minute it is not made anew"

    monkeypatch.setattr(planner, "_fresh_for", 0.0)
    slow.go_on.clear()
    slow.asked.clear()
    again = threading.Thread(target=planner.plan)
    again.start()
    assert slow.asked.wait(60)
    assert planner.plan() is made, "the one before, while another one is made"
    slow.go_on.set()
    again.join(60)
    assert slow.times == 2


def test_other_policies_have_another_plan(host: Host) -> None:
    planner = host.preview()
    before = planner.plan()
    planner.replace(cleanup(EXITED))
    assert planner.plan().plan is not before.plan
    assert [policy.name for policy in planner.plan().cleanup.policies] == ["exited"]


def test_nothing_is_asked_of_the_engine_and_nothing_is_written(host: Host, store: Store) -> None:
    observer = Observer(store, writable=True, count_unwatched=False)
    observer.look(host.mirror.view, 1000.0)
    before = store.observations("engine-1"), store.watched_until("engine-1")
    host.engine.add(container("new"))
    host.engine.asked.clear()
    host.preview(EXITED, observer=observer).plan()
    assert host.engine.asked == []
    assert (store.observations("engine-1"), store.watched_until("engine-1")) == before


def test_sizes_are_those_that_were_measured_before(host: Host) -> None:
    host.mirror.replace(sizes=DiskUsage({JOB.id: ContainerSize(12_345, 99_999)}))
    (item,) = (each for each in host.preview(EXITED).plan().plan.items if each.kind == "container")
    assert (item.action, item.bytes) == ("remove", 12_345)


def test_the_build_cache_is_that_of_the_last_measurement(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("watchd.api.preview._PATIENCE", 0.01)
    planner = host.preview(UNUSED_CACHE)
    assert planner.plan().plan.incomplete == {"build_cache": "not listed yet"}
    host.mirror.replace(sizes=DiskUsage({}, cache=(record("step"),)))
    plan = planner.plan(at_most=0.0).plan
    assert not plan.incomplete
    assert [item.name for item in plan.items if item.kind == "build_cache"] == ["step"]


def test_no_image_would_go_before_the_layers_of_all_are_known(host: Host, store: Store) -> None:
    observer = Observer(store, writable=True, count_unwatched=False)
    observer.look(host.mirror.view, 1000.0)
    planner = host.preview(UNUSED, observer=observer)
    assert "the layers of 1 of 1 are not known" in planner.plan().plan.incomplete["image"]
    observer.note(ENGINE.id, Notes(layers={image("app").key: ("a",)}), 1000.0)
    assert not planner.plan(at_most=0.0).plan.incomplete


def test_a_volume_with_options_goes_only_where_the_disk_and_its_mounts_are_known(host: Host, tmp_path: Path) -> None:
    policy: dict[str, object] = {"name": "shares", "kind": "volume", "when": {"unused_for": "0s"}}
    policy["select"] = {"named": True, "name": ["nfs"], "driver": "local"}
    share = volume("nfs", driver="local", options={"device": ":/srv"}, mountpoint=str(tmp_path / "volumes/nfs/_data"))
    host.engine.engine = replace(ENGINE, root_dir=str(tmp_path))
    host.mirror.replace(engine=host.engine.engine, volumes=(share,))
    observer = Observer(None, writable=False, count_unwatched=True)
    planner = host.preview(policy, observer=observer)

    def action() -> str:
        (item,) = (each for each in planner.plan(at_most=0.0).plan.items if each.kind == "volume")
        return f"{item.action}, {item.reason}"

    assert action() == "keep, protected", "the engine's data is not proven to be here, so its mounts are not either"
    (tmp_path / "engine-id").write_text(ENGINE.id)
    assert action() == "remove, unused_too_long"


def test_before_the_engine_was_listed_there_is_none() -> None:
    engine, mirror = FakeEngine(), Mirror()
    planner = Preview(mirror, Sizes(engine.client, mirror), cleanup(), NOWHERE, EngineDisks())
    with pytest.raises(EngineUnreachable):
        planner.plan()
