"""Properties of every plan, checked by a small engine that carries it out and refuses as Docker does."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar, get_args

from hypothesis import given, note, settings
from hypothesis import strategies as st

from tests.unit.cleanup.builders import HOUR, NOW, disk, disks, hex_id, image_id, network, record, view, volume
from tests.unit.settings import checked
from watchd.cleanup.plan.plan import Plan
from watchd.cleanup.plan.planner import Trigger, plan
from watchd.config import Cleanup
from watchd.model import (
    COMPOSE_PROJECT,
    CacheRecord,
    Container,
    EngineView,
    FormerReference,
    Image,
    Key,
    Kind,
    Listing,
    Network,
    Observation,
    Observations,
    Own,
    Subject,
    Volume,
)

# How people write a reference, by what Docker means by it.
SPELLINGS = {
    "app:1": ["app:1", "docker.io/library/app:1", "docker.io/app:1", "index.docker.io/library/app:1"],
    "app:latest": ["app", "app:latest", "library/app", "docker.io/library/app:latest"],
    "team/app:2": ["team/app:2", "docker.io/team/app:2"],
    "r:5000/x/y:1": ["r:5000/x/y:1"],
    "app@sha256:d0": ["app@sha256:d0", "app:7@sha256:d0", "docker.io/library/app@sha256:d0"],
}
MEANING = {spelling: reference for reference, spellings in SPELLINGS.items() for spelling in spellings}
TAGS = [reference for reference in SPELLINGS if "@" not in reference]
NAMES = ["zero", "one", "two", "three", "four"]


def ids_meant_by(reference: str, images: list[Image]) -> set[str]:
    """Return the images that a container made with this reference needs."""
    named = {image.id for image in images if MEANING.get(reference) in image.references}
    abbreviated = {image.id for image in images if reference and hex_of(image).startswith(reference)}
    return named or abbreviated


def hex_of(image: Image) -> str:
    return image.id.removeprefix("sha256:")


@dataclass(frozen=True)
class Case:
    """A host, what was observed of it, and what is to be done about it."""

    host: EngineView
    known: Observations
    cleanup: Cleanup

    def plan(self) -> Plan:
        return plan(self.host, self.cleanup, self.known, NOW)

    def without_keeps(self) -> "Case":
        """Rules spare from every policy, whether or not their own is in force or due."""
        policies = tuple(replace(policy, keep=None) for policy in self.cleanup.policies)
        return replace(self, cleanup=replace(self.cleanup, policies=policies))


T = TypeVar("T")


def rarely(strategy: st.SearchStrategy[T], ordinary: T) -> st.SearchStrategy[T]:
    """Draw what is ordinary nearly always: where everything is odd nothing ever goes, and the tests see nothing."""
    return st.integers(0, 9).flatmap(lambda number: strategy if number == 9 else st.just(ordinary))


labels: st.SearchStrategy[dict[str, str]] = rarely(
    st.dictionaries(
        st.sampled_from(["watchd.keep", "team", COMPOSE_PROJECT]),
        st.sampled_from(["true", "false", "2027-01-16", "2027-01-14", "core"]),
    ),
    {},
)
times = rarely(
    st.none() | st.sampled_from([NOW - 2 * HOUR, NOW - HOUR, NOW - HOUR + 1, NOW, NOW + HOUR]), NOW - 100 * HOUR
)
durations = st.sampled_from(["0s", "1h", "3h"])


@st.composite
def hosts(draw: st.DrawFn) -> EngineView:
    free = draw(st.permutations(TAGS))
    images: list[Image] = []
    for name in NAMES[: draw(st.integers(1, len(NAMES)))]:
        count = draw(st.integers(0, min(3, len(free))))
        tags, free = free[:count], free[count:]
        parents = [image_id(other) for other in NAMES[: len(images)]] or [image_id("gone")]
        digests = ("app@sha256:d0",) if name == "zero" and draw(st.booleans()) else ()
        former = [] if tags or digests else draw(st.lists(st.sampled_from(TAGS), unique=True, max_size=2))
        images.append(
            Image(
                id=image_id(name),
                tags=tuple(sorted(tags)),
                digests=digests,
                parent_id=draw(st.none() | st.sampled_from(parents) | rarely(st.just(image_id("four")), None)),
                size=draw(st.integers(0, 1000)),
                labels=draw(labels),
                former=tuple(FormerReference(reference, NOW - HOUR) for reference in former),
            )
        )
    references = st.sampled_from([*MEANING, "", "gone:1", *(hex_id(name)[:12] for name in NAMES)])
    containers = [
        Container(
            id=hex_id(f"container {name}"),
            name=name,
            image=draw(st.just("gone:1") | references),
            image_id=image_id(draw(st.sampled_from(NAMES))),
            status=(status := draw(st.sampled_from(["exited", "exited", "exited", "dead", "created", "running"]))),
            created_at=draw(times),
            finished_at=None if status == "created" else draw(times),
            restart_policy=draw(rarely(st.sampled_from(["always", "unless-stopped", "on-failure"]), "no")),
            labels=draw(labels),
            pid=draw(st.sampled_from([0, 7])),
            image_mounts=draw(rarely(references.map(lambda reference: (reference,)), ())),
            inspected=draw(rarely(st.just(value=False), ordinary=True)),
        )
        for name in NAMES[: draw(st.integers(0, 3))]
    ]
    for index, container_ in enumerate(containers):
        containers[index] = replace(
            container_,
            volumes=tuple(sorted(draw(st.frozensets(st.sampled_from(VOLUME_NAMES), max_size=2)))),
            networks=draw(st.sampled_from([(), ("net-0",), (hex_id("network net-1"),), ("net-gone",)])),
        )
    networks = [
        network(name, labels=draw(labels), scope=draw(rarely(st.just("swarm"), "local")))
        for name in ["bridge", "net-0", "net-1"][: draw(st.integers(0, 3))]
    ]
    volumes = [
        volume(
            name,
            labels=draw(labels) | ({"com.docker.volume.anonymous": ""} if name in ANONYMOUS else {}),
            driver=draw(rarely(st.just("nfs"), "local")),
            size=draw(st.none() | st.integers(0, 1000)),
            options=draw(rarely(st.sampled_from([{"device": ":/srv"}, {"size": "1G"}]), {})),
            mounted=draw(st.sampled_from([False, False, True, None])),
        )
        for name in draw(st.permutations(VOLUME_NAMES))[: draw(st.integers(0, 3))]
    ]
    records = [
        record(
            name,
            of=tuple(draw(st.frozensets(st.sampled_from([*NAMES[:index], "gone"]), max_size=2))),
            in_use=draw(rarely(st.just(value=True), ordinary=False)),
            size=draw(st.integers(0, 1000)),
            last_used_at=draw(times),
        )
        for index, name in enumerate(NAMES[: draw(st.integers(0, 3))])
    ]
    owns = st.sampled_from([Own(in_container=True, container_id=hex_id("container one")), Own(in_container=True)])
    failed: st.SearchStrategy[dict[Listing, str]] = st.sampled_from([{kind: "500"} for kind in get_args(Kind)])
    full = draw(st.integers(0, 100))
    return view(
        *containers,
        *images,
        *networks,
        *volumes,
        *records,
        own=draw(rarely(owns, Own(in_container=False))),
        failures=draw(rarely(failed, {})),
        disks=draw(st.sampled_from([{}, disks(disk(full * 100, of=10_000))])),
    )


CLOCKS = {
    "container": ["finished_for", "never_started_for"],
    "image": ["unused_for", "arrived_for", "dangling_for"],
    "network": ["unused_for", "arrived_for"],
    "volume": ["unused_for", "arrived_for"],
    "build_cache": ["unused_for", "arrived_for"],
}
POLICIES = {
    "c0": "container", "c1": "container", "i0": "image", "i1": "image", "i2": "image", "n0": "network", "v0": "volume",
    "v1": "volume", "b0": "build_cache",
}  # fmt: skip
ANONYMOUS = [hex_id("volume one"), hex_id("volume two")]
LISTS = ("containers", "images", "networks", "volumes", "build_cache")
VOLUME_NAMES = [*ANONYMOUS, "data", "cache"]


@st.composite
def policies(draw: st.DrawFn, name: str, kind: str) -> dict[str, Any]:
    """Draw a policy; the first of each kind removes most of what it may."""
    first = name.endswith("0")
    select: dict[str, Any] = {}
    if not first and kind == "container":
        select["status"] = draw(st.sampled_from([["exited", "dead"], ["created", "running"]]))
    if not first and kind == "image":
        classes = ["untagged", "dangling", "digest_only", "tagged"]
        select["class"] = draw(st.lists(st.sampled_from(classes), unique=True, max_size=2))
        select["repository"] = draw(rarely(st.sampled_from([["app"], ["*", "!team/*"]]), []))
    if kind == "volume" and not first:
        select |= {"named": True, "name": ["c*"]} | draw(st.sampled_from([{}, {"driver": "local"}]))
    if kind != "build_cache":
        select["labels"] = draw(rarely(st.sampled_from([{"any": ["team"]}, {"none": ["team=core"]}]), {}))
    clock = CLOCKS[kind][0] if first else draw(st.sampled_from(CLOCKS[kind]))
    when = {clock: draw(durations)}
    when |= draw(rarely(st.fixed_dictionaries(dict.fromkeys(CLOCKS[kind], durations)), {}))
    mode = draw(st.sampled_from(["report", "enforce", "enforce"]))
    policy: dict[str, Any] = {"name": name, "kind": kind, "mode": mode, "select": select, "when": when}
    keep = draw(rarely(keeps(kind), {}))
    if keep:
        policy["keep"] = keep
        policy["when"] = draw(st.sampled_from([when, {}]))
    compose = ("compose_active",)
    opts_out = {"container": ("compose_active", "restart_policy"), "image": compose, "network": compose}
    for key in opts_out.get(kind, ()):
        policy[key] = draw(rarely(st.just("ignore"), "keep"))
    if kind == "container":
        policy |= draw(st.sampled_from([{}, {"anonymous_volumes": True}]))
    if kind != "network":
        pressure = {"high": "80%", "low": "50%", "order": draw(st.sampled_from(["lru", "oldest", "largest", "cost"]))}
        policy |= draw(rarely(st.just({"pressure": pressure}), {}))
        if "pressure" in policy:
            policy["when"] = draw(st.sampled_from([when, {}]))
    return that_can_hold(policy)


def that_can_hold(policy: dict[str, Any]) -> dict[str, Any]:
    """Return a policy that is not refused: `finished_for` never holds for what runs."""
    select = policy["select"]
    if "running" in select.get("status", ()) and "finished_for" in policy["when"]:
        return {**policy, "select": {**select, "status": ["created"]}}
    return policy


def keeps(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    """Draw a keep rule."""
    groups = {
        "container": ["name", "compose_service", "host", "label:team"],
        "image": ["repository", "host", "label:team"],
    }.get(kind)
    lasts: list[dict[str, Any]] = [{"last": 1}, {"last": 2}]
    if groups is not None:
        lasts = [{**last, "per": group} for last in lasts for group in groups]
    if kind == "image":
        lasts += [{**last, "by": "version"} for last in lasts] + [{"newest_tag": True}]
    return st.sampled_from([{"within": "1h"}, *lasts])


@st.composite
def cases(draw: st.DrawFn) -> Case:
    host = draw(hosts())
    cleanup = checked(
        Cleanup,
        {
            "grace": draw(durations),
            "honor_labels": draw(st.booleans()),
            "protect": {
                "labels": draw(rarely(st.just(["team=core"]), [])),
                "images": draw(rarely(st.sampled_from([["app"], ["docker.io/team/*"]]), [])),
                "containers": draw(rarely(st.just(["one"]), [])),
            },
            "policies": draw(st.permutations([draw(policies(name, kind)) for name, kind in POLICIES.items()])),
        },
    )
    known: dict[Key, Observation] = {}
    for key in [(subject.kind, subject.identity) for subject in host.subjects()]:
        if draw(rarely(st.just(value=False), ordinary=True)):
            first, arrived = draw(times) or NOW, draw(times) or NOW
            known[key] = Observation(first, max(first, arrived), draw(times), draw(times))
    return Case(host, known, cleanup)


class Engine:
    """An engine that carries a plan out step by step, and asserts that Docker would accept each step."""

    def __init__(self, host: EngineView) -> None:
        self.host = host
        self.containers = {container.id: container for container in host.containers}
        self.images = {image.id: image for image in host.images}
        self.others = {
            subject.key: subject for subject in host.subjects() if not isinstance(subject, Container | Image)
        }

    def carry_out(self, made: Plan) -> EngineView:
        for item in made.in_force:
            note(f"{item.action} {item.kind} {item.name}")
            if item.kind == "container":
                container = self.containers.pop(item.id)
                assert container.status in ("exited", "dead", "created")
                continue
            if item.kind != "image":
                self.remove_other(self.others.pop(item.subject))
                continue
            image = self.images[item.id]
            assert not list(self.users_of(image)), "the engine takes tags off although a container needs them"
            if item.action == "untag":
                assert item.name in image.references
                assert len(image.references) > 1, "it would be deleted with its last reference"
                self.images[item.id] = without(image, item.name)
            else:
                assert is_single(image), "must be forced: it is referenced in several repositories"
                assert item.name == image.name
                assert not [other for other in self.images.values() if other.parent_id == image.id and other != image]
                del self.images[item.id]
        return replace(
            self.host,
            containers=tuple(self.containers.values()),
            images=tuple(self.images.values()),
            networks=tuple(each for each in self.others.values() if isinstance(each, Network)),
            volumes=tuple(each for each in self.others.values() if isinstance(each, Volume)),
            build_cache=tuple(each for each in self.others.values() if isinstance(each, CacheRecord)),
            disks={kind: space.freed(self.freed(made)) for kind, space in self.host.disks.items()},
        )

    @staticmethod
    def freed(made: Plan) -> int:
        return sum(item.bytes for item in made.in_force if item.action == "remove")

    def remove_other(self, subject: Subject) -> None:
        containers = self.containers.values()
        match subject:
            case Network():
                assert not subject.is_predefined
                assert subject.scope == "local"
                assert not [each for each in containers if {subject.name, subject.id}.intersection(each.networks)]
            case Volume():
                assert not [each for each in containers if subject.name in each.volumes]
            case CacheRecord():
                assert not subject.in_use
                left = [each for each in self.others.values() if isinstance(each, CacheRecord)]
                assert not [each for each in left if subject.id in each.parents]

    def users_of(self, image: Image) -> Iterator[Container]:
        """Yield the containers that need an image as it was listed, whatever of it is left."""
        listed = list(self.host.images)
        for container in self.containers.values():
            named = [ids_meant_by(reference, listed) for reference in (container.image, *container.image_mounts)]
            if container.image_id == image.id or any(image.id in ids for ids in named):
                yield container


def without(image: Image, reference: str) -> Image:
    """Return an image after Docker took a reference off: a repository's digests go with its last tag."""
    tags = tuple(tag for tag in image.tags if tag != reference)
    name = reference.partition("@")[0].rpartition(":")[0]
    if "@" in reference or any(tag.rpartition(":")[0] == name for tag in tags):
        return replace(image, tags=tags, digests=tuple(each for each in image.digests if each != reference))
    return replace(image, tags=tags, digests=tuple(each for each in image.digests if each.partition("@")[0] != name))


