"""Keep rules, ceilings of a run, and protections that a policy may opt out of."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cleanup.builders import (
    DAY,
    EXITED,
    HOUR,
    NOW,
    UNUSED,
    cleanup,
    container,
    decisions,
    disk,
    disks,
    image,
    item_of,
    plan,
    policy,
    running,
    seen_long_ago,
    steps,
    untagged,
    view,
    why,
)
from watchd.model import Observation
from watchd.model.names.versions import parse_version

COMPOSE = {"com.docker.compose.project": "shop"}


def member(service: str) -> dict[str, str]:
    return {**COMPOSE, "com.docker.compose.service": service}


def keeping(**keep: Any) -> dict[str, Any]:
    return policy("kept", "container", when={}, keep=keep, select={"status": ["exited"]})


def keeping_images(**keep: Any) -> dict[str, Any]:
    return policy("kept", "image", when={}, keep=keep)


def jobs(*names: str) -> list[Any]:
    """Containers that ended an hour after one another, the first one last."""
    return [container(name, finished_at=NOW - hours * HOUR) for hours, name in enumerate(names, start=1)]


def test_the_last_ones_stay_with_their_counter_and_the_others_go() -> None:
    three = jobs("c", "b", "a")
    made = plan(view(*three), cleanup(keeping(last=2, per="host")))
    assert decisions(made) == {"a": "remove over_keep_last", "b": "keep keep", "c": "keep keep"}
    assert [item_of(made, job).facts.get("counter") for job in three] == ["1 of 2", "2 of 2", None]


def test_a_rule_alone_removes_nothing_that_runs_or_that_nobody_can_describe() -> None:
    look = view(
        *jobs("ended"),
        *(container(status, status=status, pid=7) for status in ("running", "paused", "restarting", "removing")),
        container("unknown", inspected=False),
    )
    made = plan(look, cleanup(policy("all", "container", when={}, keep={"within": "1s"})))
    assert steps(made) == ["remove container ended"]


def test_per_name_counts_names_without_their_number() -> None:
    made = plan(view(*jobs("build-9", "build-8", "test_2", "test_1", "4711")), cleanup(keeping(last=1, per="name")))
    assert steps(made) == ["remove container test_1", "remove container build-8"]


def test_per_compose_service_counts_each_service_of_each_project() -> None:
    made = plan(
        view(
            container("web-2", labels=member("web"), finished_at=NOW - HOUR),
            container("web-1", labels=member("web"), finished_at=NOW - 2 * HOUR),
            container("db-1", labels=member("db"), finished_at=NOW - 3 * HOUR),
        ),
        cleanup(keeping(last=1, per="compose_service")),
    )
    assert steps(made) == ["remove container web-1"]


@pytest.mark.parametrize(("ended", "decision"), [(DAY - 0.001, "keep keep"), (DAY, "remove over_keep_last")])
def test_within_spares_what_is_younger(ended: float, decision: str) -> None:
    made = plan(view(container("a", finished_at=NOW - ended)), cleanup(keeping(within="1d")))
    assert decisions(made) == {"a": decision}


def test_a_rule_spares_from_other_policies_too_and_from_those_that_are_not_due() -> None:
    settings = cleanup(EXITED, keeping(last=1, per="host"))
    made = plan(view(*jobs("b", "a")), settings, due={"exited"})
    assert decisions(made) == {"a": "remove exited_too_long", "b": "keep keep"}


def test_what_is_protected_otherwise_counts_as_one_of_the_last() -> None:
    used, old, older = image("app", tags=("app:3",)), image("old", tags=("app:2",)), image("older", tags=("app:1",))
    look = view(used, old, older, running("web", of="app", image="app:3"))
    known = {
        **seen_long_ago(look),
        ("image", used.id): Observation(NOW - DAY, NOW - DAY),
        ("image", old.id): Observation(NOW - 2 * DAY, NOW - 2 * DAY),
    }
    made = plan(look, cleanup(keeping_images(last=2, per="repository")), known=known)
    assert [why(made, subject) for subject in (used, old, older)] == [
        "keep in_use",
        "keep keep",
        "remove over_keep_last",
    ]
    assert item_of(made, old).facts["counter"] == "2 of 2"


def test_images_that_came_together_count_by_when_they_were_built() -> None:
    new, old = image("new", tags=("app:2",), created_at=NOW), image("old", tags=("app:1",), created_at=NOW - DAY)
    for look in (view(new, old), view(old, new)):
        made = plan(look, cleanup(keeping_images(last=1, per="repository")))
        assert steps(made) == ["remove image app:1"]


def test_the_newest_of_each_repository_stays() -> None:
    images = [
        image("a", tags=("app:1",), created_at=NOW - DAY),
        image("b", tags=("app:2", "other/app:2"), created_at=NOW),
        image("c", tags=("other/app:1",), created_at=NOW - HOUR),
        untagged("d"),
    ]
    made = plan(view(*images), cleanup({**UNUSED, "keep": {"newest_tag": True}}))
    assert [why(made, subject).partition(" ")[0] for subject in images] == ["remove", "keep", "remove", "remove"]


def test_ended_members_of_a_running_project_stay_and_their_images() -> None:
    job = container("migrate", labels=member("migrate"), of="tools")
    look = view(job, running("web", labels=member("web")), image("tools"), image("app"))
    made = plan(look, cleanup(EXITED, UNUSED))
    assert why(made, job) == "keep compose_active"
    assert decisions(made)["tools:1"] == "keep in_use"
    made = plan(look, cleanup({**EXITED, "compose_active": "ignore"}, UNUSED))
    assert why(made, job) == "remove exited_too_long"
    assert decisions(made)["tools:1"] == "keep compose_active"
    made = plan(look, cleanup({**EXITED, "compose_active": "ignore"}, {**UNUSED, "compose_active": "ignore"}))
    assert decisions(made)["tools:1"] == "remove unused_too_long"


def test_a_project_that_is_down_protects_nothing() -> None:
    job = container("migrate", labels=member("migrate"))
    assert why(plan(view(job, container("web", labels=member("web"))), cleanup(EXITED)), job) == (
        "remove exited_too_long"
    )


@pytest.mark.parametrize("grace", ["0s", "60d"])
def test_a_policy_may_opt_out_of_the_restart_policy_and_of_nothing_else(grace: str) -> None:
    meant = container("web", restart_policy="always")
    made = plan(view(meant), cleanup({**EXITED, "restart_policy": "ignore"}, grace=grace))
    assert why(made, meant) == ("remove exited_too_long" if grace == "0s" else "keep grace")


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ([], "keep condition_not_met"),
        ([EXITED], "keep restart_policy"),
        ([{**EXITED, "name": "elsewhere", "select": {"name": ["other"]}}], "keep condition_not_met"),
    ],
)
def test_the_reason_told_is_one_that_holds_back_a_policy_that_selects_it(others: list[Any], reason: str) -> None:
    meant = container("web", restart_policy="always")
    waits = policy("waits", "container", when={"finished_for": "30d"}, restart_policy="ignore")
    assert why(plan(view(meant), cleanup(*others, waits)), meant) == reason


def test_where_the_policy_that_opts_out_selects_something_else_the_protection_is_told() -> None:
    meant = container("web", restart_policy="always")
    other = policy(
        "other", "container", when={"finished_for": "1d"}, select={"name": ["other"]}, restart_policy="ignore"
    )
    assert why(plan(view(meant), cleanup(other, grace="60d")), meant) == "keep restart_policy"


def test_only_the_policy_that_opts_out_removes() -> None:
    meant = container("web", restart_policy="always")
    other = policy("other", "container", when={"finished_for": "30d"}, restart_policy="ignore")
    assert why(plan(view(meant), cleanup(EXITED, other)), meant) == "keep restart_policy"


def test_a_run_stops_at_its_most_items_and_what_rests_on_the_others_stays() -> None:
    parent, child = untagged("parent"), image("child", parent="parent")
    look = view(*jobs("b", "a"), parent, child)
    made = plan(look, cleanup(EXITED, UNUSED, max_items=1))
    assert steps(made) == ["remove container a"]
    assert decisions(made)["b"] == "keep budget_spent"
    assert why(made, child) == "keep budget_spent"
    assert why(made, parent) == "keep has_children"


def test_a_run_stops_at_its_most_bytes_which_smaller_ones_may_still_fit() -> None:
    images = [image("a", size=600), image("b", size=600), image("c", size=400)]
    assert steps(plan(view(*images), cleanup(UNUSED, max_bytes="1000B"))) == [
        "remove image a:1",
        "remove image c:1",
    ]


def test_what_only_reports_spends_nothing() -> None:
    made = plan(view(*jobs("b", "a")), cleanup({**EXITED, "mode": "report"}, max_items=1))
    assert decisions(made) == {"a": "remove exited_too_long", "b": "remove exited_too_long"}


@pytest.mark.parametrize(
    ("select", "selected"),
    [
        ({"exit_code": [1, 137]}, {"failed"}),
        ({"compose_project": ["sh*"]}, {"failed"}),
        ({"compose_service": ["w?b"], "exit_code": [1]}, {"failed"}),
        ({"compose_service": ["db"]}, set()),
    ],
)
def test_containers_are_selected(select: dict[str, Any], selected: set[str]) -> None:
    look = view(container("good"), container("failed", exit_code=1, labels=member("web")))
    made = plan(look, cleanup({**EXITED, "select": select}))
    assert {item.name for item in made.in_force} == selected


@pytest.mark.parametrize(
    ("select", "selected"),
    [
        ({"repository": ["r:5000/team/*"]}, {"r:5000/team/app:1"}),
        ({"repository": ["redis"]}, {"redis:7"}),
        ({"repository": ["docker.io/library/*"]}, {"a:1", "redis:7"}),
        ({"tag": ["1"]}, {"r:5000/team/app:1"}),
        ({"tag": ["1", "latest"]}, {"a:1", "r:5000/team/app:1"}),
        ({"reference": ["*:7"]}, {"redis:7"}),
        ({"reference": ["docker.io/library/a:*"]}, set()),
        ({"pullable": True}, {"redis:7"}),
        ({"pullable": False, "tag": ["*"]}, {"a:1", "r:5000/team/app:1"}),
    ],
)
def test_images_are_selected_when_all_their_references_match(select: dict[str, Any], selected: set[str]) -> None:
    look = view(
        image("1", tags=("r:5000/team/app:1",)),
        image("2", tags=("redis:7",), digests=("redis@sha256:d0",)),
        image("3", tags=("a:1", "b:latest")),
        untagged("4"),
    )
    made = plan(look, cleanup({**UNUSED, "select": select}))
    assert {item.name for item in made.in_force if item.action == "remove"} == selected


def tagged(*tags: str, **changes: Any) -> Any:
    return image(tags[0], tags=tags, **changes)


def versions(*tags: str, last: int = 1, per: str = "repository") -> list[str]:
    """Return the tags that rules keep, of images of these tags that came at once."""
    made = plan(view(*map(tagged, tags)), cleanup(keeping_images(last=last, per=per, by="version")))
    return [tag for tag in tags if decisions(made)[tag].startswith("keep")]


@pytest.mark.parametrize(
    ("tags", "kept"),
    [
        (("a:1.9.0", "a:1.10.0", "a:1.2.0"), ["a:1.10.0"]),
        (("a:v1.2", "a:1.1.9"), ["a:v1.2"]),
        (("a:2.0.0-rc.2", "a:2.0.0-rc.10", "a:1.9"), ["a:2.0.0-rc.10"]),
        (("a:2.0.0-rc.1", "a:2.0.0"), ["a:2.0.0"]),
        (("a:3.13.0rc1", "a:3.13.0b4", "a:3.12.9"), ["a:3.13.0rc1"]),
        (("a:1.2", "a:1.1", "a:1.1-alpine", "a:1.0-alpine"), ["a:1.2", "a:1.1-alpine"]),
        (("a:1.2", "a:latest", "a:1.1"), ["a:1.2", "a:latest"]),
        (("a:1.2", "a:7f3a2b1", "a:nightly", "a:1.1"), ["a:1.2", "a:7f3a2b1", "a:nightly"]),
        (("a:1", "b:2", "b:1"), ["a:1", "b:2"]),
    ],
)
def test_the_highest_versions_stay_of_each_repository_and_variant(tags: tuple[str, ...], kept: list[str]) -> None:
    assert versions(*tags) == kept
    assert versions(*reversed(tags)) == list(reversed(kept))


def test_an_image_without_a_tag_or_with_one_that_is_no_version_is_spared() -> None:
    two, none = tagged("a:1.0", "a:latest"), untagged("u")
    made = plan(view(two, none, tagged("a:2.0")), cleanup(keeping_images(last=1, per="repository", by="version")))
    assert item_of(made, two).facts["without"] == "version"
    assert item_of(made, two).facts["tag"] == "a:latest"
    assert why(made, none) == "keep keep"


def test_versions_are_kept_with_their_counter_tag_and_variant() -> None:
    kept = tagged("a:1.1-alpine")
    made = plan(view(kept), cleanup(keeping_images(last=2, per="repository", by="version")))
    facts = item_of(made, kept).facts
    assert (facts["counter"], facts["by"], facts["tag"]) == ("1 of 2", "version", "a:1.1-alpine")
    assert (facts["of"], facts["variant"]) == ("docker.io/library/a", "alpine")


def test_equal_versions_count_by_arrival() -> None:
    old, new = tagged("a:1.2"), tagged("a:1.2.0")
    look = view(old, new)
    known = {**seen_long_ago(look), ("image", new.id): Observation(NOW - DAY, NOW - DAY)}
    made = plan(look, cleanup(keeping_images(last=1, per="repository", by="version")), known=known)
    assert steps(made) == ["remove image a:1.2"]


def test_semver_has_its_own_order() -> None:
    ordered = (
        "1.0.0-1 1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0"
    )
    found = [parse_version(tag) for tag in f"{ordered} 1.0.1 1.2 10.0".split()]
    keys = [version.key for version in found if version is not None]
    assert len(keys) == len(found)
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


@given(st.text(alphabet="0123456789.-_abrcv", max_size=20))
def test_any_tag_is_a_version_or_none(tag: str) -> None:
    version = parse_version(tag)
    assert version is None or tag.lstrip("vV")[0].isdecimal()


def destination(name: str, ended: int, of: str | None) -> Any:
    labels = {"app.destination": of} if of else {}
    return container(name, labels=labels, finished_at=NOW - ended * HOUR)


def test_per_label_counts_each_value_and_spares_what_has_none() -> None:
    six = [destination(f"app-web-{of}-{number}f3", number, of) for of in ("stage", "prod") for number in (1, 2, 3)]
    other = destination("other", 50, None)
    made = plan(view(*six, other), cleanup(keeping(last=1, per="label:app.destination")))
    assert [why(made, each).partition(" ")[0] for each in six] == ["keep", "remove", "remove"] * 2
    assert item_of(made, six[0]).facts["of"] == "app.destination=stage"
    assert why(made, other) == "keep keep"
    assert item_of(made, other).facts["without"] == "label:app.destination"


def test_per_host_counts_all_together() -> None:
    made = plan(view(tagged("a:2", created_at=NOW), tagged("b:1")), cleanup(keeping_images(last=1, per="host")))
    assert steps(made) == ["remove image b:1"]


@pytest.mark.parametrize("order", ["lru", "oldest", "largest"])
def test_images_that_came_together_go_under_pressure_by_when_they_were_built(order: str) -> None:
    images = [tagged(f"{name}:1", created_at=NOW - ago * DAY) for name, ago in (("a", 1), ("b", 3), ("c", 2))]
    full = {**UNUSED, "when": {}, "pressure": {"high": "80%", "low": "10%", "order": order}}
    made = plan(view(*images, disks=disks(disk(8100, 10_000))), cleanup(full))
    assert steps(made) == ["remove image b:1", "remove image c:1", "remove image a:1"]
