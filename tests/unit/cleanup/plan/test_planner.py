"""Order, JSON form and totals of plans.

Conditions are tested in test_conditions, protections in test_protections.
"""

import json
from dataclasses import replace

import pytest

from tests.unit.cleanup.builders import (
    CREATED,
    DANGLING,
    DAY,
    EXITED,
    NOW,
    UNUSED,
    cleanup,
    container,
    hex_id,
    image,
    image_id,
    item_of,
    plan,
    policy,
    running,
    seen_long_ago,
    steps,
    untagged,
    view,
    volume,
    why,
)
from watchd.cleanup.plan import planner
from watchd.cleanup.plan.plan import Outcome
from watchd.model import Container, Image

REPORTED = {**EXITED, "name": "reported", "mode": "report"}


def test_a_plan_can_wait_between_all_its_objects() -> None:
    look = view(*(image(str(number)) for number in range(20)))
    waited: list[None] = []
    planner.plan(look, cleanup(UNUSED), seen_long_ago(look), NOW, between=lambda: waited.append(None))
    assert len(waited) >= 20


class TestOrder:
    def test_what_goes_comes_first_containers_before_images_and_what_stays_comes_last(self) -> None:
        look = view(image("b"), running("web", of="c"), image("c"), container("job", of="b"), image("a"))
        made = plan(look, cleanup(EXITED, UNUSED))
        assert [f"{item.action} {item.name}" for item in made.items] == [
            "remove job",
            "remove a:1",
            "remove b:1",
            "keep web",
            "keep c:1",
        ]

    def test_of_containers_the_one_that_ended_first_goes_first(self) -> None:
        jobs = [container(name, finished_at=NOW - days * DAY) for name, days in (("b", 2), ("a", 1), ("c", 3))]
        assert steps(plan(view(*jobs), cleanup(EXITED))) == [
            "remove container c",
            "remove container b",
            "remove container a",
        ]

    def test_a_chain_goes_from_its_last_child_down_however_it_is_listed(self) -> None:
        """Only that way does each become dangling in its turn."""
        base, middle, top = untagged("1"), untagged("2", parent="1"), untagged("0", parent="2")
        for order in ((base, middle, top), (top, base, middle), (middle, top, base)):
            made = plan(view(*order), cleanup(DANGLING))
            assert [item.id for item in made.in_force] == [top.id, middle.id, base.id]

    def test_a_chain_ends_at_the_first_image_that_stays(self) -> None:
        base, middle, top = untagged("base"), untagged("middle", parent="base"), untagged("top", parent="middle")
        kept = replace(middle, labels={"watchd.keep": "true"})
        made = plan(view(base, kept, top), cleanup(DANGLING))
        assert [why(made, each) for each in (top, kept, base)] == [
            "remove dangling_too_long",
            "keep protected",
            "keep has_children",
        ]

    def test_one_of_two_children_that_stays_is_enough(self) -> None:
        base, gone, stays = untagged("base"), untagged("gone", parent="base"), image("stays", parent="base")
        made = plan(view(base, gone, stays), cleanup(DANGLING))
        assert item_of(made, base).facts["children"] == [stays.id]
        assert why(made, gone) == "remove dangling_too_long"

    def test_a_circle_of_parents_ends_nothing(self) -> None:
        one, other = untagged("one", parent="other"), untagged("other", parent="one")
        made = plan(view(one, other, untagged("alone", parent="alone")), cleanup(DANGLING))
        assert [item.action for item in made.items] == ["keep"] * 3