def is_single(image: Image) -> bool:
    """Return whether Docker removes an image by its ID: at most one tag, and digests only of its repository."""
    names = {tag.rpartition(":")[0] for tag in image.tags} | {digest.partition("@")[0] for digest in image.digests}
    return len(image.tags) <= 1 and len(names) <= 1


@given(cases())
@settings(deadline=None)
def test_an_engine_can_carry_every_plan_out_and_then_nothing_more_is_in_force(case: Case) -> None:
    after = Engine(case.host).carry_out(case.plan())
    again = plan(after, case.cleanup, case.known, NOW)
    assert [f"{item.action} {item.name}" for item in again.in_force] == []


def must_stay(labels: Any, cleanup: Cleanup) -> bool:
    """Return whether labels say that an object stays."""
    if "team=core" in cleanup.protect.labels and labels.get("team") == "core":
        return True
    return cleanup.honor_labels and labels.get("watchd.keep") in ("true", "core", "2027-01-16")


@given(cases())
@settings(deadline=None)
def test_nothing_that_is_protected_young_or_unknown_would_go_whatever_the_mode(case: Case) -> None:
    host, cleanup = case.host, case.cleanup
    going = {item.id for item in case.plan().items if item.action != "keep"}
    for container in host.containers:
        if container.id not in going:
            continue
        assert "container" not in host.failures
        assert host.own.container_id != container.id
        assert not host.own.in_container or host.own.container_id
        assert container.inspected
        assert container.status in ("exited", "dead", "created")
        assert not must_stay(container.labels, cleanup)
        assert container.name not in cleanup.protect.containers
        ignored = any(getattr(policy, "restart_policy", "keep") == "ignore" for policy in cleanup.policies)
        assert container.restart_policy in ("no", "on-failure") or ignored
        assert not in_active_project(container, case, "container")
        assert is_old(case.known.get(("container", container.id)), cleanup)


