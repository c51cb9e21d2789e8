"""Disk space that images and the build cache share, and what goes for it under pressure."""

from dataclasses import replace
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cleanup.builders import (
    ENGINE,
    HOUR,
    NOW,
    cleanup,
    disk,
    disks,
    image,
    item_of,
    plan,
    policy,
    record,
    steps,
    view,
    volume,
    why,
)
from watchd.cleanup import report
from watchd.cleanup.plan.explain import explain
from watchd.cleanup.plan.plan import Outcome, Plan
from watchd.cleanup.plan.space.space import Space
from watchd.cleanup.report.verdict import what_next
from watchd.cleanup.run.disk_room import DiskRoom
from watchd.model import Amount, CacheRecord, EngineView, Image, Layer, Observation

MARKS = {"high": "80%", "low": "50%"}
IMAGES = policy("images", "image", pressure=MARKS)
CACHE = policy("cache", "build_cache", pressure=MARKS)
BASE = Layer("base", 10, int(NOW) - 1000)


def built(number: int, size: int = 20, **changes: Any) -> tuple[Image, CacheRecord]:
    """Return what a build leaves: an image on the base, and the record of its layer. A higher number is older."""
    at = int(NOW) - 60 * number
    layers = (BASE, Layer(f"step-{number}", size, at))
    made = image(f"app{number}", size=size + 10, history=layers, created_at=float(at), **changes)
    return made, record(f"step{number}", size=size, shared=True, created_at=at + 0.4, last_used_at=at + 0.5)


def base() -> Image:
    return image("base", size=10, history=(BASE,), created_at=NOW - 1000)


def full(*subjects: Any, used: int = 90) -> EngineView:
    return view(*subjects, disks=disks(disk(used)))


def made(look: EngineView, *policies: Any, **further: Any) -> Plan:
    known = {each.key: Observation(NOW - 24 * HOUR, NOW - 24 * HOUR, last_used=each.created_at) for each in look.images}
    return plan(look, cleanup(*policies), known=known, **further)


PAIRS = [built(number) for number in range(1, 4)]
EVERYTHING = [base(), *(each for pair in PAIRS for each in pair)]


class TestOneOrder:
    def test_an_image_and_the_record_of_its_layer_go_together_the_oldest_first(self) -> None:
        look = made(full(*EVERYTHING), IMAGES, CACHE)
        assert steps(look) == [
            "remove image app3:1",
            "remove build_cache step3",
            "remove image app2:1",
            "remove build_cache step2",
        ]
        assert [item.bytes for item in look.in_force] == [0, 20, 0, 20], "each layer counts once, with its last holder"
        assert look.totals()["image"]["bytes"] + look.totals()["build_cache"]["bytes"] == 40

    def test_records_that_are_all_older_than_the_images_wait_for_them(self) -> None:
        old = [replace(cached, last_used_at=NOW - 9000 - number) for number, (_, cached) in enumerate(PAIRS)]
        look = made(full(base(), *(pair[0] for pair in PAIRS), *old), IMAGES, CACHE)
        assert [item.name for item in look.in_force] == ["app3:1", "step3", "app2:1", "step2"]
        assert sum(item.bytes for item in look.in_force) == 40
        assert why(look, PAIRS[0][0]) == "keep below_watermark"

    def test_the_base_and_the_newest_stay(self) -> None:
        look = made(full(*EVERYTHING), IMAGES, CACHE)
        assert why(look, EVERYTHING[0]).startswith("keep")
        assert why(look, PAIRS[0][0]).startswith("keep")
        assert why(look, PAIRS[0][1]).startswith("keep")

    def test_each_policy_goes_until_its_own_low_mark(self) -> None:
        lower = policy("cache", "build_cache", pressure={"high": "80%", "low": "10%"})
        alone = record("alone", size=15, last_used_at=NOW)
        look = made(full(*EVERYTHING, alone), IMAGES, lower)
        assert "remove build_cache alone" in steps(look)
        assert why(look, PAIRS[0][0]).startswith("keep")

    def test_a_limit_of_the_run_takes_no_parent_before_its_child(self) -> None:
        child = record("child", of=["parent"], size=20)
        parent = record("parent", size=5)
        look = plan(full(child, parent), cleanup(CACHE, max_bytes="10B"))
        assert steps(look) == []


