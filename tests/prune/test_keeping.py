"""What keep rules spare, what the ceilings of a run leave, and what a policy may opt out of."""

from typing import Any

import pytest

from tests.prune.builders import (
    DAY,
    EXITED,
    HOUR,
    NOW,
    UNUSED,
    cleanup,
    container,
    decisions,
    image,
    item_of,
    plan,
    policy,
    running,
    seen_long_ago,
    snapshot,
    steps,
    untagged,
    why,
)
from watchd.model import Observation

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
    made = plan(snapshot(*three), cleanup(keeping(last=2)))
    assert decisions(made) == {"a": "remove over_keep_last", "b": "keep keep", "c": "keep keep"}
    assert [item_of(made, job).facts.get("counter") for job in three] == ["1 of 2", "2 of 2", None]


def test_a_rule_alone_removes_nothing_that_runs_or_that_nobody_can_describe() -> None:
    look = snapshot(
        *jobs("ended"),
        *(container(status, status=status, pid=7) for status in ("running", "paused", "restarting", "removing")),
        container("unknown", inspected=False),
    )
    made = plan(look, cleanup(policy("all", "container", when={}, keep={"within": "1s"})))
    assert steps(made) == ["remove container ended"]


def test_per_name_counts_names_without_their_number() -> None:
    made = plan(snapshot(*jobs("build-9", "build-8", "test_2", "test_1", "4711")), cleanup(keeping(last=1, per="name")))
    assert steps(made) == ["remove container test_1", "remove container build-8"]


def test_per_compose_service_counts_each_service_of_each_project() -> None:
    made = plan(
        snapshot(
            container("web-2", labels=member("web"), finished_at=NOW - HOUR),
            container("web-1", labels=member("web"), finished_at=NOW - 2 * HOUR),
            container("db-1", labels=member("db"), finished_at=NOW - 3 * HOUR),
        ),
        cleanup(keeping(last=1, per="compose_service")),
    )
    assert steps(made) == ["remove container web-1"]


@pytest.mark.parametrize(("ended", "decision"), [(DAY - 0.001, "keep keep"), (DAY, "remove over_keep_last")])
def test_within_spares_what_is_younger(ended: float, decision: str) -> None:
    made = plan(snapshot(container("a", finished_at=NOW - ended)), cleanup(keeping(within="1d")))
    assert decisions(made) == {"a": decision}


def test_a_rule_spares_from_other_policies_too_and_from_those_that_are_not_due() -> None:
    settings = cleanup(EXITED, keeping(last=1))
    made = plan(snapshot(*jobs("b", "a")), settings, due={"exited"})
    assert decisions(made) == {"a": "remove exited_too_long", "b": "keep keep"}


def test_what_is_protected_otherwise_counts_as_one_of_the_last() -> None:
    used, old, older = image("app", tags=("app:3",)), image("old", tags=("app:2",)), image("older", tags=("app:1",))
    look = snapshot(used, old, older, running("web", of="app", image="app:3"))
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
    for look in (snapshot(new, old), snapshot(old, new)):
        made = plan(look, cleanup(keeping_images(last=1, per="repository")))
        assert steps(made) == ["remove image app:1"]


def test_the_newest_of_each_repository_stays() -> None:
    images = [
        image("a", tags=("app:1",), created_at=NOW - DAY),
        image("b", tags=("app:2", "other/app:2"), created_at=NOW),
        image("c", tags=("other/app:1",), created_at=NOW - HOUR),
        untagged("d"),
    ]
    made = plan(snapshot(*images), cleanup({**UNUSED, "keep": {"newest_tag": True}}))
    assert [why(made, subject).partition(" ")[0] for subject in images] == ["remove", "keep", "remove", "remove"]


def test_ended_members_of_a_running_project_stay_and_their_images() -> None:
    job = container("migrate", labels=member("migrate"), of="tools")
    look = snapshot(job, running("web", labels=member("web")), image("tools"), image("app"))
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
    assert why(plan(snapshot(job, container("web", labels=member("web"))), cleanup(EXITED)), job) == (
        "remove exited_too_long"
    )


@pytest.mark.parametrize("grace", ["0s", "60d"])
def test_a_policy_may_opt_out_of_the_restart_policy_and_of_nothing_else(grace: str) -> None:
    meant = container("web", restart_policy="always")
    made = plan(snapshot(meant), cleanup({**EXITED, "restart_policy": "ignore"}, grace=grace))
    assert why(made, meant) == ("remove exited_too_long" if grace == "0s" else "keep restart_policy")


def test_only_the_policy_that_opts_out_removes() -> None:
    meant = container("web", restart_policy="always")
    other = policy("other", "container", when={"finished_for": "30d"}, restart_policy="ignore")
    assert why(plan(snapshot(meant), cleanup(EXITED, other)), meant) == "keep restart_policy"


def test_a_run_stops_at_its_most_items_and_what_rests_on_the_others_stays() -> None:
    parent, child = untagged("parent"), image("child", parent="parent")
    look = snapshot(*jobs("b", "a"), parent, child)
    made = plan(look, cleanup(EXITED, UNUSED, max_items=1))
    assert steps(made) == ["remove container a"]
    assert decisions(made)["b"] == "keep budget_spent"
    assert why(made, child) == "keep budget_spent"
    assert why(made, parent) == "keep has_children"


def test_a_run_stops_at_its_most_bytes_which_smaller_ones_may_still_fit() -> None:
    images = [image("a", size=600), image("b", size=600), image("c", size=400)]
    assert steps(plan(snapshot(*images), cleanup(UNUSED, max_bytes="1000B"))) == [
        "remove image a:1",
        "remove image c:1",
    ]


def test_what_only_reports_spends_nothing() -> None:
    made = plan(snapshot(*jobs("b", "a")), cleanup({**EXITED, "mode": "report"}, max_items=1))
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
    look = snapshot(container("good"), container("failed", exit_code=1, labels=member("web")))
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
    look = snapshot(
        image("1", tags=("r:5000/team/app:1",)),
        image("2", tags=("redis:7",), digests=("redis@sha256:d0",)),
        image("3", tags=("a:1", "b:latest")),
        untagged("4"),
    )
    made = plan(look, cleanup({**UNUSED, "select": select}))
    assert {item.name for item in made.in_force if item.action == "remove"} == selected
