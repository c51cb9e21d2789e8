"""Which bytes the records of the build cache hold with images: what was built, bases, and stages without an image.

The sizes are those of Docker 28.5.2, of builds of layers that do not compress.
"""

from dataclasses import replace
from typing import Any, Literal

import pytest

from tests.unit.cleanup.builders import ENGINE, NOW, UNUSED, UNUSED_CACHE, cleanup, image, plan, record, view
from watchd.cleanup.plan.space.space import Space
from watchd.model import Amount, CacheRecord, EngineView, Image, Layer

Store = Literal["graphdriver", "containerd"]
STORES = pytest.mark.parametrize("store", ["graphdriver", "containerd"])

MEBIBYTE = 1024 * 1024
OLD = int(NOW) - 10**6
LOW, HIGH = Layer("low", 20 * MEBIBYTE, OLD), Layer("high", 50 * MEBIBYTE, OLD + 1)
BASE = (LOW, HIGH)
COPIES = {"low": 9 * MEBIBYTE, "high": 31 * MEBIBYTE}
BUILT_AT = int(NOW) - 1000
STEP = Layer("step", 4 * MEBIBYTE, BUILT_AT)


def look(store: Store, *subjects: Image | CacheRecord) -> EngineView:
    return replace(view(*subjects), engine=replace(ENGINE, store=store))


def having(store: Store, name: str, *layers: Layer, **further: Any) -> Image:
    copies = sum(COPIES.get(layer.id, layer.size) for layer in layers) + 1800 if store == "containerd" else 0
    return image(name, size=sum(layer.size for layer in layers) + copies, history=layers, **further)


def bases(store: Store, description: str | None = None, *, names: tuple[str, ...] = ("low", "high")) -> Any:
    """Return the records that BuildKit makes of an image, to begin a build with: one lies on the other."""
    ordinary = "from local" if store == "graphdriver" else ""
    further = {"description": ordinary if description is None else description, "shared": True}
    sizes = [0 if store == "graphdriver" else COPIES.get(name, 32) for name in names]
    return [
        record(f"of-{name}", size=size, of=[f"of-{names[place - 1]}"] if place else [], **further)
        for place, (name, size) in enumerate(zip(names, sizes, strict=True))
    ]


def step(store: Store, name: str = "step", *, of: str = "of-high", at: int = BUILT_AT, **further: Any) -> CacheRecord:
    size = STEP.size if store == "graphdriver" else 2 * STEP.size + 901
    return record(name, of=[of], created_at=at + 0.5, **{"size": size, "shared": True, **further})


def freed(of: EngineView, *policies: Any) -> Amount:
    the_plan = plan(of, cleanup(*policies))
    return Amount(sum(item.bytes or 0 for item in the_plan.in_force), any(item.at_least for item in the_plan.in_force))


class TestBases:
    @STORES
    def test_a_base_of_several_layers_frees_nothing_while_the_cache_has_it(self, store: Store) -> None:
        base, app = having(store, "base", *BASE), having(store, "app", *BASE, STEP)
        space = Space.of(look(store, base, app, *bases(store), step(store)))
        assert space.alone(base.key) == 0
        assert space.holders["layer", "high"] == {base.key, app.key, ("build_cache", "cache-of-high")}
        assert space.holders["layer", "low"] == {base.key, app.key, ("build_cache", "cache-of-low")}
        assert space.amount(look(store, *bases(store)).build_cache, beside=[base]) == Amount(0), "known to free nothing"

    @STORES
    def test_it_is_known_without_what_was_built_on_it_if_one_image_alone_fits(self, store: Store) -> None:
        base, other = having(store, "base", *BASE), having(store, "other", STEP)
        space = Space.of(look(store, base, other, *bases(store)))
        assert space.holders["layer", "high"] == {base.key, ("build_cache", "cache-of-high")}
        assert space.holders["layer", "step"] == {other.key}

    def test_of_several_images_of_as_many_layers_none_is_taken_for_the_base(self) -> None:
        others = [having("graphdriver", f"base{number}", replace(LOW, id=f"low{number}")) for number in range(2)]
        space = Space.of(look("graphdriver", *others, *bases("graphdriver", names=("low",))))
        assert [space.alone(each.key) for each in others] == [LOW.size] * 2

    @STORES
    def test_where_an_empty_layer_lies_between_a_record_has_all_that_may_be_its_own(self, store: Store) -> None:
        base, app = having(store, "base", *BASE), having(store, "app", *BASE, STEP)
        records = bases(store, names=("low", "empty", "high"))
        space = Space.of(look(store, base, app, *records, step(store)))
        assert space.holders["layer", "low"] >= {records[0].key, records[1].key}
        assert space.holders["layer", "high"] >= {records[1].key, records[2].key}
        assert records[2].key not in space.holders["layer", "low"]

    def test_a_build_that_began_with_a_step_without_files_tells_the_base_as_well(self) -> None:
        base, app = having("graphdriver", "base", *BASE), having("graphdriver", "app", *BASE, STEP)
        workdir = record("workdir", of=["of-high"], size=0, shared=True)
        others = [having("graphdriver", "other", replace(LOW, id="x"), replace(HIGH, id="y"))]
        records = (*bases("graphdriver"), workdir, step("graphdriver", of="workdir"))
        space = Space.of(look("graphdriver", base, app, *others, *records))
        assert ("build_cache", "cache-of-high") in space.holders["layer", "high"]

    @pytest.mark.parametrize(
        ("store", "description", "unknown"),
        [
            ("graphdriver", "from local", True),
            ("graphdriver", "pulled from base:1", True),
            ("containerd", "", True),
            ("containerd", "pulled from base:1", False),
        ],
    )
    def test_one_whose_image_is_gone_has_files_that_only_a_pull_of_buildkit_counts(
        self, store: Store, description: str, *, unknown: bool
    ) -> None:
        (low, high) = (replace(each, shared=False) for each in bases(store, description))
        space = Space.of(look(store, low, high))
        assert space.amount([low, high]) == Amount(low.size + high.size, unknown)
        assert Space.of(look(store, low, high)).only([low, high]).total() == low.size + high.size

    def test_what_buildkit_pulled_counts_the_files_of_the_image(self) -> None:
        app = having("containerd", "app", *BASE, STEP)
        low, high = bases("containerd", "pulled from base:1")
        pulled = (replace(low, size=low.size + LOW.size), replace(high, size=high.size + HIGH.size))
        space = Space.of(look("containerd", app, *pulled, step("containerd")))
        assert [space.sizes["compressed", layer.id] for layer in BASE] == [COPIES["low"], COPIES["high"]]
        assert space.amount(pulled, beside=[app]) == Amount(0)