class TestFreesNothing:
    def test_images_stay_that_the_cache_holds_too_and_the_plan_tells_why(self) -> None:
        look = made(full(*EVERYTHING), IMAGES)
        assert steps(look) == []
        item = item_of(look, PAIRS[0][0])
        assert item.reason == "frees_nothing"
        assert item.facts["why"] == (
            "the build cache has the same layers; no policy for the build cache acts under pressure"
        )

        explained = explain(PAIRS[0][0], look, full(*EVERYTHING), cleanup(IMAGES), {})
        assert "its removal would free nothing: the build cache has the same layers" in what_next(explained)
        told = "the removal of 3 images would free nothing: the build cache has the same layers; no policy for the"
        assert any(told in line for line in report.plan(look, dry_run=True))
        assert told in report.nothing_removed(look)

    def test_the_check_of_the_configuration_notes_that_the_cache_needs_a_policy(self) -> None:
        (note,) = report.missing_policies(full(*EVERYTHING), cleanup(IMAGES))
        assert note.startswith("images will free little under pressure")
        assert list(report.missing_policies(full(*EVERYTHING), cleanup(IMAGES, CACHE))) == []
        assert list(report.missing_policies(full(base()), cleanup(IMAGES))) == [], "nothing was built here"

    def test_what_all_share_is_not_worth_all_of_them(self) -> None:
        look = made(full(*(pair[0] for pair in PAIRS), base(), *(pair[1] for pair in PAIRS)), IMAGES)
        assert why(look, EVERYTHING[0]) == "keep frees_nothing"

    def test_a_cache_that_no_policy_is_for_is_not_judged_and_still_counts(self) -> None:
        look = replace(full(*EVERYTHING), kinds=frozenset(("container", "image", "network", "volume")))
        assert {item.kind for item in made(look, IMAGES).items} == {"image"}
        assert steps(made(look, IMAGES)) == []

    def test_an_empty_volume_stays_and_one_of_unknown_size_goes(self) -> None:
        empty, unknown = volume("empty", size=0), volume("unknown")
        volumes = policy("volumes", "volume", select={"named": True, "name": ["*"]}, pressure=MARKS)
        assert steps(plan(full(empty, unknown), cleanup(volumes))) == ["remove volume unknown"]

    def test_a_child_without_a_size_goes_for_its_parent(self) -> None:
        child, parent = record("child", of=["parent"], size=0), record("parent", size=40)
        assert steps(plan(full(child, parent), cleanup(CACHE))) == [
            "remove build_cache child",
            "remove build_cache parent",
        ]


class TestContainerdStore:
    """Its images have a compressed copy of each layer, and so have the records."""

    def look(self) -> EngineView:
        store = replace(ENGINE, store="containerd")
        subjects = []
        for number in (1, 2):
            made_image, cached = built(number)
            subjects += [replace(made_image, size=30 + 5 + 18), replace(cached, size=20 + 19)]
        return replace(full(replace(base(), size=15), *subjects), engine=store)

    def test_each_frees_its_own_files_and_the_second_of_them_the_copy(self) -> None:
        look = made(self.look(), IMAGES, policy("cache", "build_cache", pressure={"high": "80%", "low": "40%"}))
        assert [item.bytes for item in look.in_force][:2] == [20, 20 + 19], "the record tells how large the copy is"

    def test_a_record_that_the_engine_calls_unshared_has_the_layer_of_its_second_all_the_same(self) -> None:
        look = self.look()
        unshared = replace(look, build_cache=tuple(replace(each, shared=False) for each in look.build_cache))
        cache = policy("cache", "build_cache", pressure={"high": "80%", "low": "40%"})
        told, not_told = (made(each, IMAGES, cache).in_force for each in (look, unshared))
        assert [(item.id, item.bytes) for item in not_told] == [(item.id, item.bytes) for item in told]

    def test_an_unshared_record_larger_than_a_layer_with_its_copy_is_of_something_else(self) -> None:
        look = self.look()
        stage = record("stage", size=10**6, created_at=look.build_cache[0].created_at)
        look = replace(look, build_cache=(*look.build_cache, stage))
        assert Space.of(look).alone(stage.key) == 10**6

    def test_a_base_goes_after_what_was_built_on_it(self) -> None:
        look = made(self.look(), policy("images", "image", pressure={"high": "80%", "low": "75%"}))
        assert steps(look) == ["remove image app2:1"], "the base is older"

    def test_images_alone_free_their_own_files(self) -> None:
        look = made(self.look(), IMAGES)
        assert [item.bytes for item in look.in_force if item.name != "base:1"] == [20, 20]

    def test_the_record_of_a_base_holds_what_the_base_does_and_counts_its_copy_alone(self) -> None:
        of_base = record("from", size=5, shared=True, description="")
        look = replace(view(replace(base(), size=15), of_base), engine=replace(ENGINE, store="containerd"))
        space = Space.of(look)
        assert (space.alone(of_base.key), space.is_unknown(of_base.key)) == (0, False)
        assert space.amount(look.build_cache) == Amount(15)

    def test_the_layers_of_an_image_that_the_engine_tells_nothing_of_are_unknown(self) -> None:
        alone = image("odd", size=30, shared_size=10)
        space = Space.of(replace(view(alone), engine=replace(ENGINE, store="containerd")))
        assert space.is_unknown(alone.key), "what it tells of shared bytes leaves the copies out"


