"""Builds are uses of what they are based on, told by the layers of images."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cleanup.builders import DAY, ENGINE, HOUR, NOW, image, record, view
from tests.unit.cleanup.fake_engine import FakeEngine as InMemory
from tests.unit.engine.fake_engine import FakeEngine, event, refused, unreachable
from watchd.cleanup.observe.lineage import Lineage, last_builds
from watchd.cleanup.observe.observations import observe
from watchd.cleanup.observe.observer import Observer
from watchd.cleanup.observe.recorder import Recorder
from watchd.cleanup.run.planning import with_records
from watchd.engine import fresh_view
from watchd.engine.layers import with_layers
from watchd.engine.watch.coverage import Coverage
from watchd.model import (
    CacheRecord,
    DiskUsage,
    EngineView,
    Event,
    Image,
    Key,
    Kind,
    Observation,
    Observations,
    Own,
)
from watchd.model.view import cache_uses
from watchd.store import Notes, Store

BASE, APP = image("base", layers=("a", "b")), image("app", layers=("a", "b", "c"))
SEEN = Observation(NOW - DAY, NOW - DAY, layers=BASE.layers)

stacks = st.lists(st.sampled_from("ab"), max_size=4).map(tuple)


def built(layers: tuple[str, ...], base: tuple[str, ...]) -> bool:
    return bool(base) and layers[: len(base)] == base


class TestLayers:
    @given(st.lists(stacks, max_size=8))
    def test_the_bases_of_an_image_are_all_others_that_it_begins_with(self, images: list[tuple[str, ...]]) -> None:
        lineage = Lineage()
        for number, layers in enumerate(images):
            lineage.add(("image", str(number)), ("other",))
            lineage.add(("image", str(number)), layers)
        lineage.add(("image", "gone"), ("a",))
        lineage.remove(("image", "gone"))
        for number, layers in enumerate(images):
            expected = {other for other, base in enumerate(images) if other != number and built(layers, base)}
            assert lineage.bases(("image", str(number))) == {("image", str(each)) for each in expected}

    @given(st.lists(st.tuples(st.none() | stacks, st.integers(1, 9)), max_size=8))
    def test_the_last_build_is_the_last_arrival_of_what_begins_with_it(
        self, images: list[tuple[tuple[str, ...] | None, int]]
    ) -> None:
        known: dict[Key, Observation] = {
            ("image", str(number)): Observation(0.0, float(arrived), layers=layers)
            for number, (layers, arrived) in enumerate(images)
        }
        latest: dict[Key, float] = {
            ("image", str(number)): max(
                (float(at) for each, at in images if built(each or (), layers or ())), default=0.0
            )
            for number, (layers, _) in enumerate(images)
        }
        assert last_builds(known) == {key: at for key, at in latest.items() if at > known[key].arrived_at}

    def test_two_thousand_images_of_one_base_take_no_time(self) -> None:
        known: dict[Key, Observation] = {
            ("image", str(number)): Observation(0.0, float(number), layers=("base",) * 20) for number in range(2000)
        }
        began = time.process_time()
        assert len(last_builds(known)) == 1999
        assert time.process_time() - began < 5, "it is quadratic"


class TestOneLook:
    def test_a_base_was_used_when_the_last_image_arrived_that_was_built_on_it(self) -> None:
        known: Observations = {BASE.key: SEEN, APP.key: Observation(NOW - HOUR, NOW - HOUR, layers=APP.layers)}
        assert observe(known, view(BASE, APP), NOW)[BASE.key].last_used == NOW - HOUR

    def test_what_equals_it_counts_and_what_came_before_it_does_not(self) -> None:
        twin = image("twin", layers=BASE.layers)
        known: Observations = {BASE.key: SEEN, twin.key: Observation(NOW - 9 * DAY, NOW - 9 * DAY, layers=twin.layers)}
        seen = observe(known, view(BASE, twin), NOW)
        assert (seen[BASE.key].last_used, seen[twin.key].last_used) == (None, NOW - DAY)

    def test_an_image_without_layers_is_the_base_of_none(self) -> None:
        scratch = image("scratch", layers=())
        known: Observations = {scratch.key: Observation(NOW - DAY, NOW - DAY)}
        assert observe(known, view(scratch, APP), NOW)[scratch.key].last_used is None

    def test_layers_on_record_stay_where_a_list_lacks_them(self) -> None:
        assert observe({BASE.key: SEEN}, view(image("base")), NOW)[BASE.key] == SEEN

    @pytest.mark.parametrize(
        ("description", "used"),
        [
            ("pulled from docker.io/library/base:1@sha256:" + 64 * "0", NOW - HOUR),
            ("pulled from docker.io/library/base:1", NOW - HOUR),
            ("[stage-0 2/2] COPY --from=base:1 /a /b", NOW - HOUR),
            ("[2/2] COPY --chown=1:1 --from=base:1 /a /b", NOW - HOUR),
            ("[2/2] COPY --from=stage /a /b", None),
            ("pulled from docker.io/library/base:2", None),
            ("mount / from exec /bin/sh -c echo pulled from base:1", None),
            ("from local", None),
        ],
    )
    def test_a_record_of_the_build_cache_that_names_an_image_is_a_use_of_it(
        self, description: str, used: float | None
    ) -> None:
        records = [record("x", description=description, last_used_at=NOW - HOUR), record("y")]
        look = view(BASE, cache_uses=cache_uses(records))
        assert observe({BASE.key: SEEN}, look, NOW)[BASE.key].last_used == used

    def test_one_that_a_build_uses_now_is_used_now(self) -> None:
        uses = cache_uses([CacheRecord("x", description="pulled from base:1", in_use=True)])
        assert observe({BASE.key: SEEN}, view(BASE, cache_uses=uses), NOW)[BASE.key].last_used == NOW


class Building(InMemory):
    """An engine with a build cache that names an image."""

    lists_types = True

    def build_cache(self) -> list[CacheRecord]:
        return [record("x", description="pulled from base:1", last_used_at=NOW - HOUR)]


class TestTheBuildCache:
    @pytest.mark.parametrize(
        ("kinds", "quick", "uses", "records"),
        [
            ({"image"}, False, {"base:1": NOW - HOUR}, 0),
            ({"image", "build_cache"}, False, {"base:1": NOW - HOUR}, 1),
            ({"image", "build_cache"}, True, {"base:1": NOW - HOUR}, 1),
            ({"image"}, True, {}, 0),
            ({"container"}, False, {}, 0),
        ],
    )
    def test_it_is_listed_for_images_that_it_names(
        self, tmp_path: Path, kinds: set[Kind], *, quick: bool, uses: dict[str, float], records: int
    ) -> None:
        taken = fresh_view.take(Building(tmp_path), Own(in_container=False), kinds, quick=quick)
        to_judge = [each for each in taken.subjects() if each.kind == "build_cache"]
        assert (taken.cache_uses, len(to_judge)) == (uses, records)

    def test_not_where_the_engine_would_measure_everything_and_its_failure_is_none_of_images(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(_: Building) -> list[CacheRecord]:
            raise refused()

        monkeypatch.setattr(Building, "build_cache", refuse)
        for alone in (True, False):
            monkeypatch.setattr(Building, "lists_types", alone)
            taken = fresh_view.take(Building(tmp_path), Own(in_container=False), {"image"})
            assert (taken.cache_uses, taken.failures) == ({}, {})

    def test_the_daemon_goes_by_the_one_that_was_measured_last(self) -> None:
        records = (record("x", description="pulled from base:1", last_used_at=NOW - HOUR),)
        look = view(BASE, sizes=DiskUsage({}, cache=records)).sized()
        assert observe({BASE.key: SEEN}, look, NOW)[BASE.key].last_used == NOW - HOUR


class TestARun:
    """What a run asks for, and what it makes of no answer."""

    @pytest.fixture
    def engine(self) -> FakeEngine:
        return FakeEngine(BASE, APP)

    def look(self, engine: FakeEngine, *known: Image) -> EngineView:
        listed = view(image("base", size=5), image("app"))
        return with_layers(listed, engine.client, [each.id for each in known])

    def test_each_image_is_inspected_that_is_not_on_record(self, engine: FakeEngine) -> None:
        looked = self.look(engine, APP)
        assert {each.name: each.layers for each in looked.images} == {"base:1": ("a", "b"), "app:1": None}
        assert looked.images[0].size == 5, "the list knows sizes"
        assert engine.asked == [f"image {BASE.id}"]

    def test_an_image_that_has_gone_since_is_left_out(self, engine: FakeEngine) -> None:
        engine.remove(APP)
        assert [each.name for each in self.look(engine).images] == ["base:1"]

    @pytest.mark.parametrize("error", [refused(500), unreachable()])
    def test_where_that_fails_the_view_is_incomplete(self, engine: FakeEngine, error: Exception) -> None:
        engine.failing["image"] = error
        looked = self.look(engine, APP)
        observer = Observer(None, writable=False, count_unwatched=False)
        known = observe({APP.key: SEEN}, looked, NOW)
        assert with_records(looked, known, observer).failures == {
            "image": "the layers of 1 of 2 are not known, so the base of builds could seem unused"
        }
        recorded = with_records(looked, {**known, BASE.key: SEEN}, observer)
        assert recorded.failures == {}
        assert all(each.layers is not None for each in recorded.images), "which tell layers apart, too"


class TestTheDaemon:
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        with closing(Store.open(tmp_path)) as store:
            yield store

    @pytest.fixture
    def engine(self) -> FakeEngine:
        return FakeEngine(BASE)

    @pytest.fixture
    def recorder(self, store: Store, engine: FakeEngine) -> Recorder:
        """A daemon that has listed the base alone."""
        observer = Observer(store, writable=True, count_unwatched=True)
        observer.note(ENGINE.id, Notes(came={BASE.key: Observation(1.0, 1.0)}), time.time())
        recorder = Recorder(engine.client, observer, Coverage())
        self.shown = EngineView(ENGINE, NOW)
        self.tell(recorder, view(image("base")), listed=True)
        return recorder

    def tell(self, recorder: Recorder, after: EngineView, *events: Event, listed: bool = False) -> float:
        """Have the recorder take in a change, and return when that was."""
        before, self.shown = self.shown, after
        recorder.on_events(events, before, after, listed=listed)
        change = recorder._queue.get()
        assert change is not None
        recorder._take_in([change])
        return change.now

    def used(self, store: Store) -> float | None:
        return store.observations(ENGINE.id)[BASE.key].last_used

    def test_it_asks_for_each_image_once_when_nothing_else_is_to_be_recorded(
        self, recorder: Recorder, engine: FakeEngine, store: Store
    ) -> None:
        recorder.tick()
        recorder._idle()
        assert engine.asked == [], "what is queued comes first"
        recorder._queue.get()
        recorder._idle()
        recorder._idle()
        assert engine.asked == [f"image {BASE.id}"]
        assert store.observations(ENGINE.id)[BASE.key].layers == BASE.layers

    def test_an_engine_that_does_not_tell_is_asked_again_later(
        self, recorder: Recorder, engine: FakeEngine, store: Store
    ) -> None:
        engine.failing["image"] = unreachable()
        recorder._idle()
        assert len(engine.asked) == 1
        engine.failing.clear()
        recorder._idle()
        assert store.observations(ENGINE.id)[BASE.key].layers == BASE.layers

    @pytest.mark.parametrize("tagged", [APP, image("base-2", layers=BASE.layers)])
    def test_a_build_uses_its_base_also_when_its_image_is_here_already(
        self, recorder: Recorder, store: Store, tagged: Image
    ) -> None:
        recorder._idle()
        for _ in range(2):
            now = self.tell(recorder, view(image("base"), tagged), event("image", "tag", tagged.id))
            assert self.used(store) == now

    def test_a_build_whose_image_is_gone_again_has_used_it(self, recorder: Recorder, store: Store) -> None:
        recorder._idle()
        now = self.tell(recorder, view(image("base"), APP), event("image", "tag", APP.id))
        self.tell(recorder, view(image("base")), event("image", "delete", APP.id))
        assert self.used(store) == now

    def test_a_build_without_a_tag_has_no_event(self, recorder: Recorder, store: Store) -> None:
        recorder._idle()
        now = self.tell(recorder, view(image("base"), APP))
        assert self.used(store) == now

    def test_a_build_counts_from_its_arrival_where_layers_are_learned_later(
        self, recorder: Recorder, engine: FakeEngine, store: Store
    ) -> None:
        engine.add(APP)
        now = self.tell(recorder, view(image("base"), image("app")), event("image", "tag", APP.id))
        assert self.used(store) is None
        recorder._idle()
        assert self.used(store) == now

    def test_a_new_tag_of_the_base_is_no_use_of_it_but_an_arrival(self, recorder: Recorder, store: Store) -> None:
        recorder._idle()
        now = self.tell(recorder, view(image("base")), event("image", "tag", BASE.id))
        seen = store.observations(ENGINE.id)[BASE.key]
        assert (seen.arrived_at, seen.last_used) == (now, None)
