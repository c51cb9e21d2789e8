"""Reports: planned and done removals have different words."""

import pytest

from tests.unit.cleanup.builders import (
    CREATED,
    EXITED,
    UNUSED,
    cleanup,
    container,
    image,
    plan,
    policy,
    running,
    view,
)
from watchd.cleanup import report
from watchd.cleanup.plan.plan import Item, Outcome, Plan
from watchd.cleanup.report.words import joined

LOOK = view(
    container("job", size_rw=1_500_000),
    running("web", of="nginx"),
    image("app", tags=("app:1", "app:2"), size=250_000_000),
    image("nginx"),
)


def made(*, mode: str = "enforce") -> Plan:
    return plan(LOOK, cleanup(EXITED, UNUSED, mode=mode))


def test_policies_are_told_in_words_before_they_act() -> None:
    exited = {"status": ["exited", "dead"], "name": ["ci-*"]}
    temporary = {"class": ["dangling"], "labels": {"any": ["tmp"]}}
    settings = cleanup(
        policy("old", "container", when={"finished_for": "36h"}, select=exited),
        policy("idle", "image", when={"unused_for": "30d", "arrived_for": "7d"}, mode="report"),
        policy("temp", "image", when={"dangling_for": "0s"}, select=temporary),
    )
    assert list(report.policies(settings, None)) == [
        "old removes containers (status exited or dead; name ci-*) once finished_for reaches 1d12h",
        "idle only reports images once unused_for reaches 30d and arrived_for reaches 7d",
        "temp removes images (class dangling; any of the labels tmp) once dangling_for reaches 0s",
    ]
    assert [line.split()[0] for line in report.policies(settings, ["temp", "old"])] == ["old", "temp"]


def test_excluded_patterns_and_marks_are_told_as_in_a_sentence() -> None:
    select = {"reference": ["a/*", "b/*", "c/*", "!a/base"]}
    pressure = {"free_below": "20GiB", "free_until": "40GiB", "total_above": "9GB", "total_until": "5GB"}
    settings = cleanup(policy("room", "image", select=select, pressure=pressure))
    (told,) = report.policies(settings, None)
    assert told == (
        "room removes images (reference a/*, b/* or c/* but not a/base) while the disk has less than 20GiB free, until"
        " 40GiB, or they take more than 9GB, until 5GB, the least recently used first"
    )


def test_a_dry_run_says_what_would_go_and_why_and_what_stays() -> None:
    assert list(report.plan(made(), dry_run=True)) == [
        "Would remove:",
        "  container  5e8c9902207a  job    1.5MB  exited  exited_too_long (finished_for 1d, needs 0s)",
        "  tag        a172cedcae47  app:2         unused  unused_too_long (unused_for 30d, needs 0s)",
        "  image      a172cedcae47  app:1  250MB  unused  unused_too_long (unused_for 30d, needs 0s)",
        "",
        "Stays (`watchd explain NAME` tells why, --json lists each):",
        "  1  container  condition_not_met",
        "  1  image      in_use",
        "",
        "Would remove 1 container and 1 image, about 252MB.",
    ]


def test_a_run_that_is_about_to_happen_says_so_in_other_words() -> None:
    lines = list(report.plan(made(), dry_run=False))
    assert lines[0] == "To be removed:"
    assert lines[-1] == "Plan: 1 container and 1 image, about 252MB."
    assert not [line for line in lines if "would" in line.lower()]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_policy_that_only_reports_removes_nothing_in_either(*, dry_run: bool) -> None:
    lines = list(report.plan(made(mode="report"), dry_run=dry_run))
    assert lines[0] == "Would remove if its policy enforced (mode is report, so it stays):"
    assert lines[1].startswith("  container  ")
    assert lines[-1] == "Nothing to remove: the above is only reported."


def test_a_list_that_failed_is_told() -> None:
    lines = list(report.plan(plan(view(failures={"container": "500: busy"}), cleanup(EXITED)), dry_run=True))
    assert lines == [
        "Not judged, so nothing that rests on it is removed: containers (500: busy)",
        "Nothing to remove.",
    ]