class TestStages:
    """Records that no image has a layer of: containerd's store calls them shared if an image has what they lie on."""

    @STORES
    def test_all_that_a_stage_without_an_image_has_is_its_own(self, store: Store) -> None:
        base = having(store, "base", *BASE)
        shared = store == "containerd"
        stages = [record(f"stage{number}", of=["of-high"], size=7 * MEBIBYTE, shared=shared) for number in range(3)]
        of = look(store, base, *bases(store), *stages)
        assert freed(of, UNUSED_CACHE) == Amount(21 * MEBIBYTE)

    def test_one_of_the_second_of_a_layer_that_is_too_small_for_it_is_not_taken_for_it(self) -> None:
        app = having("containerd", "app", *BASE, STEP)
        stage = step("containerd", "stage", size=3 * STEP.size)
        space = Space.of(look("containerd", app, *bases("containerd"), step("containerd"), stage))
        assert space.amount([stage]) == Amount(3 * STEP.size)
        assert ("build_cache", "cache-step") in space.holders["compressed", "step"]

    def test_a_stage_as_large_as_a_layer_of_its_second_is_not_taken_for_it(self) -> None:
        app = having("containerd", "app", *BASE, STEP)
        stage, cached = step("containerd", "stage", size=STEP.size), step("containerd", shared=False)
        space = Space.of(look("containerd", app, *bases("containerd"), stage, cached))
        assert space.amount([stage]) == space.amount([cached], beside=[app]) == Amount(STEP.size)

    def test_one_that_may_be_of_a_layer_of_another_time_has_at_least_its_files(self) -> None:
        app = having("containerd", "app", *BASE, replace(STEP, created_at=0))  # as with SOURCE_DATE_EPOCH
        cached = step("containerd")
        of = look("containerd", app, *bases("containerd"), cached)
        assert Space.of(of).amount([cached]) == Amount(STEP.size, at_least=True)
        assert Space.of(of).only([cached]).total() == cached.size, "what a policy for all of the cache reckons with"

    def test_one_beside_an_image_of_unknown_layers_has_at_least_half(self) -> None:
        cached = step("containerd")
        space = Space.of(look("containerd", image("odd", size=100), cached))
        assert space.is_unknown(cached.key)
        assert STEP.size * 0.99 < space.amount([cached]).bytes <= STEP.size

    @STORES
    def test_an_image_and_all_of_the_cache_free_every_byte_once(self, store: Store) -> None:
        base, app = having(store, "base", *BASE), having(store, "app", *BASE, STEP)
        stage = record("stage", of=["of-high"], size=7 * MEBIBYTE, shared=store == "containerd")
        of = look(store, base, app, *bases(store), step(store), stage)
        files = LOW.size + HIGH.size + STEP.size + stage.size
        copies = sum(COPIES.values()) + 2 * STEP.size + 901 if store == "containerd" else 0
        assert freed(of, UNUSED, UNUSED_CACHE) == Amount(files + copies)
