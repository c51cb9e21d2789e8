"""What `explain` finds and says of one object."""

from typing import Any

import pytest

from tests.prune.builders import (
    EXITED,
    HOUR,
    NOW,
    UNUSED,
    cleanup,
    container,
    image,
    network,
    plan,
    policy,
    running,
    seen_long_ago,
    snapshot,
    volume,
)
from watchd.config import Cleanup
from watchd.model import Observations, Snapshot, Subject
from watchd.prune import report
from watchd.prune.explain import Explanation, NoSuchObject, explain, find, find_one


def explained(subject: Subject, look: Snapshot, settings: Cleanup, known: Observations | None = None) -> Explanation:
    known = seen_long_ago(look) if known is None else known
    return explain(subject, plan(look, settings, known=known), look, settings, known)


def lines_of(told: Explanation) -> str:
    return "\n".join(report.explanation(told))


def wants(duration: str, **further: Any) -> dict[str, Any]:
    return policy("old", "container", when={"finished_for": duration}, **further)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (cleanup(EXITED), "it goes at the next run"),
        (cleanup({**EXITED, "mode": "report"}), "it would go if its policy enforced"),
        (cleanup(wants("1d3h12m")), "it goes in 3h 12m, when finished_for reaches 1d3h12m"),
        (cleanup(wants("2d"), {**wants("25h"), "name": "sooner"}), "it goes in 1h, when finished_for reaches 1d1h"),
        (cleanup(wants("25h"), grace="40d"), "it goes in 10d, when first_seen_for reaches 40d"),
        (
            cleanup(wants("2d", mode="report")),
            "it would go, if its policy enforced, in 1d, when finished_for reaches 2d",
        ),
        (cleanup(policy("new", "container", when={"never_started_for": "1h"})), None),
        (cleanup(wants("1h", select={"name": ["other"]})), None),
        (cleanup(UNUSED), None),
        (cleanup(EXITED, protect={"containers": ["job"]}), "it stays as long as protected applies"),
    ],
)
def test_what_comes_next_is_told(settings: Cleanup, sentence: str | None) -> None:
    job = container("job")
    told = explained(job, snapshot(job), settings).what_next
    assert told == (sentence or "no policy would remove it, however long it stays as it is")


def test_what_runs_is_never_said_to_go() -> None:
    web = running("web")
    settings = cleanup(
        policy("all", "container", when={}, keep={"within": "1s"}, select={"status": ["running"]}), EXITED
    )
    told = explained(web, snapshot(web), settings)
    assert told.item.action == "keep"
    assert " goes " not in told.what_next


def test_every_protection_and_policy_has_its_say_in_their_order() -> None:
    app = image("app")
    look = snapshot(app, running("web"))
    told = explained(app, look, cleanup(UNUSED, EXITED, {**UNUSED, "name": "other", "select": {"tag": ["9"]}}))
    published = told.as_json()
    assert [shield["reason"] for shield in published["protections"]] == [
        "incomplete_view", "self", "protected", "in_use", "swarm", "compose_active", "tag_of_in_use", "has_children",
        "grace", "keep",
    ]  # fmt: skip
    assert [shield["reason"] for shield in published["protections"] if shield["applies"]] == ["in_use"]
    assert [(each["name"], each["selects"], each["holds"]) for each in published["policies"]] == [
        ("unused", True, True),
        ("other", False, False),
    ]
    lines = lines_of(told)
    assert "image app:1" in lines
    assert "it stays as long as in_use applies" in lines
    assert "containers web (running)" in lines
    assert "does not select it" in lines


def test_an_unknown_clock_is_no_promise() -> None:
    odd = image("odd", created_at=None)
    told = explained(odd, snapshot(odd), cleanup(policy("built", "image", when={"built_for": "1d"})))
    assert told.what_next == "no policy would remove it, however long it stays as it is"
    assert "unknown_clock: built_for is unknown, needs 1d" in lines_of(told)


def test_a_clock_that_stands_still_is_not_called_unknown() -> None:
    app = image("app")
    told = explained(app, snapshot(app), cleanup(policy("old", "image", when={"dangling_for": "1d"})))
    assert "condition_not_met: dangling_for stands still, needs 1d" in lines_of(told)


def test_what_holds_a_policy_back_is_told_beside_it() -> None:
    data = volume("data", labels={})
    told = explained(data, snapshot(data), cleanup(policy("all", "volume", when={"unused_for": "1d"})))
    assert "would remove it, but for named_volume: unused_for" in lines_of(told)
    assert told.as_json()["policies"][0]["held_back_by"] == ["named_volume"]


