"""What a plan says of small hosts, case by case and at the boundaries."""

from typing import Any

import pytest

from watchd.config import Cleanup
from watchd.model import Container, EngineInfo, Image, Observation, Own, Snapshot
from watchd.prune.plan import Item, Plan
from watchd.prune.planner import plan

NOW = 1_800_000_000.0
HOUR = 3600.0
DAY = 24 * HOUR

ENGINE = EngineInfo("ID", "host", "28.0", "1.51", "overlay2", "graphdriver", "2", "systemd", "/var/lib/docker")
EXITED = {
    "name": "exited",
    "kind": "container",
    "select": {"status": ["exited", "dead"]},
    "when": {"finished_for": "1h"},
}
CREATED = {"name": "created", "kind": "container", "when": {"never_started_for": "1h"}}
DANGLING = {"name": "dangling", "kind": "image", "select": {"class": ["dangling"]}, "when": {"dangling_for": "1d"}}
UNUSED = {"name": "unused", "kind": "image", "select": {"class": ["tagged"]}, "when": {"unused_for": "1d"}}


def hex_id(name: str) -> str:
    return name.encode().hex().ljust(64, "0")


def image_id(name: str) -> str:
    return f"sha256:{hex_id(name)}"


def exited(name: str, *, ago: float = DAY, image: str = "app:1", **fields: Any) -> Container:
    values: dict[str, Any] = {
        "id": hex_id(name),
        "name": name,
        "image": image,
        "image_id": image_id(image),
        "status": "exited",
        "created_at": NOW - ago - HOUR,
        "started_at": NOW - ago - HOUR,
        "finished_at": NOW - ago,
        "exit_code": 0,
    }
    return Container(**values | fields)


def running(name: str, *, image: str = "app:1", **fields: Any) -> Container:
    values: dict[str, Any] = {"status": "running", "pid": 42, "finished_at": None, "exit_code": None}
    return exited(name, image=image, **values | fields)


def image(*tags: str, name: str = "", digests: tuple[str, ...] = (), parent: str = "", **fields: Any) -> Image:
    name = name or tags[0]
    parent_id = image_id(parent) if parent else None
    return Image(image_id(name), tuple(sorted(tags)), digests, parent_id, size=1000, **fields)


def seen(snapshot: Snapshot, ago: float = 30 * DAY) -> dict[Any, Observation]:
    """Everything was first seen, and lost its tag, so long ago."""
    moment = NOW - ago
    observations = {("container", c.id): Observation(moment, moment) for c in snapshot.containers}
    for i in snapshot.images:
        observations["image", i.id] = Observation(moment, moment, None, None if i.tags else moment)
    return observations


def decide(
    *objects: Container | Image,
    policies: list[dict[str, Any]] | None = None,
    observations: Any = None,
    own: Own | None = None,
    failures: dict[Any, str] | None = None,
    due: set[str] | None = None,
    **cleanup: Any,
) -> Plan:
    snapshot = Snapshot(
        ENGINE,
        NOW,
        own or Own(in_container=False),
        tuple(o for o in objects if isinstance(o, Container)),
        tuple(o for o in objects if isinstance(o, Image)),
        failures or {},
    )
    settings = {
        "mode": "enforce",
        "policies": [EXITED, CREATED, DANGLING, UNUSED] if policies is None else policies,
        **cleanup,
    }
    if observations is None:
        observations = seen(snapshot)
    return plan(snapshot, Cleanup.model_validate(settings), observations, NOW, due=due)


def said(plan_: Plan) -> list[str]:
    """Return action, name and reason of each item."""
    return [f"{item.action} {item.name} {item.reason}" for item in plan_.items]


def only(plan_: Plan) -> Item:
    (item,) = plan_.items
    return item


@pytest.mark.parametrize(
    ("ago", "says"), [(HOUR, "remove c exited_too_long"), (HOUR - 0.001, "keep c condition_not_met")]
)
def test_a_condition_holds_from_exactly_its_duration_on(ago: float, says: str) -> None:
    assert said(decide(exited("c", ago=ago))) == [says]


@pytest.mark.parametrize("status", ["running", "paused", "restarting", "removing", "created"])
def test_only_what_has_ended_can_have_finished(status: str) -> None:
    at_once = [{"name": "all", "kind": "container", "when": {"finished_for": "0s"}}]
    assert only(decide(exited("c", status=status), policies=at_once)).action == "keep"


