"""Records of the build cache, removed together."""

from collections.abc import Callable, Collection
from dataclasses import replace

import pytest

from tests.unit.cleanup.builders import NOW, UNUSED_CACHE, cleanup, plan, record, view
from watchd.cleanup.plan.plan import Item
from watchd.cleanup.run.cache_removal import CacheRemover
from watchd.engine.client import EngineClient
from watchd.engine.decode.fields import MalformedReply
from watchd.errors import EngineRefused
from watchd.model import CacheRecord

BASE = record("base")
MIDDLE = record("middle", of=("base",))
LEAF = record("leaf", of=("middle",))
OTHER = record("other")
ALL = (BASE, MIDDLE, LEAF, OTHER)


class BuildKit(EngineClient):
    """A build cache. `keeps` is what it refuses to remove, `further` what it removes unasked.

    `on_prune` is called when it is asked.
    """

    cheap = True  # to list

    def __init__(self, *records: CacheRecord) -> None:
        self.there = {each.id: each for each in records}
        self.keeps: set[str] = set()
        self.further: list[str] = []
        self.asked: list[list[str]] = []
        self.lists = 0
        self.on_prune: Callable[[], object] = lambda: None

    @property
    def lists_types(self) -> bool:
        return self.cheap

    def build_cache(self) -> list[CacheRecord]:
        self.lists += 1
        return list(self.there.values())

    def prune_build_cache(self, records: Collection[CacheRecord]) -> list[str]:
        asked = [each.id for each in records]
        self.asked.append(asked)
        self.on_prune()
        gone = [id_ for id_ in asked if id_ in self.there and id_ not in self.keeps]
        for id_ in gone:
            del self.there[id_]
        return gone + self.further


def items(*records: CacheRecord) -> list[Item]:
    return list(plan(view(*records), cleanup(UNUSED_CACHE)).in_force)


def remove(engine: BuildKit, *records: CacheRecord) -> dict[str, str]:
    going = items(*records)
    results = CacheRemover(engine, view(*records)).remove(going)
    return {item.name: str(outcome) for item, (outcome, _) in zip(going, results, strict=True)}


def test_one_request_removes_them_leaves_first_after_one_look() -> None:
    engine = BuildKit(*ALL)
    assert remove(engine, *ALL) == dict.fromkeys(("leaf", "middle", "base", "other"), "removed")
    assert (engine.asked, engine.lists) == ([["cache-leaf", "cache-middle", "cache-base", "cache-other"]], 1)


@pytest.mark.parametrize("now", [replace(LEAF, in_use=True), replace(LEAF, last_used_at=NOW)])
def test_what_a_build_has_used_since_the_plan_stays_with_all_that_it_is_made_of(now: CacheRecord) -> None:
    engine = BuildKit(BASE, MIDDLE, now, OTHER)
    expected = {"leaf": "drifted", "middle": "deferred", "base": "deferred", "other": "removed"}
    assert remove(engine, *ALL) == expected
    assert engine.asked == [["cache-other"]]


def test_what_is_gone_is_not_asked_for() -> None:
    engine = BuildKit(BASE)
    assert remove(engine, LEAF, MIDDLE, BASE) == {"leaf": "already_gone", "middle": "already_gone", "base": "removed"}
    assert engine.asked == [["cache-base"]]
    assert remove(BuildKit(), BASE) == {"base": "already_gone"}


def test_what_the_reply_does_not_have_is_looked_at_once_more() -> None:
    engine = BuildKit(*ALL)
    engine.keeps = {"cache-other"}
    assert remove(engine, *ALL)["other"] == "refused"
    assert engine.lists == 2


def test_what_a_build_uses_between_the_look_and_the_request_stays_with_all_that_it_is_made_of() -> None:
    engine = BuildKit(*ALL)

    def use() -> None:
        engine.there["cache-leaf"] = replace(LEAF, last_used_at=NOW)
        engine.keeps = {"cache-leaf", "cache-middle", "cache-base"}

    engine.on_prune = use
    expected = {"leaf": "drifted", "middle": "deferred", "base": "deferred", "other": "removed"}
    assert remove(engine, *ALL) == expected


def test_what_nobody_asked_for_fails_and_ends_the_build_cache() -> None:
    engine = BuildKit(*ALL)
    engine.further = ["precious"]
    remover = CacheRemover(engine, view(*ALL))
    results = remover.remove(items(*ALL))
    assert {outcome for outcome, _ in results} == {"failed"}
    assert "precious" in remover.stopped


def test_an_engine_for_which_a_list_is_dear_is_not_asked_before() -> None:
    engine = BuildKit(*ALL)
    engine.cheap = False
    assert set(remove(engine, *ALL).values()) == {"removed"}
    assert engine.lists == 0


def test_a_request_that_fails_is_for_the_caller() -> None:
    class Refusing(BuildKit):
        def prune_build_cache(self, records: Collection[CacheRecord]) -> list[str]:
            raise EngineRefused(f"not these {len(records)}", 403)

    with pytest.raises(EngineRefused):
        remove(Refusing(*ALL), *ALL)
    with pytest.raises(MalformedReply):
        EngineClient.prune_build_cache(BuildKit(), [replace(BASE, id="a|b")])