class TestReferences:
    def test_surplus_tags_are_taken_off_first_and_the_first_of_all_stays_longest(self) -> None:
        made = plan(view(image("app", tags=("a:1", "b:1", "r:5/c:1"))), cleanup(UNUSED))
        assert steps(made) == ["untag image b:1", "untag image r:5/c:1", "remove image a:1"]
        assert {item.id for item in made.items} == {image_id("app")}

    @pytest.mark.parametrize(
        ("tags", "digests", "expected"),
        [
            ((), (), ["remove image <none>"]),
            ((), ("a@sha256:1",), ["remove image a@sha256:1"]),
            ((), ("a@sha256:1", "b@sha256:1"), ["untag image b@sha256:1", "remove image a@sha256:1"]),
            (("a:1",), ("a@sha256:1",), ["remove image a:1"]),
            (("b:1",), ("a@sha256:1", "b@sha256:1"), ["untag image a@sha256:1", "remove image b:1"]),
            (("a:1", "a:2"), ("a@sha256:1",), ["untag image a:2", "remove image a:1"]),
            (("a:1", "b:1"), ("b@sha256:1",), ["untag image b:1", "remove image a:1"]),
        ],
    )
    def test_digest_references_of_a_repository_go_with_its_last_tag_and_others_by_themselves(
        self, tags: tuple[str, ...], digests: tuple[str, ...], expected: list[str]
    ) -> None:
        subject = image("app", tags=tags, digests=digests)
        every = policy("every", "image", when={"arrived_for": "0s"})
        assert steps(plan(view(subject), cleanup(every))) == expected

    def test_an_image_that_stays_has_one_item_and_loses_no_tag(self) -> None:
        made = plan(view(image("app", tags=("a:1", "b:1")), running("web", image="b:1")), cleanup(UNUSED))
        (item,) = [item for item in made.items if item.kind == "image"]
        assert (item.action, item.reason, item.facts["further_tags"]) == ("keep", "in_use", ["a:1"])


class TestModes:
    def test_what_a_policy_in_report_mode_would_remove_is_told_and_changes_nothing_in_force(self) -> None:
        job, app = container("job"), image("app")
        made = plan(view(job, app), cleanup(REPORTED, UNUSED))
        assert (why(made, job), item_of(made, job).mode) == ("remove exited_too_long", "report")
        assert why(made, app) == "keep in_use"
        assert made.in_force == ()

    def test_a_child_that_is_only_reported_keeps_its_parent(self) -> None:
        base, child = untagged("base"), image("child", parent="base")
        made = plan(view(base, child), cleanup({**UNUSED, "mode": "report"}, DANGLING))
        assert why(made, child) == "remove unused_too_long"
        assert why(made, base) == "keep has_children"

    def test_a_report_sees_what_is_in_force_as_having_happened(self) -> None:
        job, app = container("job"), image("app")
        made = plan(view(job, app), cleanup({**UNUSED, "mode": "report"}, EXITED))
        assert (why(made, app), item_of(made, app).mode) == ("remove unused_too_long", "report")

    def test_what_enforces_is_asked_first_wherever_it_stands(self) -> None:
        job = container("job")
        made = plan(view(job), cleanup(REPORTED, EXITED))
        assert (item_of(made, job).policy, item_of(made, job).mode) == ("exited", "enforce")

    def test_where_the_one_that_enforces_does_not_hold_the_other_is_reported(self) -> None:
        job = container("job")
        later = {**EXITED, "name": "later", "when": {"finished_for": "2d"}}
        item = item_of(plan(view(job), cleanup(REPORTED, later)), job)
        assert (item.policy, item.mode, item.action) == ("reported", "report", "remove")

    def test_only_what_is_due_is_judged(self) -> None:
        job, app = container("job"), image("app")
        made = plan(view(job, app), cleanup(EXITED, UNUSED), due=["unused"])
        assert (why(made, job), why(made, app)) == ("keep not_selected", "keep in_use")
        assert plan(view(job, app), cleanup(EXITED, UNUSED), due=[]).in_force == ()

    def test_of_several_policies_the_first_that_holds_decides(self) -> None:
        job = container("job")
        later = {**EXITED, "name": "later", "when": {"finished_for": "25h"}}
        made = plan(view(job), cleanup(later, EXITED, {**EXITED, "name": "third"}))
        assert item_of(made, job).policy == "exited"
        item = item_of(plan(view(job), cleanup(later, {**later, "name": "never"})), job)
        assert (item.action, item.reason, item.policy) == ("keep", "condition_not_met", "later")


