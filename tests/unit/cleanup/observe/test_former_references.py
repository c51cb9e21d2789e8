"""References that images lost: what is remembered, and what it counts for."""

from dataclasses import replace
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.cleanup.builders import (
    DAY,
    ENGINE,
    HOUR,
    NOW,
    UNUSED,
    cleanup,
    image,
    item_of,
    plan,
    policy,
    seen_long_ago,
    steps,
    untagged,
    view,
    why,
)
from tests.unit.cleanup.plan.test_planner_properties import Case, cases
from watchd.cleanup import report
from watchd.cleanup.observe.observations import observe
from watchd.cleanup.observe.observer import Observer
from watchd.cleanup.observe.references import MOST_REFERENCES, look_at_references, with_former_references
from watchd.cleanup.plan.explain import explain
from watchd.cleanup.plan.plan import Outcome
from watchd.cleanup.plan.reasons import Reason
from watchd.cleanup.report.disk.usage import usage_report
from watchd.cleanup.run.planning import with_records
from watchd.config import Cleanup
from watchd.model import EngineView, FormerReference, Image, Key, Observation, References

PREVIOUS = policy("previous", "image", select={"class": ["dangling"]}, keep={"last": 1, "per": "repository"})
LONG = NOW - 3 * DAY


def former(name: str, *references: str, **changes: Any) -> Image:
    """Return an image that lost these references three days ago."""
    return untagged(name, former=tuple(FormerReference(reference, LONG) for reference in references), **changes)


def looked(*looks: EngineView, known: References | None = None) -> References:
    """Return what is remembered after looks a day apart, the last one now."""
    references: References = known or {}
    for number, look in enumerate(looks, start=1 - len(looks)):
        references = look_at_references(references, look, NOW + number * DAY)
    return references


def test_what_the_engine_states_as_pulled_is_pullable_and_stays_on_record() -> None:
    stated = view(image("app", digests=("app@sha256:d0",), pulled=True), engine=replace(ENGINE, store="containerd"))
    known = observe({}, stated, NOW)
    observer = Observer(None, writable=False, count_unwatched=False)
    assert with_records(stated, {}, observer).images[0].pullable
    listed = replace(stated, images=(replace(stated.images[0], pulled=False),))  # a list does not state it
    assert with_records(listed, known, observer).images[0].pullable


@pytest.mark.parametrize(
    ("store", "pulled", "digests", "pullable"),
    [
        ("graphdriver", False, ("app@sha256:d0",), True),
        ("graphdriver", False, (), False),
        ("containerd", True, ("app@sha256:d0",), True),
        ("containerd", False, ("app@sha256:d0",), None),
        ("containerd", False, (), False),
    ],
)
def test_digests_of_containerds_store_tell_no_origin(
    *, store: Literal["graphdriver", "containerd"], pulled: bool, digests: tuple[str, ...], pullable: bool | None
) -> None:
    look = view(image("app", digests=digests), engine=replace(ENGINE, store=store))
    known = {each.key: Observation(LONG, LONG, LONG, layers=(), pulled=pulled) for each in look.images}
    look = with_records(look, known, Observer(None, writable=False, count_unwatched=False))
    assert look.images[0].pullable is pullable
    for wanted in (True, False):
        goes = steps(plan(look, cleanup({**UNUSED, "select": {"pullable": wanted}}), known=known))
        assert bool(goes) == (pullable is wanted)