class TestMatching:
    def test_a_shared_record_of_an_unknown_layer_counts_as_nothing_and_may_still_free_something(self) -> None:
        cached = record("pulled", size=33, shared=True)
        space = Space.of(view(base(), cached))
        assert space.alone(cached.key) == 0
        assert steps(plan(full(cached), cleanup(CACHE))) == ["remove build_cache pulled"]

    def test_what_was_pulled_is_known_by_its_size(self) -> None:
        cached = record("pulled", size=10, shared=True)
        assert Space.of(view(base(), cached)).holders["layer", "base"] == {base().key, cached.key}

    def test_of_two_records_of_one_second_each_gets_its_size(self) -> None:
        at = int(NOW)
        both = image("both", size=30, history=(Layer("a", 10, at), Layer("b", 20, at)))
        small = record("small", size=10, shared=True, created_at=at + 0.1)
        large = record("large", size=20, shared=True, created_at=at + 0.2)
        space = Space.of(view(both, large, small))
        assert space.holders["layer", "a"] == {both.key, small.key}
        assert space.holders["layer", "b"] == {both.key, large.key}

    @pytest.mark.parametrize("store", ["graphdriver", "containerd"])
    def test_of_two_layers_of_one_second_and_size_each_is_free_with_both_records(
        self, store: Literal["graphdriver", "containerd"]
    ) -> None:
        (first, one), (second, two) = built(1), built(2)
        layer = Layer("step-2", 20, int(one.created_at or 0))
        size = 20 if store == "graphdriver" else 39  # with the compressed copy
        records = (replace(one, size=size), replace(two, size=size, created_at=one.created_at))
        look = full(first, replace(second, history=(BASE, layer)), *records)
        look = replace(look, engine=replace(ENGINE, store=store))
        space = Space.of(look)
        piece = "layer" if store == "graphdriver" else "compressed"
        assert space.holders[piece, "step-1"] == {first.key, one.key, two.key}
        assert space.holders[piece, "step-2"] == {second.key, one.key, two.key}
        the_plan = made(look, IMAGES, CACHE)
        if store == "containerd":
            assert [(item.name, item.bytes) for item in the_plan.in_force] == [("app2:1", 20), ("step2", 20)], (
                "each has its own files, which are enough"
            )
            return
        assert sorted(item.name for item in the_plan.in_force) == ["app1:1", "app2:1", "step1", "step2"]
        assert [item.bytes for item in the_plan.in_force if item.bytes] == [10, 40], (
            "the base with both images, the rest with both records"
        )

    def test_two_records_of_one_size_and_unknown_time_have_both_layers_of_it(self) -> None:
        both = image("both", size=20, history=(Layer("a", 10, 1), Layer("b", 10, 2)))
        records = [record(f"pulled{number}", size=10, shared=True) for number in range(2)]
        space = Space.of(view(both, *records))
        assert space.holders["layer", "a"] == space.holders["layer", "b"] == {both.key, *(each.key for each in records)}


def test_a_size_that_is_not_known_is_told_as_unknown_and_sums_with_it_as_at_least() -> None:
    volumes = policy("volumes", "volume", select={"named": True, "name": ["*"]}, when={"unused_for": "1s"})
    unknown, known = volume("odd"), volume("known", size=2000)
    (row,) = [
        line for line in report.plan(plan(view(unknown), cleanup(volumes)), dry_run=True) if "  unknown  " in line
    ]
    assert row.split()[:4] == ["volume", "odd", "odd", "unknown"]
    for subjects, told in (
        ((unknown,), "of unknown size"),
        ((unknown, known), "at least 2kB"),
        ((known,), "about 2kB"),
    ):
        look = plan(view(*subjects), cleanup(volumes))
        outcomes = {item.key: Outcome.REMOVED for item in look.in_force}
        assert told in list(report.plan(look, dry_run=True))[-1]
        assert told in report.result(look, outcomes)


def test_an_image_that_was_never_looked_at_stays_under_pressure_whatever_the_grace_period() -> None:
    unknown, known = image("unknown", size=40), image("known", size=40)
    seen = {known.key: Observation(NOW - 24 * HOUR, NOW - 24 * HOUR)}
    look = plan(full(unknown, known), cleanup(IMAGES), known=seen)
    assert steps(look) == ["remove image known:1"]
    assert why(look, unknown) == "keep grace"