def test_a_container_that_never_started_goes_by_its_creation() -> None:
    never: dict[str, Any] = {"status": "created", "started_at": None, "finished_at": None}
    assert said(decide(exited("c", created_at=NOW - HOUR, **never))) == ["remove c never_started"]
    assert said(decide(exited("c", created_at=NOW - HOUR + 1, **never))) == ["keep c condition_not_met"]


def test_what_is_unknown_does_not_hold() -> None:
    assert said(decide(exited("c", finished_at=None))) == ["keep c unknown_clock"]
    assert said(decide(exited("c", inspected=False))) == ["keep c unknown_clock"]


def test_a_clock_that_was_set_back_lets_nothing_go() -> None:
    assert said(decide(exited("c", ago=-5 * DAY))) == ["keep c condition_not_met"]


def test_without_a_policy_nothing_is_selected() -> None:
    assert said(decide(exited("c"), image("app:1"), policies=[])) == ["keep c not_selected", "keep app:1 in_use"]


def test_the_first_policy_that_holds_decides() -> None:
    later = {**EXITED, "name": "later", "when": {"finished_for": "2h"}}
    assert only(decide(exited("c", ago=1.5 * HOUR), policies=[later, EXITED])).policy == "exited"
    assert only(decide(exited("c", ago=3 * HOUR), policies=[later, EXITED])).policy == "later"


def test_policies_that_enforce_come_before_those_that_report() -> None:
    reports = {**EXITED, "name": "reports", "mode": "report"}
    item = only(decide(exited("c"), policies=[reports, EXITED]))
    assert (item.policy, item.mode) == ("exited", "enforce")


def test_select_needs_all_of_it() -> None:
    policy = {**EXITED, "select": {"name": ["ci-*"], "labels": {"any": ["a", "b=1*"], "all": ["c"], "none": ["d=x"]}}}
    labels = {"b": "12", "c": ""}

    def goes(**change: Any) -> bool:
        container = exited(change.pop("name", "ci-1"), labels=labels | change)
        return only(decide(container, policies=[policy])).action == "remove"

    assert goes()
    assert goes(d="y")
    assert not goes(name="web")
    assert not goes(d="x")
    assert not goes(b="21")
    without_c = exited("ci-1", labels={"b": "12"})
    assert only(decide(without_c, policies=[policy])).reason == "not_selected"


@pytest.mark.parametrize("policy", ["always", "unless-stopped"])
def test_a_stopped_container_that_is_meant_to_start_again_stays(policy: str) -> None:
    assert said(decide(exited("c", restart_policy=policy))) == ["keep c restart_policy"]
    assert said(decide(exited("c", restart_policy="on-failure"))) == ["remove c exited_too_long"]


@pytest.mark.parametrize(
    ("value", "stays"),
    [
        ("true", True),
        ("TRUE", True),
        ("false", False),
        ("2999-01-01", True),
        ("2999-01-01T00:00:00+02:00", True),
        ("2001-01-01", False),
        ("2001-01-01T00:00:00Z", False),
        ("2027-01-15", True),  # the day that NOW is in: until its end
        ("2027-01-14", False),
        ("yes", True),  # neither: kept, with a warning
        ("", True),
    ],
)
def test_the_label_keeps(value: str, *, stays: bool) -> None:
    item = only(decide(exited("c", labels={"watchd.keep": value})))
    assert (item.reason == "protected") == stays
    assert ("warning" in item.facts) == (value in ("yes", ""))
    unused = only(decide(image("x:1", labels={"watchd.keep": value})))
    assert (unused.reason == "protected") == stays
    ignored = only(decide(exited("c", labels={"watchd.keep": value}), honor_labels=False))
    assert ignored.action == "remove"


@pytest.mark.parametrize(
    "glob",
    [
        "redis:7",
        "redis",
        "docker.io/library/redis:7",
        "docker.io/library/*",
        "redis:*",
        image_id("x"),
        hex_id("x")[:12],
    ],
)
def test_an_image_is_protected_however_it_is_written(glob: str) -> None:
    assert said(decide(image("redis:7", name="x"), protect={"images": [glob]})) == ["keep redis:7 protected"]


def test_one_protected_tag_protects_the_image() -> None:
    both = image("a:1", "registry:5000/team/app:1.2", name="x")
    assert said(decide(both, protect={"images": ["registry:5000/team/app"]})) == ["keep a:1 protected"]