class TestMemory:
    def test_a_tag_that_moved_is_remembered_with_the_look_that_found_it_gone(self) -> None:
        old, new = image("a", tags=("web:latest",)), image("b", tags=("web:latest",))
        lost = untagged("a")
        assert looked(view(old), view(lost, new), view(lost, new)) == {
            old.id: {"web:latest": NOW - DAY},
            new.id: {"web:latest": None},
        }

    def test_the_last_tag_is_remembered_wherever_it_went(self) -> None:
        assert looked(view(image("a", tags=("web:1",))), view(untagged("a"))) == {image("a").id: {"web:1": NOW}}

    def test_a_tag_that_was_taken_off_beside_another_is_forgotten(self) -> None:
        one, other = image("a", tags=("build-7:1", "web:1")), image("a", tags=("web:1",))
        assert looked(view(one), view(other)) == {one.id: {"web:1": None}}

    def test_a_tag_that_moved_is_remembered_beside_those_that_stay(self) -> None:
        both, one, new = image("a", tags=("api:1", "web:1")), image("a", tags=("web:1",)), image("b", tags=("api:1",))
        references = looked(view(both), view(one, new), view(untagged("a"), new))
        assert references[both.id] == {"api:1": NOW - DAY, "web:1": NOW}
        (lost, _) = with_former_references(view(untagged("a"), new), references).images
        assert lost.former == (FormerReference("web:1", NOW), FormerReference("api:1", NOW - DAY))

    def test_current_references_replace_former_ones(self) -> None:
        again = image("a", tags=("web:rescue",))
        references = looked(view(image("a", tags=("web:1",))), view(untagged("a"), image("b", tags=("web:1",))))
        assert with_former_references(view(again), looked(view(again), known=references)).images == (again,)

    def test_a_digest_stands_for_an_image_that_has_no_tag(self) -> None:
        pulled = image("a", tags=("web:1",), digests=("web@sha256:d",))
        left = replace(pulled, tags=())
        references = looked(view(pulled), view(left, image("b", tags=("web:1",))), view(untagged("a")))
        assert references == {pulled.id: {"web:1": NOW - DAY, "web@sha256:d": NOW}}
        assert with_former_references(view(left), references).images[0].former == ()

    def test_images_that_are_gone_are_forgotten_and_a_list_that_failed_forgets_nothing(self) -> None:
        known = looked(view(image("a")))
        assert looked(view(), known=known) == {}
        assert looked(view(failures={"image": "500"}), known=known) == known
        assert looked(view(kinds=frozenset(("container",))), known=known) == known

    @given(st.lists(st.frozensets(st.sampled_from([f"r{n}:1" for n in range(60)]), max_size=50), max_size=5))
    def test_it_is_bounded_and_looking_again_changes_nothing(self, tags: list[frozenset[str]]) -> None:
        looks = [view(image("a", tags=tuple(sorted(each)))) for each in tags]
        references = looked(*looks)
        for of_image in references.values():
            lost = [reference for reference, until in of_image.items() if until is not None]
            assert len(lost) <= MOST_REFERENCES
            assert len(of_image) - len(lost) <= MOST_REFERENCES
        assert not looks or look_at_references(references, looks[-1], NOW + DAY) == references


def arrived(look: EngineView, *newest_first: Image) -> dict[Key, Observation]:
    known = seen_long_ago(look)
    for days, each in enumerate(newest_first, start=1):
        known[each.key] = replace(known[each.key], arrived_at=NOW - days * DAY)
    return known


class TestKeep:
    def test_each_service_keeps_the_last_of_its_former_images(self) -> None:
        services = {name: [former(f"{name}{n}", f"{name}:latest") for n in range(4)] for name in ("web", "api", "db")}
        everything = [each for of_service in services.values() for each in of_service]
        look = view(*everything, *(image(name, tags=(f"{name}:latest",)) for name in services))
        made = plan(look, cleanup(PREVIOUS), known=arrived(look, *everything))
        for name, (last, *older) in services.items():
            assert why(made, last) == "keep keep"
            assert item_of(made, last).facts["of"] == f"docker.io/library/{name}"
            assert [why(made, each) for each in older] == ["remove over_keep_last"] * 3

    def test_it_counts_in_every_repository_that_it_was_in(self) -> None:
        both, web = former("both", "web:1", "api:1"), former("web", "web:1")
        look = view(both, web)
        made = plan(look, cleanup(PREVIOUS), known=arrived(look, web, both))
        assert [why(made, each) for each in (web, both)] == ["keep keep", "keep keep"]

    def test_a_former_image_counts_with_those_that_have_the_repository(self) -> None:
        rules = policy("all", "image", keep={"last": 2, "per": "repository"})
        new, old, older = image("new", tags=("web:1",)), former("old", "web:1"), former("older", "web:1")
        look = view(new, old, older)
        made = plan(look, cleanup(rules), known=arrived(look, new, old, older))
        assert [why(made, each) for each in look.images] == ["keep keep", "keep keep", "remove over_keep_last"]

    def test_by_version_the_former_tag_ranks_it(self) -> None:
        rules = policy("versions", "image", keep={"last": 2, "per": "repository", "by": "version"})
        new, old, low = image("new", tags=("web:2.0",)), former("old", "web:2.0"), former("low", "web:1.0")
        unknown = untagged("unknown")
        look = view(new, old, low, unknown)
        made = plan(look, cleanup(rules), known=arrived(look, new, old, low))
        assert [why(made, each) for each in look.images] == [
            *("keep keep", "keep keep", "remove over_keep_last"),
            "keep keep",
        ]

    @pytest.mark.parametrize(("days", "decision"), [(7 - 1e-5, "keep keep"), (7, "remove over_keep_last")])
    def test_an_image_of_an_unknown_repository_is_alone_for_seven_watched_days(
        self, days: float, decision: str
    ) -> None:
        one, other = untagged("one"), untagged("other")
        look = view(one, other)
        known: dict[Key, Observation] = seen_long_ago(look)
        known[one.key] = replace(known[one.key], dangling_since=NOW - days * DAY)
        known[other.key] = replace(known[other.key], arrived_at=NOW - DAY)
        made = plan(look, cleanup(PREVIOUS), known=known)
        assert why(made, one) == decision
        assert ("repository_unknown_for" in item_of(made, one).facts) == (days < 7)
        assert why(made, other) == "keep keep", "it is the last one of those that count together"

    def test_per_host_an_unknown_repository_is_nothing_special(self) -> None:
        rules = policy("host", "image", keep={"last": 1, "per": "host"})
        look = view(untagged("one"), untagged("other"))
        known = {each.key: Observation(NOW - HOUR, NOW - HOUR, dangling_since=NOW - HOUR) for each in look.images}
        assert sorted(why(plan(look, cleanup(rules), known=known), each) for each in look.images) == [
            "keep keep",
            "remove over_keep_last",
        ]