@given(cases())
@settings(deadline=None)
def test_no_network_volume_or_image_would_go_that_is_protected_young_or_unknown(case: Case) -> None:
    host, cleanup = case.host, case.cleanup
    going = {item.id for item in case.plan().items if item.action != "keep"}
    for volume_ in host.volumes:
        if volume_.id in going:
            assert not {"container", "volume"}.intersection(host.failures)
            assert volume_.driver == "local"
            assert volume_.is_anonymous or volume_.name == "cache", "none names it"
            assert not volume_.options or (volume_.mounted is False and volume_.name == "cache")
            assert not must_stay(volume_.labels, cleanup)
            assert is_old(case.known.get(("volume", volume_.identity)), cleanup)
    for network_ in host.networks:
        if network_.id in going:
            assert not {"container", "network"}.intersection(host.failures)
            assert not must_stay(network_.labels, cleanup)
            assert not in_active_project(network_, case, "network")
            assert is_old(case.known.get(("network", network_.id)), cleanup)
    for image in host.images:
        if image.id not in going:
            continue
        assert not {"container", "image"}.intersection(host.failures)
        assert not host.own.in_container or host.own.container_id
        assert not must_stay(image.labels, cleanup)
        assert not image.tags or not in_active_project(image, case, "image")
        if "app" in cleanup.protect.images:
            assert not [name for name in image.references if name.startswith("app")]
        if cleanup.protect.images == ("docker.io/team/*",):
            assert not [name for name in image.references if name.startswith("team/")]
        assert ("image", image.id) in case.known
        assert is_old(case.known["image", image.id], cleanup)