def test_without_anything_there_is_nothing_to_remove() -> None:
    assert list(report.plan(plan(view(), cleanup(CREATED)), dry_run=True)) == ["Nothing to remove."]


def test_of_a_long_plan_the_first_of_each_group_are_shown_and_the_rest_counted() -> None:
    jobs = [container(f"job-{number:02}", size_rw=1000) for number in range(60)]
    tags = image("app", tags=("app:1", "app:2"), size=5000)
    lines = list(report.plan(plan(view(*jobs, tags), cleanup(EXITED, UNUSED)), dry_run=True))
    shown = [line.split() for line in lines[1 : lines.index("")]]
    assert {row[0] for row in shown[:5]} == {"container"}
    assert lines[6] == "    and 55 containers more, 55kB: exited, exited_too_long (--json lists each)"
    assert [row[0] for row in shown[6:]] == ["tag", "image"]
    assert lines[-1] == "Would remove 60 containers and 1 image, about 65kB."


def test_only_the_kinds_that_were_judged_are_said_to_stay() -> None:
    lines = "\n".join(report.plan(made(), dry_run=True, kinds={"container"}))
    assert "1  container  condition_not_met" in lines
    assert "in_use" not in lines


def test_a_list_reads_as_a_sentence_has_it() -> None:
    assert [joined(parts) for parts in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]


def test_what_would_go_and_what_is_only_reported_are_told_apart_by_their_tone() -> None:
    tones = [getattr(line, "tone", "") for line in report.plan(made(), dry_run=True)]
    assert tones[:4] == ["heading", "goes", "goes", "goes"]
    assert [getattr(line, "tone", "") for line in report.plan(made(mode="report"), dry_run=True)][1] == "reported"


@pytest.mark.parametrize(
    ("outcome", "action", "detail", "line"),
    [
        (Outcome.REMOVED, "remove", "", "removed image app:1 (a172cedcae47)"),
        (Outcome.REMOVED, "untag", "", "took off tag app:2"),
        (Outcome.ALREADY_GONE, "remove", "", "was already gone: image app:1 (a172cedcae47)"),
        (Outcome.REFUSED, "remove", "in use", "the engine refused to remove image app:1 (a172cedcae47): in use"),
        (Outcome.DRIFTED, "untag", "app:2 is another image now",
         "left alone, since it changed: tag app:2: app:2 is another image now"),
        (Outcome.FAILED, "remove", "500", "failed to remove image app:1 (a172cedcae47): 500"),
        (Outcome.DEFERRED, "remove", "", "put off: image app:1 (a172cedcae47)"),
    ],
)  # fmt: skip
def test_each_outcome_has_its_own_line(outcome: Outcome, action: str, detail: str, line: str) -> None:
    (item,) = [item for item in made().items if item.action == action and item.kind == "image"]
    assert report.outcome(item, outcome, detail) == line


class TestResult:
    def test_when_all_went_well_it_says_what_was_removed(self) -> None:
        done = {item.key: Outcome.REMOVED for item in made().in_force}
        assert report.result(made(), done) == "Removed 1 container and 1 image, about 252MB."
        disk = report.result(made(), done, {"/var/lib/docker": 250_000_000})
        assert disk.endswith("about 252MB. /var/lib/docker has 250MB more available than before.")

    def test_what_did_not_go_is_counted_by_its_outcome(self) -> None:
        outcomes = [Outcome.REMOVED, Outcome.REFUSED, Outcome.DEFERRED]
        done = {item.key: outcome for item, outcome in zip(made().in_force, outcomes, strict=True)}
        assert report.result(made(), done) == "Removed 1 container, about 1.5MB. Of the rest: 1 deferred, 1 refused."

    def test_what_a_stopped_run_did_not_reach_is_counted_too(self) -> None:
        assert report.result(made(), {}) == "Removed nothing. Of the rest: 3 not reached."

    def test_a_tag_taken_off_is_no_image_removed(self) -> None:
        def outcome(item: Item) -> Outcome:
            return Outcome.REMOVED if item.action == "untag" else Outcome.FAILED

        done = {item.key: outcome(item) for item in made().in_force}
        assert report.result(made(), done) == "Removed nothing. Of the rest: 2 failed."