def test_a_policy_that_removes_is_held_back_by_nothing() -> None:
    job = container("job")
    told = explained(job, snapshot(job), cleanup(EXITED))
    assert "would remove it: finished_for" in lines_of(told)
    assert told.as_json()["policies"][0]["held_back_by"] == []


def test_a_container_that_runs_is_said_to() -> None:
    web = running("web")
    told = explained(web, snapshot(web), cleanup(policy("all", "container", when={"finished_for": "1d"}, select={})))
    assert "container web (" in lines_of(told)
    assert lines_of(told).count("condition_not_met, since it is running") == 2


def test_what_goes_first_is_named_where_it_would_protect() -> None:
    app = image("app")
    job, task = container("job"), container("task")
    child = image("child", parent="app", tags=())
    look = snapshot(app, job, task, child)
    told = explained(app, look, cleanup(EXITED, UNUSED))
    lines = " ".join(lines_of(told).split())
    assert told.item.action == "remove"
    assert "in_use does not apply: job (exited) and 1 more use it, and go first" in lines
    assert f"has_children does not apply: {child.id[7:19]} is made of it, and goes first" in lines


@pytest.mark.parametrize(
    ("value", "settings", "note"),
    [
        ("2020-01-31", {}, "watchd.keep was until 2020-01-31"),
        ("false", {}, "watchd.keep is false"),
        ("true", {"honor_labels": False}, "watchd.keep is not heeded, since cleanup.honor_labels is false"),
    ],
)
def test_a_keep_label_that_keeps_nothing_is_told(value: str, settings: dict[str, Any], note: str) -> None:
    job = container("job", labels={"watchd.keep": value})
    told = explained(job, snapshot(job), cleanup(EXITED, **settings))
    assert f"does not apply: {note}" in lines_of(told)


def test_quiet_hours_put_off_what_the_daemon_would_remove() -> None:
    job = container("job")
    look, settings = snapshot(job), cleanup(EXITED)
    known = seen_long_ago(look)
    told = explain(job, plan(look, settings, known=known), look, settings, known, quiet_until=NOW + HOUR)
    assert told.what_next == (
        "it goes at the next run by hand, or of the daemon after its quiet hours, which end at 2027-01-15T09:00:00Z"
    )


def test_names_and_references_come_before_the_beginnings_of_ids() -> None:
    digits = container("c").id[:6]
    one, other, third = container("c"), container(digits), image("redis", tags=("redis:latest",))
    look = snapshot(one, other, third)
    assert find(look, digits) == [other]
    assert find(look, one.id[:12]) == [one]
    assert find(look, "redis") == find(look, "docker.io/library/redis:latest") == find(look, third.id) == [third]
    assert find(look, third.id[7:19]) == [third]
    assert find(look, "nothing") == find(look, "") == []


@pytest.mark.parametrize("reference", ["{:.3}", "sha256:{:.1}"])
def test_of_too_short_a_beginning_of_an_id_is_said_what_it_needs(reference: str) -> None:
    job = container("job")
    short = reference.format(job.id)
    with pytest.raises(NoSuchObject, match=f"volume '{short}'; the beginning of an ID needs 4 digits"):
        find_one(snapshot(job), short)
    with pytest.raises(NoSuchObject, match=r"'job-1'$"):
        find_one(snapshot(job), "job-1")


def test_a_containers_name_comes_before_an_images() -> None:
    named, made_from = container("redis"), image("redis", tags=("redis:latest",))
    look = snapshot(named, made_from)
    assert find(look, "redis") == [named]
    assert find(look, "redis:latest") == [made_from]


def test_what_could_mean_several_is_all_found() -> None:
    look = snapshot(container("a", id="abcd" + "0" * 60), container("b", id="abcd" + "1" * 60))
    assert len(find(look, "abcd")) == 2


def test_the_decision_is_the_plans() -> None:
    job = container("job", finished_at=NOW - HOUR)
    settings = cleanup(wants("1h"))
    assert explained(job, snapshot(job), settings).item == plan(snapshot(job), settings).items[0]


def test_what_has_the_same_name_is_told_apart_by_its_kind() -> None:
    look = snapshot(container("same"), network("same"), volume("same"))
    assert [each.kind for each in find(look, "same")] == ["container"]
    assert [each.kind for each in find(look, "same", "volume")] == ["volume"]
    assert find(look, "same", "image") == []


def test_a_policy_that_a_protection_holds_back_promises_nothing() -> None:
    member = {"com.docker.compose.project": "shop"}
    job, web = container("job", labels=member), running("web", labels=member)
    settings = cleanup(wants("1h"), {**wants("31d", compose_active="ignore"), "name": "slow"})
    told = explained(job, snapshot(job, web), settings)
    assert told.item.reason == "compose_active"
    assert told.what_next == "it goes in 30d, when finished_for reaches 31d"
