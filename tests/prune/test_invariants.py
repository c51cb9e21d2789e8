"""What holds for every plan, whatever the host and the policies."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.prune.test_meaning import ENGINE, NOW, hex_id, image_id
from watchd.config import Cleanup
from watchd.model import Container, Image, Observation, Own, Snapshot
from watchd.prune.plan import Plan
from watchd.prune.planner import plan

DAY = 86400.0
moments = st.one_of(st.none(), st.floats(NOW - 90 * DAY, NOW + DAY))
labels = st.dictionaries(st.sampled_from(["watchd.keep", "team"]), st.sampled_from(["true", "false", "odd", "core"]))
NAMES = ["a", "b", "c", "d", "e", "f"]
TAGS = ["app:1", "app:2", "lib:1", "registry:5000/x/y:1"]


@st.composite
def hosts(draw: st.DrawFn) -> Snapshot:
    """A host with images in a forest, tags on at most one of them each, and containers of them."""
    images: list[Image] = []
    free = list(TAGS)
    for index, name in enumerate(draw(st.lists(st.sampled_from(NAMES), unique=True))):
        tags = tuple(sorted(draw(st.lists(st.sampled_from(free), unique=True)) if free else []))
        free = [tag for tag in free if tag not in tags]
        parent = draw(st.one_of(st.none(), st.sampled_from(NAMES)))
        known = [image.id for image in images[:index]]
        images.append(
            Image(
                image_id(name),
                tags,
                tuple(draw(st.lists(st.sampled_from([f"q{index}@sha256:{name}", f"app@sha256:{name}"]), unique=True))),
                image_id(parent) if parent and image_id(parent) in known else None,
                size=draw(st.integers(0, 10**9)),
                labels=draw(labels),
            )
        )
    containers: list[Container] = []
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True)):
        status = draw(st.sampled_from(["created", "running", "paused", "exited", "dead", "removing", "restarting"]))
        containers.append(
            Container(
                id=hex_id(f"container {name}"),
                name=name,
                image=draw(st.sampled_from([*TAGS, "gone:1"])),
                image_id=draw(st.sampled_from([*(image.id for image in images), image_id("gone")])),
                status=status,
                created_at=draw(moments),
                finished_at=draw(moments),
                restart_policy=draw(st.sampled_from(["no", "always", "unless-stopped", "on-failure"])),
                labels=draw(labels),
                pid=7 if status in ("running", "paused") else 0,
                inspected=draw(st.booleans()),
            )
        )
    failures: dict[Any, str] = draw(
        st.dictionaries(st.sampled_from(["container", "image"]), st.just("500"), max_size=1)
    )
    own = draw(st.sampled_from([Own(in_container=False), Own(True, hex_id("container a")), Own(True)]))
    return Snapshot(ENGINE, NOW, own, tuple(containers), tuple(images), failures)


@st.composite
def cleanups(draw: st.DrawFn) -> Cleanup:
    durations = st.sampled_from(["0s", "1h", "7d"])
    policies = []
    for index in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from(["container", "image"]))
        clocks = (
            ["finished_for", "never_started_for"]
            if kind == "container"
            else ["unused_for", "arrived_for", "dangling_for"]
        )
        select: dict[str, Any] = {}
        if kind == "image":
            classes = ["untagged", "dangling", "digest_only", "tagged"]
            select["class"] = draw(st.lists(st.sampled_from(classes), unique=True))
        policies.append(
            {
                "name": f"p{index}",
                "kind": kind,
                "mode": draw(st.sampled_from(["report", "enforce"])),
                "select": select,
                "when": draw(st.dictionaries(st.sampled_from(clocks), durations, min_size=1)),
            }
        )
    return Cleanup.model_validate(
        {
            "grace": draw(durations),
            "policies": policies,
            "protect": {"labels": draw(st.sampled_from([[], ["team=core"]]))},
        }
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[Snapshot, Cleanup, dict[Any, Observation]]:
    snapshot = draw(hosts())
    observations: dict[Any, Observation] = {}
    keys = [("container", container.id) for container in snapshot.containers]
    keys += [("image", image.id) for image in snapshot.images]
    for key in keys:
        if draw(st.booleans()):
            past = st.floats(NOW - 90 * DAY, NOW)
            observations[key] = Observation(draw(past), draw(past), draw(moments), draw(moments))
    return snapshot, draw(cleanups()), observations


def removed(plan_: Plan) -> set[str]:
    return {item.id for item in plan_.in_force if item.action == "remove"}


def carried_out(snapshot: Snapshot, plan_: Plan) -> Snapshot:
    """Return the host as it is when everything in force has happened."""
    gone = removed(plan_)
    return Snapshot(
        snapshot.engine,
        snapshot.taken_at,
        snapshot.own,
        tuple(container for container in snapshot.containers if container.id not in gone),
        tuple(image for image in snapshot.images if image.id not in gone),
        snapshot.failures,
    )


@settings(max_examples=100, deadline=None)
@given(cases())
def test_nothing_that_is_needed_or_protected_goes(case: tuple[Snapshot, Cleanup, dict[Any, Observation]]) -> None:
    snapshot, cleanup, observations = case
    gone = removed(plan(snapshot, cleanup, observations, NOW))
    for container in snapshot.containers:
        if container.id in gone:
            assert container.status in ("created", "exited", "dead")
            assert container.inspected
            assert container.labels.get("watchd.keep") in (None, "false")
            assert container.labels.get("team") != "core" or not cleanup.protect.labels
            if container.status != "created":
                assert container.restart_policy in ("no", "on-failure")
            assert "container" not in snapshot.failures
            assert snapshot.own == Own(in_container=False) or snapshot.own.container_id not in (None, container.id)
    for image in snapshot.images:
        if image.id in gone:
            assert image.labels.get("watchd.keep") in (None, "false")
            assert not snapshot.failures
            for container in snapshot.containers:
                if container.image_id == image.id or container.image in image.tags:
                    assert container.id in gone
            for child in snapshot.images:
                if child.parent_id == image.id:
                    assert child.id in gone


@settings(max_examples=100, deadline=None)
@given(cases())
def test_every_object_has_one_decision_with_a_reason(case: tuple[Snapshot, Cleanup, dict[Any, Observation]]) -> None:
    snapshot, cleanup, observations = case
    items = plan(snapshot, cleanup, observations, NOW).items
    decided = [item.id for item in items if item.action != "untag"]
    assert sorted(decided) == sorted([*(c.id for c in snapshot.containers), *(i.id for i in snapshot.images)])
    assert len({item.key for item in items}) == len(items)
    for item in items:
        assert (item.action == "keep") or (item.policy is not None and item.mode is not None)


@settings(max_examples=100, deadline=None)
@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(
    case: tuple[Snapshot, Cleanup, dict[Any, Observation]], random: Any
) -> None:
    snapshot, cleanup, observations = case
    containers, images = list(snapshot.containers), list(snapshot.images)
    random.shuffle(containers)
    random.shuffle(images)
    shuffled = Snapshot(snapshot.engine, NOW, snapshot.own, tuple(containers), tuple(images), snapshot.failures)
    assert plan(shuffled, cleanup, observations, NOW) == plan(snapshot, cleanup, observations, NOW)


@settings(max_examples=100, deadline=None)
@given(cases())
def test_once_carried_out_there_is_nothing_more_to_do(case: tuple[Snapshot, Cleanup, dict[Any, Observation]]) -> None:
    snapshot, cleanup, observations = case
    first = plan(snapshot, cleanup, observations, NOW)
    assert plan(carried_out(snapshot, first), cleanup, observations, NOW).in_force == ()


@settings(max_examples=100, deadline=None)
@given(cases())
def test_children_and_surplus_references_go_first(case: tuple[Snapshot, Cleanup, dict[Any, Observation]]) -> None:
    snapshot, cleanup, observations = case
    plan_ = plan(snapshot, cleanup, observations, NOW)
    order = [item.id for item in plan_.items if item.action == "remove"]
    parents = {image.id: image.parent_id for image in snapshot.images}
    for position, id_ in enumerate(order):
        parent = parents.get(id_)
        if parent in order:
            assert order.index(parent) > position
    for position, item in enumerate(plan_.items):
        if item.action == "untag":
            following = [later for later in plan_.items[position:] if later.id == item.id]
            assert following[-1].action == "remove"
            assert following[-1].name in item.names