class TestClasses:
    @pytest.mark.parametrize(
        ("subject", "classes"),
        [
            (image("x"), ["tagged"]),
            (image("x", digests=("x@sha256:1",)), ["tagged"]),
            (untagged("x", digests=("x@sha256:1",)), ["digest_only", "untagged"]),
            (untagged("x"), ["dangling", "untagged"]),
            (untagged("x", parent="base"), ["dangling", "untagged"]),
        ],
    )
    def test_a_policy_finds_an_image_by_each_of_its_classes_and_by_no_other(
        self, subject: Image, classes: list[str]
    ) -> None:
        for each in ("untagged", "dangling", "digest_only", "tagged"):
            found = policy("found", "image", when={"arrived_for": "0s"}, select={"class": [each]})
            expected = "remove arrived_too_long" if each in classes else "keep not_selected"
            assert why(plan(view(subject), cleanup(found)), subject) == expected
        assert item_of(plan(view(subject), cleanup()), subject).facts["class"] == classes

    def test_an_image_with_a_child_that_stays_is_untagged_and_not_dangling(self) -> None:
        base, child = untagged("base"), image("child", parent="base")
        assert item_of(plan(view(base, child), cleanup()), base).facts["class"] == ["untagged"]


class TestWhatIsAlive:
    @pytest.mark.parametrize("status", ["running", "paused", "restarting", "removing"])
    @pytest.mark.parametrize("clock", ["finished_for", "never_started_for"])
    def test_no_policy_removes_what_has_not_ended(self, status: str, clock: str) -> None:
        """Whatever the engine says of its times, and without any time to wait."""
        alive = container("alive", status=status)
        every = policy("every", "container", when={clock: "0s"})
        for subject in (alive, replace(alive, finished_at=None), replace(alive, pid=1)):
            assert item_of(plan(view(subject), cleanup(every)), subject).action == "keep"

    @pytest.mark.parametrize(
        ("subject", "reason"),
        [
            (container("c", finished_at=None), "keep unknown_clock"),
            (container("c", inspected=False), "keep unknown_clock"),
            (container("c", status="created", finished_at=None, created_at=None), "keep condition_not_met"),
        ],
    )
    def test_what_nobody_knows_the_end_of_stays(self, subject: Container, reason: str) -> None:
        assert why(plan(view(subject), cleanup(EXITED, CREATED)), subject) == reason