def test_containers_are_protected_by_name_and_by_label() -> None:
    assert said(decide(exited("db-1"), protect={"containers": ["db-*"]})) == ["keep db-1 protected"]
    labelled = exited("c", labels={"team": "core"})
    assert said(decide(labelled, protect={"labels": ["team=core"]})) == ["keep c protected"]


def test_an_image_stays_while_any_container_needs_it() -> None:
    for user in (running("c"), exited("c", restart_policy="always"), exited("c", ago=1)):
        assert said(decide(user, image("app:1")))[-1] == "keep app:1 in_use"


def test_an_image_that_the_same_plan_frees_goes_after_its_container() -> None:
    assert said(decide(exited("c"), image("app:1"))) == ["remove c exited_too_long", "remove app:1 unused_too_long"]


def test_what_is_only_reported_frees_nothing() -> None:
    reports = {**EXITED, "mode": "report"}
    plan_ = decide(exited("c"), image("app:1"), policies=[reports, UNUSED])
    assert said(plan_) == ["remove c exited_too_long", "keep app:1 in_use"]
    assert plan_.in_force == ()
    assert plan_.totals()["container"] == {"remove": 0, "untag": 0, "keep": 1, "bytes": 0}


@pytest.mark.parametrize(
    "user",
    [
        running("c", image="app", image_id=image_id("old")),  # its tag is on another image now
        running("c", image="docker.io/library/app:latest", image_id=image_id("old")),
        running("c", image=hex_id("app:latest")[:12], image_id=image_id("old")),
        running("c", image="other", image_id=image_id("other"), image_mounts=("app:latest",)),
    ],
)
def test_an_image_is_in_use_by_every_way_to_name_it(user: Container) -> None:
    assert "keep app:latest in_use" in said(decide(user, image("app:latest")))


def test_an_image_in_use_keeps_all_its_tags() -> None:
    item = decide(running("c"), image("app:1", "app:2", "b:1", name="app:1")).items[-1]
    assert (item.action, item.reason) == ("keep", "in_use")
    assert item.facts["further_tags"] == ["app:2", "b:1"]


def test_surplus_tags_go_first_and_the_image_by_the_first_of_them() -> None:
    digests = ("a@sha256:1", "z@sha256:2")
    plan_ = decide(image("b:1", "a:1", "a:2", name="x", digests=digests))
    # z has no tag here: its digest reference has to be taken off by itself; a's goes with a's last tag.
    assert said(plan_) == [
        "untag a:2 unused_too_long",
        "untag b:1 unused_too_long",
        "untag z@sha256:2 unused_too_long",
        "remove a:1 unused_too_long",
    ]
    assert {item.names for item in plan_.items} == {("a:1", "a:2", "b:1", *digests)}
    assert plan_.totals()["image"] == {"remove": 1, "untag": 3, "keep": 0, "bytes": 1000}


def test_children_go_before_their_parents() -> None:
    chain = [image(name="a"), image(name="b", parent="a"), image(name="c", parent="b")]
    for order in (chain, chain[::-1]):
        plan_ = decide(*order)
        assert [item.id for item in plan_.items] == [image_id("c"), image_id("b"), image_id("a")]
        assert {item.reason.value for item in plan_.items} == {"dangling_too_long"}


def test_the_parent_of_an_image_that_stays_stays() -> None:
    plan_ = decide(image("base:1"), image("kept:1", parent="base:1", labels={"watchd.keep": "true"}))
    assert "keep base:1 has_children" in said(plan_)


def test_a_digest_reference_is_no_dangling_image() -> None:
    digest_only = image(name="x", digests=("a@sha256:1",))
    assert said(decide(digest_only)) == ["keep a@sha256:1 not_selected"]
    policy = {**DANGLING, "select": {"class": ["digest_only"]}}
    assert said(decide(digest_only, policies=[policy])) == ["remove a@sha256:1 dangling_too_long"]


