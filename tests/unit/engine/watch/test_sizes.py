"""Sizes are measured rarely, and those of new containers soon."""

import gc
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest

from tests.harness.waiting import wait_until
from watchd.engine.watch import sizes as module
from watchd.engine.watch.mirror import Mirror
from watchd.engine.watch.sizes import Sizes
from watchd.errors import EngineRefused
from watchd.model import Container, ContainerSize, DiskUsage, Event, Layer
from watchd.model.objects.parts import Part

OLD, NEW, GONE = (letter * 64 for letter in "abc")


class _Engine:
    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def disk_usage(self) -> DiskUsage:
        self.asked.append(())
        return DiskUsage({OLD: ContainerSize(1, 10)}, volumes={"data": 5})

    def histories(self, _ids: Iterable[str]) -> dict[str, tuple[Layer, ...]]:
        return {}

    def image_parts(self) -> dict[str, tuple[Part, ...]]:
        return {}

    def container_sizes(self, ids: Sequence[str] = ()) -> dict[str, ContainerSize]:
        self.asked.append(tuple(ids))
        return {id_: ContainerSize(2, 20) for id_ in ids}


@pytest.fixture
def engine() -> _Engine:
    return _Engine()


@pytest.fixture
def mirror() -> Mirror:
    return Mirror()


@pytest.fixture
def sizes(engine: _Engine, mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sizes]:
    monkeypatch.setattr(module, "SOON", 0.1)
    client: Any = engine
    sizes = Sizes(client, mirror)
    sizes.start()
    yield sizes
    sizes.stop()


def _has(mirror: Mirror, sizes: Sizes, *ids: str, events: Sequence[Event] = (), listed: bool = False) -> None:
    before = mirror.view
    containers = [Container(id_, id_[:1], "image", "sha256:1", "running", 1.0) for id_ in ids]
    after = mirror.replace(containers=tuple(containers))
    sizes.on_events(events, before, after, listed=listed)


def test_new_containers_are_measured_alone_and_soon(engine: _Engine, mirror: Mirror, sizes: Sizes) -> None:
    _has(mirror, sizes, OLD, listed=True)
    wait_until(lambda: mirror.view.sizes is not None, seconds=10, what="the first sizes")
    created = [Event("container", "create", id_, 1) for id_ in (NEW, GONE)]
    _has(mirror, sizes, OLD, NEW, events=created)

    wait_until(lambda: len(engine.asked) == 2, seconds=10, what="the new one")
    wait_until(lambda: len(mirror.view.sizes.containers) == 2, seconds=10, what="its size")  # type: ignore[union-attr]
    assert engine.asked == [(), (NEW,)]
    assert mirror.view.sizes == DiskUsage(
        {OLD: ContainerSize(1, 10), NEW: ContainerSize(2, 20)}, volumes={"data": 5}
    ), "and what else was measured is kept"


def test_nothing_is_asked_for_events_of_others(engine: _Engine, mirror: Mirror, sizes: Sizes) -> None:
    _has(mirror, sizes, OLD, listed=True)
    wait_until(lambda: mirror.view.sizes is not None, seconds=10, what="the first sizes")
    _has(mirror, sizes, OLD, events=[Event("container", "create", GONE, 1), Event("image", "pull", "x", 1)])
    _has(mirror, sizes, OLD, NEW, listed=True)
    wait_until(lambda: len(engine.asked) > 1, seconds=10, what="the one that a list told of")
    assert engine.asked == [(), (NEW,)]


def test_a_refusal_keeps_at_most_the_last_one_that_was_told(
    engine: _Engine, mirror: Mirror, sizes: Sizes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy may never let the request through, and each view of the page asks."""

    class Asking:
        """What whoever asks has at hand."""

    def refuse() -> None:
        raise EngineRefused("forbidden", 403)

    def ask() -> "weakref.ref[Asking]":
        asking = Asking()
        with pytest.raises(EngineRefused, match="forbidden"):
            sizes.ensure(3600.0, patience=10.0)
        return weakref.ref(asking)

    for request in ("disk_usage", "images"):
        monkeypatch.setattr(engine, request, refuse, raising=False)
    _has(mirror, sizes, OLD, listed=True)
    asked = [ask() for _ in range(3)]
    gc.collect()
    assert [each() is None for each in asked[:2]] == [True, True]