@pytest.mark.parametrize(
    ("references", "decision"),
    [
        (("web:1",), "remove unused_too_long"),
        (("web:1", "web@sha256:d"), "remove unused_too_long"),
        (("web:1", "api:1"), "keep not_selected"),
        ((), "keep not_selected"),
    ],
)
def test_select_repository_goes_by_all_former_references(references: tuple[str, ...], decision: str) -> None:
    of_web = {**UNUSED, "select": {"repository": ["web"]}}
    lost = former("a", *references)
    assert why(plan(view(lost), cleanup(of_web)), lost) == decision


def test_tags_references_and_protections_go_by_current_ones() -> None:
    lost = former("a", "web:1")
    for select in ({"tag": ["1"]}, {"reference": ["web:1"]}):
        assert why(plan(view(lost), cleanup({**UNUSED, "select": select})), lost) == "keep not_selected"
    protected = cleanup(UNUSED, protect={"images": ["web"]})
    assert why(plan(view(lost), protected), lost) == "remove unused_too_long"


@given(cases())
@settings(deadline=None, max_examples=20)
def test_what_protections_keep_stays_whatever_is_remembered(case: Case) -> None:
    bare = replace(case.host, images=tuple(replace(each, former=()) for each in case.host.images))
    lasting = {Reason.INCOMPLETE_VIEW, Reason.SELF, Reason.PROTECTED, Reason.IN_USE, Reason.COMPOSE_ACTIVE}
    before = {item.subject: item.reason for item in replace(case, host=bare).plan().items if item.reason in lasting}
    after = {item.subject: item.reason for item in case.plan().items if item.action == "keep"}
    assert before == {key: reason for key, reason in after.items() if reason in lasting}


class TestDisplay:
    LOST = former("a", "web:latest", "web@sha256:d", size=5_000_000)
    CALLED = "<none>, was web:latest and 1 more"
    SETTINGS: Cleanup = cleanup(UNUSED)

    def test_a_plan_an_outcome_and_an_explanation_say_what_it_was(self) -> None:
        look = view(self.LOST)
        made = plan(look, self.SETTINGS)
        row = list(report.plan(made, dry_run=True))[1]
        assert f"{self.CALLED} until 3d ago" in row
        (item,) = made.items
        assert self.CALLED in report.outcome(item, Outcome.REMOVED, "")
        told = explain(self.LOST, made, look, self.SETTINGS, seen_long_ago(look))
        assert next(iter(report.explanation(told))).startswith(f"image {self.CALLED} until 3d ago (")
        assert made.as_json()["items"][0]["facts"]["former_references"] == [
            {"reference": "web:latest", "until": "2027-01-12T08:00:00Z"},
            {"reference": "web@sha256:d", "until": "2027-01-12T08:00:00Z"},
        ]

    def test_disk_usage_has_it_too(self) -> None:
        usage = usage_report(view(self.LOST), None, plan(view(self.LOST), self.SETTINGS)).as_json()
        assert usage["largest"][0]["former_references"][0]["reference"] == "web:latest"

    def test_what_has_a_reference_is_called_by_it(self) -> None:
        (item,) = plan(view(image("app")), self.SETTINGS).items
        assert report.full_name(item.name, item.facts, NOW) == "app:1"