class TestTotal:
    """`total_above`: a size for what a policy selects, on whatever disk."""

    def cache(self, above: str, until: str, **further: Any) -> dict[str, Any]:
        return policy("size", "build_cache", pressure={"total_above": above, "total_until": until}, **further)

    def test_it_goes_until_the_low_mark_without_any_disk_and_protected_bytes_count(self) -> None:
        old, new = record("old", size=20, last_used_at=NOW - 72 * HOUR), record("new", size=20)
        used = record("used", size=30, in_use=True)
        look = view(old, new, used)
        assert steps(plan(look, cleanup(self.cache("70B", "50B")))) == []
        made_ = plan(look, cleanup(self.cache("69B", "50B")))
        assert steps(made_) == ["remove build_cache old"]
        assert item_of(made_, old).facts["pressure"] == {"total": 70, "total_above": 69, "total_until": 50}

    def test_what_another_kind_holds_as_well_counts_for_both(self) -> None:
        look = view(*EVERYTHING)
        made_ = plan(look, cleanup(self.cache("59B", "30B")))
        assert steps(made_) == ["remove build_cache step3", "remove build_cache step2"]
        assert [item.bytes for item in made_.in_force] == [0, 0], "the disk gets nothing back"

    def test_a_layer_of_several_images_counts_once(self) -> None:
        above = policy("size", "image", pressure={"total_above": "70B", "total_until": "0B"})
        assert steps(plan(view(*EVERYTHING), cleanup(above))) == [], "a base of 10 and three layers of 20"

    def test_a_record_of_an_unknown_layer_counts_whole(self) -> None:
        cached = record("pulled", size=33, shared=True)
        assert steps(plan(view(cached), cleanup(self.cache("32B", "32B")))) == ["remove build_cache pulled"]

    def test_the_limits_of_a_run_hold(self) -> None:
        look = view(record("a", size=20), record("b", size=20))
        assert len(steps(plan(look, cleanup(self.cache("10B", "0B"), max_items=1)))) == 1

    def test_a_run_lists_it_again_and_stops_at_the_low_mark(self) -> None:
        records = [record(f"r{number:02}", size=10) for number in range(12)]
        settings = cleanup(self.cache("100B", "0B"))
        items = plan(view(*records), settings).in_force
        totals = [120, 0]
        room = DiskRoom({}, settings, lambda _: None, lambda _: totals.pop(0))
        first = room.begin_step(items)
        assert len(first) == 10
        assert [room.enough(item) for item in first] == [""] * 10
        room.end_step(first)
        room.begin_step(items[10:])
        assert room.enough(items[10]) == "what size selects takes 0B now, its low mark"


HOSTS = st.lists(st.tuples(st.integers(0, 30), st.booleans(), st.booleans()), min_size=1, max_size=6)


@given(hosts=HOSTS, used=st.integers(81, 100), with_cache=st.booleans())
def test_the_low_mark_is_reached_where_it_can_be_with_no_removal_in_vain(
    hosts: list[tuple[int, bool, bool]], used: int, *, with_cache: bool
) -> None:
    subjects: list[Any] = [base()]
    for number, (size, has_image, has_record) in enumerate(hosts, start=1):
        made_image, cached = built(number, size)
        subjects += [made_image] * has_image + [replace(cached, shared=has_image)] * has_record
    policies = (IMAGES, CACHE) if with_cache else (IMAGES,)
    look = full(*subjects, used=used)
    the_plan = made(look, *policies)
    freed = sum(item.bytes for item in the_plan.in_force)
    space = Space.of(look)
    going = {item.subject for item in the_plan.in_force}
    assert freed == sum(size or 0 for piece, size in space.sizes.items() if space.holders[piece] <= going)
    may_go = {each.key for each in look.subjects() if each.kind == "image" or with_cache}
    most = sum(
        size or 0
        for piece, size in space.sizes.items()
        if space.holders[piece] <= may_go and piece != ("layer", "base")
    )
    assert used - freed <= 50 or freed >= most, "as low as it can be"
    for key in going:
        left = going - {key}
        without = sum(size or 0 for piece, size in space.sizes.items() if space.holders[piece] <= left)
        assert without < freed, "each removal frees something, alone or with the others"


@given(low=st.tuples(st.integers(0, 80), st.integers(0, 80)))
def test_a_lower_low_mark_never_takes_less(low: tuple[int, int]) -> None:
    freed = []
    for mark in sorted(low):
        marks = {"high": "80%", "low": f"{mark}%"}
        policies = policy("images", "image", pressure=marks), policy("cache", "build_cache", pressure=marks)
        freed.append(sum(item.bytes for item in made(full(*EVERYTHING), *policies).in_force))
    assert freed[0] >= freed[1]
