"""The order by cost: what it is expected to cost to get an object again, for each byte that it frees."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cleanup.builders import (
    DAY,
    HOUR,
    NOW,
    cleanup,
    container,
    decisions,
    disk,
    disks,
    hex_id,
    image,
    plan,
    policy,
    record,
    running,
    steps,
    view,
    volume,
)
from tests.unit.cleanup.plan.test_planner_properties import Case, cases
from tests.unit.store.fast_store import empty, fast_store
from watchd.cleanup.observe.uses import image_uses
from watchd.cleanup.plan.cost import expected_rate, ranks_by_cost
from watchd.cleanup.plan.host import Host
from watchd.model import EngineView, Image, Key, Layer, Observation, Subject, Uses
from watchd.model.history.timeline import Appearance, Came, Life, Use, Used
from watchd.store import Store

PRESSURE = {"high": "80%", "low": "50%", "order": "cost"}
IMAGES = policy("images", "image", pressure=PRESSURE)
CACHE = policy("cache", "build_cache", pressure=PRESSURE)


def pulled(name: str, **further: Any) -> Image:
    """Return an image that a registry has, of 20 bytes."""
    return image(name, **{"digests": (f"{name}@sha256:{name}",), "size": 20, **further})


def seen(subject: Subject, *, count: int, days: float, idle: float) -> dict[Key, Observation]:
    """Return what is known of an image that was used so many times in so many days, then not for a while."""
    first, last = NOW - idle - days * DAY, NOW - idle
    return {subject.key: Observation(first, first, last_used=last, uses=Uses(count, first))}


def first_of(look: EngineView, known: dict[Key, Observation], *policies: Any) -> str:
    """Return what goes first."""
    return steps(plan(look, cleanup(*policies or (IMAGES,)), known=known))[0]


def full(*objects: Subject, used: int = 81) -> EngineView:
    return view(*objects, disks=disks(disk(used)))


class TestFrequency:
    def test_what_was_used_each_week_outlives_what_was_used_often_and_then_no_more(self) -> None:
        weekly, nightly = pulled("weekly"), pulled("nightly")
        known = seen(weekly, count=9, days=56, idle=3 * DAY) | seen(nightly, count=40, days=1, idle=DAY)
        assert first_of(full(weekly, nightly), known) == "remove image nightly:1"

    def test_of_two_used_as_lately_the_one_used_more_often_stays(self) -> None:
        often, rarely = pulled("often"), pulled("rarely")
        known = seen(often, count=30, days=10, idle=HOUR) | seen(rarely, count=2, days=10, idle=HOUR)
        assert first_of(full(often, rarely), known) == "remove image rarely:1"

    def test_without_a_timeline_the_least_recently_used_goes_first(self) -> None:
        new, old = pulled("new"), pulled("old")
        known = {
            each.key: Observation(NOW - 9 * DAY, NOW - 9 * DAY, last_used=NOW - idle)
            for each, idle in ((new, HOUR), (old, DAY))
        }
        assert first_of(full(new, old), known) == "remove image old:1"

    def test_records_of_the_build_cache_have_their_own_count(self) -> None:
        often = record("often", size=20, created_at=NOW - 9 * DAY, usage_count=50)
        once = record("once", size=20, created_at=NOW - 9 * DAY, usage_count=1)
        assert first_of(full(often, once), {}, CACHE) == "remove build_cache once"

    @given(st.integers(1, 10**6), st.floats(0, 10**9), st.floats(0, 10**9))
    def test_it_is_never_less_than_nothing_and_idle_time_makes_it_less(
        self, count: int, used_for: float, idle: float
    ) -> None:
        first = NOW - used_for - idle
        rate = expected_rate(count, first, NOW - idle, NOW)
        assert 0 <= expected_rate(count, first, NOW - idle, NOW + HOUR) <= rate < math.inf

    @given(st.integers(1, 1000), st.floats(0, 10**7))
    def test_each_further_use_until_now_makes_it_more(self, count: int, known: float) -> None:
        assert expected_rate(count, NOW - known, NOW, NOW) < expected_rate(count + 1, NOW - known, NOW, NOW)


class TestBytes:
    def test_a_layer_that_others_need_too_costs_more_than_the_one_on_top_of_it(self) -> None:
        base, top = Layer("base", 30, 0), Layer("top", 10, 0)
        one, two = (pulled(name, size=40, history=(base, replace(top, id=name))) for name in ("one", "two"))
        single = pulled("single", size=40, history=(Layer("single", 40, 0),))
        known = seen(one, count=3, days=3, idle=HOUR) | seen(two, count=4, days=3, idle=HOUR)
        known |= seen(single, count=5, days=3, idle=HOUR)
        ranks = ranks_of(full(one, two, single), known)
        assert ranks[one.key] < ranks[single.key] < ranks[two.key], "the base goes with the last that has it"

    def test_what_runs_keeps_the_layers_that_it_shares_out_of_the_sum(self) -> None:
        base = Layer("base", 30, 0)
        used, idle = pulled("used", history=(base,)), pulled("idle", history=(base, Layer("idle", 10, 0)))
        known = seen(used, count=9, days=3, idle=0) | seen(idle, count=2, days=3, idle=DAY)
        look = full(used, idle, running("r", image="used:1", image_id=used.id))
        assert ranks_of(look, known)[idle.key][1] == pytest.approx(expected_rate(2, NOW - 4 * DAY, NOW - DAY, NOW))


class TestWhatNobodyCouldFetch:
    def test_what_was_built_or_loaded_here_goes_after_all_that_a_registry_has(self) -> None:
        built, loved = image("built", size=20), pulled("loved")
        known = seen(built, count=1, days=0, idle=90 * DAY) | seen(loved, count=500, days=90, idle=HOUR)
        assert first_of(full(built, loved), known) == "remove image loved:1"

    def test_an_image_of_unknown_origin_goes_with_them(self) -> None:
        unknown, loved = pulled("unknown", origin_unknown=True), pulled("loved")
        known = seen(unknown, count=1, days=0, idle=90 * DAY) | seen(loved, count=500, days=90, idle=HOUR)
        assert first_of(full(unknown, loved), known) == "remove image loved:1"

    def test_containers_and_volumes_go_last_the_least_recently_used_first(self) -> None:
        old = container("old", finished_at=NOW - 9 * DAY, size_rw=20)
        new = container("new", finished_at=NOW - DAY, size_rw=20)
        data = volume("data", size=20)
        loved = pulled("loved")
        known = seen(loved, count=500, days=90, idle=HOUR)
        known |= {("volume", data.identity): Observation(NOW - 9 * DAY, NOW - 9 * DAY, last_used=NOW - 5 * DAY)}
        of_containers = policy("containers", "container", pressure=PRESSURE)
        of_volumes = policy("volumes", "volume", select={"name": ["*"], "named": True}, pressure=PRESSURE)
        made = plan(full(old, new, data, loved, used=100), cleanup(IMAGES, of_containers, of_volumes), known=known)
        assert steps(made) == ["remove image loved:1", "remove container old", "remove volume data"]
        assert decisions(made)["new"] == "keep below_watermark"


@given(cases())
def test_the_order_is_total_and_the_same_however_objects_are_listed(case: Case) -> None:
    host = case.host
    turned = replace(
        host,
        containers=host.containers[::-1],
        images=host.images[::-1],
        volumes=host.volumes[::-1],
        build_cache=host.build_cache[::-1],
    )
    ranks = ranks_of(host, dict(case.known))
    assert ranks == ranks_of(turned, dict(case.known))
    assert not any(math.isnan(number) for rank in ranks.values() for number in rank)
    fetchable = [rank for key, rank in ranks.items() if key[0] == "build_cache" or key in registry_has(host.images)]
    others = [rank for key, rank in ranks.items() if key[0] != "build_cache" and key not in registry_has(host.images)]
    assert not fetchable or not others or max(fetchable) < min(others)


def registry_has(images: Iterable[Image]) -> set[Key]:
    return {each.key for each in images if each.pullable}


def ranks_of(look: EngineView, known: dict[Key, Observation]) -> dict[Key, Any]:
    host = Host.index(look, cleanup(), known, NOW)
    return ranks_by_cost([each for each in host.subjects if each.kind != "network"], host)


def life(subject: Key, arrived: float, layers: tuple[str, ...], *again: float) -> Life:
    text = f'{{"layers":[{",".join(f"{chr(34)}{layer}{chr(34)}" for layer in layers)}]}}'
    later = [Appearance(at, text, how="pull") for at in again]
    return Life(subject, arrived, "pull", (Appearance(arrived, text), *later))


class TestUses:
    APP: Key = ("image", "sha256:app")
    BASE: Key = ("image", "sha256:base")

    def test_runs_arrivals_and_builds_on_it_count_and_those_close_together_once(self) -> None:
        runs = {self.BASE: [(NOW + 60, NOW + 2 * HOUR), (NOW + DAY, NOW + DAY + 9)]}
        lives = [
            life(self.BASE, NOW, ("1", "2")),
            life(self.APP, NOW + 3 * DAY, ("1", "2", "3"), NOW + 4 * DAY, NOW + 4 * DAY + 599),
        ]
        assert image_uses(runs, lives) == {self.BASE: Uses(4, NOW), self.APP: Uses(2, NOW + 3 * DAY)}

    def test_earlier_lives_count_and_what_came_before_it_was_not_built_on_it(self) -> None:
        again = [life(self.BASE, NOW + days * DAY, ("1",)) for days in (1, 2)]
        lives = [life(self.APP, NOW, ("1", "2")), *again]
        assert image_uses({}, lives) == {self.APP: Uses(1, NOW), self.BASE: Uses(2, NOW + DAY)}


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with fast_store() as store:
        yield store


@given(
    runs=st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.integers(0, 9000), st.none() | st.integers(0, 3000)),
        max_size=12,
        unique_by=lambda run: run[2],
    )
)
def test_the_store_puts_runs_of_an_image_together(store: Store, runs: list[tuple[str, str, int, int | None]]) -> None:
    empty(store)
    expected: dict[Key, list[tuple[float, float]]] = {}
    for image_, label, first, seconds in sorted(runs, key=lambda run: run[2]):
        key: Key = ("container", hex_id(f"{image_} {label} {first}"))
        end = 10_000 if seconds is None else first + seconds
        came = Came(key, first, "create", f'{{"image_id":"{image_}","labels":{{"of":"{label}"}}}}')
        store.record_steps("engine", [came, Used(key, Use(first, None if seconds is None else end))])
        spans = expected.setdefault(("image", image_), [])
        if spans and first - spans[-1][1] <= 600:
            spans[-1] = (spans[-1][0], max(spans[-1][1], end))
        else:
            spans.append((first, end))
    assert store.image_runs("engine", since=0, now=10_000, pause=600) == expected
    assert store.image_runs("another", since=0, now=10_000, pause=600) == {}
    assert store.image_runs("engine", since=20_000, now=10_000, pause=600) == {}
