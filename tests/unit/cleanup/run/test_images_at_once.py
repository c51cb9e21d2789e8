"""Images go many at a time, but for those that have an order: a child before its parent, tags before their image."""

import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cleanup.builders import UNUSED, cleanup, disk, image, policy, untagged
from tests.unit.cleanup.fake_engine import FakeEngine
from watchd.cleanup.observe.observer import Observer
from watchd.cleanup.plan.plan import Outcome, Outcomes
from watchd.cleanup.run.control import RunControl
from watchd.cleanup.run.executor import IMAGES_IN_PARALLEL
from watchd.cleanup.run.run import RunContext, run_cleanup
from watchd.engine.data import disks
from watchd.errors import EngineRefused
from watchd.model import Image, Layer
from watchd.store import Store

ALONE = [image(f"alone{number}") for number in range(40)]
FAMILY = [untagged("base"), untagged("middle", parent="base"), image("top", parent="middle")]
TAGGED = image("tagged", tags=("tagged:1", "tagged:2", "tagged:3"))


class Images(FakeEngine):
    """Images alone. `most` is how many removals were under way at once, `ended` has them in their order."""

    def __init__(self, directory: Path, images: Iterable[Image]) -> None:
        super().__init__(directory)
        self.here = {each.id: each for each in images}
        self.ended: list[str] = []
        self.most = self._now = 0
        self.along: dict[str, list[str]] = {}  # IDs that go along with another
        self._counting = threading.Lock()
        self.progress = lambda inspected, _: inspected

    def images(self) -> list[Image]:
        return list(self.here.values())

    def image(self, reference: str) -> Image:
        for each in tuple(self.here.values()):
            if reference == each.id or reference in each.tags:
                return replace(each, layers=(each.id,))
        raise EngineRefused("no such image", 404)

    def remove_image(self, reference: str) -> tuple[list[str], list[str]]:
        found = self.image(reference)
        with self._counting:
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(0.01)
        with self._counting:
            self._now -= 1
            self.ended.append(reference)
            left = tuple(tag for tag in found.tags if tag != reference)
            if reference != found.id and left:
                self.here[found.id] = replace(found, tags=left)
                return [reference], []
            along = self.along.get(found.id, ())
            for id_ in (found.id, *along):
                self.here.pop(id_, None)
        return [], [found.id, *along]

    def histories(self, _: Iterable[str]) -> dict[str, tuple[Layer, ...]]:
        return {}

    @property
    def lists_types(self) -> bool:
        return True


def run(tmp_path: Path, engine: Images, of: Mapping[str, Any] = UNUSED, control: RunControl | None = None) -> Outcomes:
    with closing(Store.open(tmp_path / "state")) as store:
        observer = Observer(store, writable=True, count_unwatched=True)
        outcomes = run_cleanup(RunContext(engine, store, observer, cleanup(of)), control or RunControl()).outcomes
        assert outcomes is not None
        assert {each.outcome for each in store.removals()} <= {*outcomes.values()}
        return outcomes


def test_those_without_relatives_go_at_once_and_the_others_in_their_order(tmp_path: Path) -> None:
    engine = Images(tmp_path, [*ALONE, *FAMILY, TAGGED])
    outcomes = run(tmp_path, engine)
    assert not engine.here
    assert set(outcomes.values()) == {"removed"}
    assert 1 < engine.most <= IMAGES_IN_PARALLEL
    places = [engine.ended.index(each.id) for each in reversed(FAMILY)]
    assert places == sorted(places), "children first"
    assert engine.ended.index(TAGGED.id) > max(engine.ended.index(tag) for tag in TAGGED.tags[1:])


def test_under_pressure_they_go_in_steps_that_grow_and_end_at_the_low_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Images(tmp_path, [replace(each, size=10) for each in (*ALONE, *FAMILY)])
    monkeypatch.setattr(disks, "statvfs", lambda *_: disk(400 + 10 * len(engine.here), 1000))
    marks = {"high": "80%", "low": "50%"}
    outcomes = run(tmp_path, engine, policy("room", "image", pressure=marks))
    assert len(engine.here) == 10, "no more than the low mark needs"
    assert set(outcomes.values()) == {"removed"}
    assert 1 < engine.most <= IMAGES_IN_PARALLEL


def test_once_the_run_pauses_the_rest_is_deferred_and_no_disk_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class QuietHours(RunControl):
        """They begin when three images have gone. `looks` counts those at the disk since."""

        looks = 0

        def pause(self) -> str:
            return "quiet hours" if len(engine.ended) >= 3 else ""

    def look(*_: object) -> object:
        control.looks += bool(control.pause())
        return disk(400 + 10 * len(engine.here), 1000)

    engine, control = Images(tmp_path, [replace(each, size=10) for each in ALONE]), QuietHours()
    monkeypatch.setattr(disks, "statvfs", look)
    outcomes = run(tmp_path, engine, policy("room", "image", pressure={"high": "70%", "low": "50%"}), control)
    assert Counter(outcomes.values()) == {Outcome.REMOVED: 3, Outcome.DEFERRED: 27}
    assert control.looks < 10, "after the step in which it paused, and at the end of the run"


def test_what_an_engine_removes_along_is_recorded_and_spares_no_other_one_the_look_at_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Engines that ignore `noprune` remove an image's parents with it."""
    engine = Images(tmp_path, [replace(each, size=10) for number in range(8) for each in _family(number)])
    engine.along = {top.id: [each.id for each in parents] for top, *parents in map(_family, range(8))}
    monkeypatch.setattr(engine, "info", lambda: replace(FakeEngine.info(engine), honors_noprune=False))
    monkeypatch.setattr(disks, "statvfs", lambda *_: disk(400 + 10 * len(engine.here), 1000))
    before = set(engine.here)
    outcomes = run(tmp_path, engine, policy("room", "image", pressure={"high": "80%", "low": "62%"}))
    assert {id_ for (_, id_, *_), each in outcomes.items() if each is Outcome.REMOVED} == before.difference(engine.here)
    assert len(engine.here) == 18, "22 at the low mark, and a family goes at once"


def _family(number: int) -> list[Image]:
    """Return an image and the steps of its build, the last one first."""
    steps = [untagged(f"{number}-{step}", parent=f"{number}-{step + 1}") for step in range(5)]
    return [image(f"top-{number}", parent=f"{number}-0"), *steps[:-1], replace(steps[-1], parent_id=None)]


@pytest.mark.parametrize("members", [FAMILY, [TAGGED]])
def test_relatives_alone_go_one_after_the_other(tmp_path: Path, members: Collection[Image]) -> None:
    engine = Images(tmp_path, members)
    run(tmp_path, engine)
    assert (engine.most, engine.here) == (1, {})


def test_an_engine_that_deletes_another_image_is_asked_for_no_further_one(tmp_path: Path) -> None:
    kept = replace(image("kept"), labels={"watchd.keep": "true"})
    engine = Images(tmp_path, [*ALONE, kept])
    engine.along = {each.id: [kept.id] for each in ALONE}
    outcomes = run(tmp_path, engine)
    assert len(engine.ended) <= IMAGES_IN_PARALLEL, "those that were under way"
    counted = Counter(outcomes.values())
    assert counted == {Outcome.FAILED: len(engine.ended), Outcome.DEFERRED: len(ALONE) - len(engine.ended)}
