"""On an engine that takes untagged parents along whatever it is told: a child only goes where they are to go, too."""

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.cleanup.builders import (
    DANGLING,
    UNUSED,
    cleanup,
    disk,
    disks,
    image,
    item_of,
    plan,
    policy,
    running,
    steps,
    untagged,
    view,
    why,
)
from watchd.model import EngineView

ALONG = replace(view().engine, honors_noprune=False)
TAGGED = policy("tagged", "image", when={"unused_for": "0s"}, select={"class": ["tagged"]})

BASE = untagged("base")
MIDDLE = untagged("middle", parent="base")
TOP = image("top", parent="middle")


def host(*objects: Any, **further: Any) -> EngineView:
    return view(*objects, engine=ALONG, **further)


def test_all_go_one_after_the_other() -> None:
    made = plan(host(BASE, MIDDLE, TOP), cleanup(UNUSED))
    assert [item.id for item in made.in_force] == [TOP.id, MIDDLE.id, BASE.id]


def test_a_child_stays_for_a_parent_that_no_policy_removes() -> None:
    made = plan(host(BASE, MIDDLE, TOP), cleanup(TAGGED))
    assert why(made, TOP) == "keep parent_stays"
    assert item_of(made, TOP).facts["takes_along"] == MIDDLE.id
    assert item_of(made, TOP).facts["which_stays"] == "not_selected"
    assert why(plan(view(BASE, MIDDLE, TOP), cleanup(TAGGED)), TOP) == "remove unused_too_long", "elsewhere it goes"


@pytest.mark.parametrize("depth", [0, 1])
def test_a_child_stays_for_any_parent_above_it_that_is_protected(depth: int) -> None:
    parents = [MIDDLE, BASE]
    parents[depth] = replace(parents[depth], labels={"watchd.keep": "true"})
    made = plan(host(*parents, TOP), cleanup(UNUSED, DANGLING))
    assert why(made, TOP) == "keep parent_stays"
    assert item_of(made, TOP).facts["which_stays"] == "protected"
    assert not made.in_force


def test_a_parent_with_a_tag_or_another_child_does_not_go_along() -> None:
    tagged = replace(MIDDLE, tags=("middle:1",), labels={"watchd.keep": "true"})
    assert why(plan(host(BASE, tagged, TOP), cleanup(UNUSED)), TOP) == "remove unused_too_long"
    sibling = image("sibling", parent="middle")
    made = plan(host(BASE, MIDDLE, TOP, sibling, running("web", of="sibling")), cleanup(TAGGED))
    assert why(made, TOP) == "remove unused_too_long"
    assert why(made, sibling) == "keep in_use"


def test_the_last_of_several_children_takes_it_along() -> None:
    sibling = image("sibling", parent="middle")
    made = plan(host(BASE, MIDDLE, TOP, sibling), cleanup(TAGGED))
    assert sorted((why(made, TOP), why(made, sibling))) == ["keep parent_stays", "remove unused_too_long"]


def test_what_is_only_reported_of_a_parent_does_not_let_a_child_go_in_force() -> None:
    made = plan(host(BASE, MIDDLE, TOP), cleanup(TAGGED, {**DANGLING, "mode": "report"}))
    assert why(made, TOP) == "keep parent_stays"
    reported = plan(host(BASE, MIDDLE, TOP), cleanup(TAGGED, DANGLING, mode="report"))
    assert item_of(reported, TOP).action == "remove"


@pytest.mark.parametrize(("ceiling", "going"), [(2, 0), (3, 3)])
def test_the_ceiling_of_a_run_has_room_for_all_of_them_or_for_none(ceiling: int, going: int) -> None:
    made = plan(host(BASE, MIDDLE, TOP), cleanup(UNUSED, max_items=ceiling))
    assert len(made.in_force) == going
    assert why(made, TOP) == ("remove unused_too_long" if going else "keep budget_spent")


def test_under_pressure_too() -> None:
    marks = {"high": "85%", "low": "10%"}
    of_tagged = policy("full", "image", pressure=marks, select={"class": ["tagged"]})
    of_all = policy("full", "image", pressure=marks, select={"class": ["tagged", "dangling"]})
    full = {"disks": disks(disk(9000, of=10_000))}
    assert why(plan(host(BASE, MIDDLE, TOP, **full), cleanup(of_tagged)), TOP) == "keep parent_stays"
    made = plan(host(BASE, MIDDLE, TOP, **full), cleanup(of_all))
    assert steps(made) == ["remove image top:1", "remove image <none>", "remove image <none>"]
    assert {item.reason for item in made.in_force} == {"pressure"}