class TestForm:
    def test_the_json_has_exactly_the_published_keys(self) -> None:
        look = view(container("job", size_rw=7), image("app", tags=("app:1", "app:2"), digests=("app@sha256:1",)))
        published = json.loads(json.dumps(plan(look, cleanup(EXITED, UNUSED)).as_json()))
        assert list(published) == ["plan_id", "created_at", "engine", "items", "without_pressure", "totals"]
        assert published["created_at"] == "2027-01-15T08:00:00Z"
        assert published["engine"] == {
            "id": "engine-1",
            "name": "host",
            "version": "28.5.2",
            "api_version": "1.51",
            "store": "graphdriver",
        }
        first, untag, _ = published["items"]
        assert first == {
            "kind": "container",
            "id": hex_id("job"),
            "name": "job",
            "names": ["job"],
            "action": "remove",
            "mode": "enforce",
            "policy": "exited",
            "reason": "exited_too_long",
            "facts": {
                "status": "exited",
                "image": "app:1",
                "exit_code": 0,
                "finished_at": "2027-01-14T08:00:00Z",
                "clocks": {"finished_for": {"elapsed": DAY, "needs": 0.0}},
            },
            "bytes": 7,
            "at_least": False,
        }
        assert (untag["action"], untag["name"], untag["bytes"]) == ("untag", "app:2", 0)
        assert untag["names"] == ["app:1", "app:2", "app@sha256:1"]
        nothing = {"remove": 0, "untag": 0, "keep": 0, "bytes": 0, "at_least": False}
        assert published["totals"] == {
            **dict.fromkeys(("network", "volume", "build_cache"), nothing),
            "container": {"remove": 1, "untag": 0, "keep": 0, "bytes": 7, "at_least": False},
            "image": {"remove": 1, "untag": 1, "keep": 0, "bytes": 1000, "at_least": False},
        }

    def test_what_no_policy_selects_has_neither_policy_nor_mode(self) -> None:
        (item,) = plan(view(container("job")), cleanup()).as_json()["items"]
        assert (item["action"], item["policy"], item["mode"]) == ("keep", None, None)

    def test_what_was_acted_on_has_its_outcome_and_the_rest_has_none(self) -> None:
        made = plan(view(container("job"), image("app"), image("other")), cleanup(EXITED, UNUSED))
        items = made.as_json({made.items[0].key: Outcome.REMOVED, made.items[1].key: Outcome.REFUSED})["items"]
        assert [item.get("outcome") for item in items] == ["removed", "refused", None]
        assert all("outcome" not in item for item in made.as_json({})["items"])

    def test_totals_count_only_what_is_in_force_and_an_image_that_stays_once(self) -> None:
        look = view(container("job", of="x"), image("app", tags=("app:1", "app:2", "app:3")), untagged("old"))
        made = plan(look, cleanup(REPORTED, {**UNUSED, "mode": "report", "select": {"class": ["tagged"]}}, DANGLING))
        assert [item.mode for item in made.items if item.action == "untag"] == ["report", "report"]
        totals = made.totals()
        assert totals["container"] == {"remove": 0, "untag": 0, "keep": 1, "bytes": 0, "at_least": False}
        assert totals["image"] == {"remove": 1, "untag": 0, "keep": 1, "bytes": 1000, "at_least": False}

    def test_a_volume_of_unknown_size_is_null_and_makes_a_sum_at_least(self) -> None:
        volumes = policy("volumes", "volume", select={"named": True, "name": ["*"]}, when={"unused_for": "1s"})
        look = plan(view(volume("odd"), volume("known", size=7)), cleanup(volumes)).as_json()
        assert [(each["bytes"], each["at_least"]) for each in look["items"]] == [(7, False), (None, True)]
        assert (look["totals"]["volume"]["bytes"], look["totals"]["volume"]["at_least"]) == (7, True)
        alone = plan(view(volume("odd")), cleanup(volumes)).as_json()
        assert (alone["totals"]["volume"]["bytes"], alone["totals"]["volume"]["at_least"]) == (None, True)

    @pytest.mark.parametrize(
        ("shared", "parent_size", "unique"), [(None, None, None), (400, None, 600), (400, 900, 600), (None, 900, 100),
                                              (None, 1200, 0), (1200, None, 0)]
    )  # fmt: skip
    def test_the_bytes_of_an_image_are_those_it_shares_with_no_other(
        self, shared: int | None, parent_size: int | None, unique: int | None
    ) -> None:
        child = image("child", parent="base", shared_size=shared)
        others = [] if parent_size is None else [image("base", size=parent_size)]
        item = item_of(plan(view(child, *others), cleanup()), child)
        assert (item.bytes, item.at_least) == (unique or 0, unique is None)

    def test_what_an_image_rests_on_is_known_to_who_carries_it_out(self) -> None:
        job, base, top = container("job", of="base"), image("base"), image("top", parent="base")
        made = plan(view(job, base, top), cleanup(EXITED, UNUSED))
        assert item_of(made, base).needs == {job.key, top.key}
        assert item_of(made, top).needs == frozenset()

    def test_a_plans_name_tells_its_time_and_what_it_would_do(self) -> None:
        look = view(container("job"), image("app"))
        one = plan(look, cleanup(EXITED, UNUSED)).plan_id
        assert one.startswith("20270115T080000Z-")
        assert one == plan(look, cleanup(EXITED, UNUSED)).plan_id
        assert len({one, plan(look, cleanup(EXITED)).plan_id, plan(look, cleanup(REPORTED)).plan_id}) == 3
        assert one < plan(look, cleanup(EXITED, UNUSED), now=NOW + 1).plan_id
