"""Disk usage for the page: measured in the background, and not too often."""

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import pytest

from tests.harness.waiting import wait_until
from tests.unit.cleanup.builders import EXITED, cleanup, container
from tests.unit.engine.fake_engine import FakeEngine, unreachable
from watchd.api import survey
from watchd.api.preview import BeingMade
from watchd.api.survey import Survey
from watchd.cleanup.observe.observer import Observer
from watchd.engine.data.disks import EngineDisks
from watchd.engine.watch import sizes as sizes_module
from watchd.engine.watch.mirror import Mirror
from watchd.engine.watch.sizes import Sizes
from watchd.engine.watch.watcher import Watch
from watchd.errors import EngineUnreachable
from watchd.model import ContainerSize, DiskUsage

if TYPE_CHECKING:
    from watchd.engine.event_stream import EventStream

JOB = container("job")


class Slow(FakeEngine):
    """An engine that measures when the test lets it."""

    def __init__(self) -> None:
        super().__init__(JOB)
        self.go_on = threading.Event()
        self.measured = 0

    def disk_usage(self) -> DiskUsage:
        self._ask("df")
        assert self.go_on.wait(60)
        self.measured += 1
        return DiskUsage({JOB.id: ContainerSize(self.measured, 0)})


@pytest.fixture
def engine() -> Slow:
    return Slow()


@pytest.fixture
def asked(engine: Slow, monkeypatch: pytest.MonkeyPatch) -> Iterator[Survey]:
    monkeypatch.setattr(survey, "_PATIENCE", 0.05)
    mirror = Mirror()
    sizes = Sizes(engine.client, mirror)
    watch = Watch(engine.client, mirror, [sizes])
    sizes.start()
    watch._refresh([], connected=cast("EventStream", object()))
    yield Survey(mirror, sizes, cleanup(EXITED), Observer(None, writable=False, count_unwatched=False), EngineDisks())
    engine.go_on.set()
    sizes.stop()


def size(of: Survey) -> int | None:
    """Return what containers take, None where that is not known yet."""
    try:
        total = of.accounts().kinds["container"].total
    except BeingMade:
        return None
    return None if total is None else total.bytes


def test_no_request_waits_for_an_engine_that_does_not_answer(engine: Slow, asked: Survey) -> None:
    for _ in range(3):
        with pytest.raises(BeingMade):
            asked.accounts()
    engine.go_on.set()
    wait_until(lambda: size(asked) == 1, seconds=5, what="the engine adds it up")
    assert asked.accounts() is asked.accounts(), "within a minute it is not asked again"
    assert engine.measured == 1


def test_what_is_old_is_told_until_there_is_something_newer(
    engine: Slow, asked: Survey, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.go_on.set()
    wait_until(lambda: size(asked) == 1, seconds=5, what="the engine adds it up")
    engine.go_on.clear()
    monkeypatch.setattr(survey, "FRESH_FOR", 0.0)
    monkeypatch.setattr(sizes_module, "_SHARE_ASKED", 1.0e9)  # however long the first one took
    assert size(asked) == 1
    engine.go_on.set()
    wait_until(lambda: (size(asked) or 0) > 1, seconds=5, what="a newer one")


def test_an_engine_that_does_not_measure_is_an_error(engine: Slow, request: pytest.FixtureRequest) -> None:
    engine.failing["df"] = unreachable()
    asked = request.getfixturevalue("asked")
    wait_until(lambda: asked._sizes._failed, seconds=5, what="the attempt")
    with pytest.raises(EngineUnreachable):
        asked.accounts()