def in_active_project(subject: Subject, case: Case, kind: Kind) -> bool:
    """Return whether a container of the same Compose project runs, and no policy ignores that."""
    runs = {each.labels.get(COMPOSE_PROJECT) for each in case.host.containers if each.status == "running"} - {None}
    ignored = any(
        getattr(each, "compose_active", "") == "ignore" for each in case.cleanup.policies if each.kind == kind
    )
    return subject.labels.get(COMPOSE_PROJECT) in runs and not ignored


def is_old(seen: Observation | None, cleanup: Cleanup) -> bool:
    """Return whether the grace period of an object is over."""
    return not cleanup.grace or (
        seen is not None and seen.first_seen <= NOW - cleanup.grace and seen.arrived_at <= NOW - cleanup.grace
    )


@given(cases())
@settings(deadline=None, max_examples=50)
def test_policies_in_report_mode_change_nothing_in_force(case: Case) -> None:
    case = case.without_keeps()
    enforcing = [policy for policy in case.cleanup.policies if policy.mode == "enforce"]
    alone = replace(case.cleanup, policies=tuple(enforcing))
    assert plan(case.host, alone, case.known, NOW).in_force == case.plan().in_force


@given(cases())
@settings(deadline=None, max_examples=50)
def test_policies_that_are_not_due_might_as_well_not_be_there(case: Case) -> None:
    case = case.without_keeps()
    due = [policy for policy in case.cleanup.policies if policy.name not in ("c0", "i1")]
    alone = replace(case.cleanup, policies=tuple(due))
    some = plan(case.host, case.cleanup, case.known, NOW, Trigger(due={policy.name for policy in due}))
    assert some == plan(case.host, alone, case.known, NOW)


@given(cases(), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=50)
def test_every_object_has_one_decision_and_the_order_of_the_lists_changes_none(case: Case, random: Any) -> None:
    made = case.plan()
    decided = sorted(item.subject for item in made.items if item.action != "untag")
    assert decided == sorted(subject.key for subject in case.host.subjects())
    lists: dict[str, Any] = {name: list(getattr(case.host, name)) for name in LISTS}
    for subjects in lists.values():
        random.shuffle(subjects)
    shuffled: dict[str, Any] = {name: tuple(subjects) for name, subjects in lists.items()}
    assert replace(case, host=replace(case.host, **shuffled)).plan() == made


@given(cases())
@settings(deadline=None, max_examples=50)
def test_with_more_time_more_goes_and_never_less(case: Case) -> None:
    """Unless it is for room on the disk: what went by time alone made some."""
    without = tuple(policy for policy in case.cleanup.policies if policy.pressure is None)
    case = replace(case, cleanup=replace(case.cleanup, policies=without))
    now = {item.id for item in case.plan().in_force}
    later = {item.id for item in plan(case.host, case.cleanup, case.known, NOW + HOUR).in_force}
    assert now <= later