def test_unused_counts_from_the_last_use_or_from_arrival() -> None:
    used = {("image", image_id("a:1")): Observation(NOW - 30 * DAY, NOW - 30 * DAY, last_used=NOW - DAY + 1)}
    assert said(decide(image("a:1"), observations=used)) == ["keep a:1 condition_not_met"]
    arrived = {("image", image_id("a:1")): Observation(NOW - 30 * DAY, NOW - DAY + 1, last_used=NOW - 20 * DAY)}
    assert said(decide(image("a:1"), observations=arrived)) == ["keep a:1 condition_not_met"]
    both = {("image", image_id("a:1")): Observation(NOW - 30 * DAY, NOW - DAY, last_used=NOW - DAY)}
    assert said(decide(image("a:1"), observations=both)) == ["remove a:1 unused_too_long"]


def test_an_old_image_that_has_just_come_stays() -> None:
    just_come = {("image", image_id("a:1")): Observation(NOW, NOW)}
    old = image("a:1", created_at=1.0)
    assert said(decide(old, observations=just_come)) == ["keep a:1 grace"]


@pytest.mark.parametrize(("ago", "reason"), [(2 * HOUR, "exited_too_long"), (2 * HOUR - 1, "grace")])
def test_grace_counts_from_first_sight(ago: float, reason: str) -> None:
    c = exited("c")
    observations = {("container", c.id): Observation(NOW - ago, NOW - ago)}
    assert only(decide(c, observations=observations, grace="2h")).reason == reason
    assert only(decide(c, observations={}, grace="2h")).reason == "grace"
    assert only(decide(c, observations={}, grace="0s")).action == "remove"


def test_an_image_that_arrived_again_is_in_its_grace() -> None:
    pulled = {("image", image_id("a:1")): Observation(NOW - 30 * DAY, NOW - 1)}
    assert said(decide(image("a:1"), observations=pulled)) == ["keep a:1 grace"]


def test_watchd_keeps_itself() -> None:
    me = running("me", image="watchd:1")
    own = Own(in_container=True, container_id=me.id)
    assert said(decide(me, image("watchd:1"), own=own)) == ["keep me self", "keep watchd:1 self"]


def test_in_a_container_that_it_cannot_tell_watchd_removes_no_container_and_no_image() -> None:
    lost = Own(in_container=True)
    plan_ = decide(exited("c"), image(name="x"), own=lost)
    assert {item.reason.value for item in plan_.items} == {"self"}


def test_in_a_container_of_another_engine_watchd_cleans() -> None:
    elsewhere = Own(in_container=True, container_id=hex_id("elsewhere"))
    assert said(decide(exited("c"), own=elsewhere)) == ["remove c exited_too_long"]


def test_images_rest_on_the_list_of_containers() -> None:
    plan_ = decide(image(name="x"), failures={"container": "500"})
    assert said(plan_) == ["keep <none> incomplete_view"]
    assert plan_.incomplete == {"container": "500"}
    plan_ = decide(exited("c"), failures={"image": "500"})
    assert said(plan_) == ["remove c exited_too_long"]  # containers rest on no other list


def test_the_first_protection_is_the_reason() -> None:
    young = Observation(NOW, NOW)
    c = exited("c", labels={"watchd.keep": "true"}, restart_policy="always")
    own = Own(in_container=True, container_id=c.id)
    observations = {("container", c.id): young}
    reasons = []
    for subject, options in (
        (c, {"own": own, "failures": {"container": "x"}}),
        (c, {"own": own}),
        (c, {}),
        (exited("c", restart_policy="always"), {}),
        (exited("c"), {}),
        (exited("c"), {"grace": "0s"}),
    ):
        reasons.append(only(decide(subject, observations=observations, **options)).reason.value)
    assert reasons == ["incomplete_view", "self", "protected", "restart_policy", "grace", "exited_too_long"]


def test_only_policies_that_are_due_are_judged() -> None:
    plan_ = decide(exited("c"), image("app:1"), due={"unused"})
    assert said(plan_) == ["keep c not_selected", "keep app:1 in_use"]


def test_the_bytes_are_an_estimate_of_what_the_image_alone_holds() -> None:
    assert only(decide(image(name="x", shared_size=400))).bytes == 600
    plan_ = decide(image("base:1"), image(name="x", parent="base:1"), protect={"images": ["base"]})
    assert plan_.items[0].bytes == 0  # as large as its parent: it adds nothing


def test_plans_have_names_of_their_own_that_sort_by_time() -> None:
    first, second = decide(exited("c")), decide(exited("d"))
    assert first.plan_id != second.plan_id
    assert first.plan_id.startswith("20270115T080000Z-")
