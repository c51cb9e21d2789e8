"""What no policy removes, whatever it selects: each protection with its facts, in the published order. Pure."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from watchd.config import Policy, VolumePolicy
from watchd.model import (
    COMPOSE_PROJECT,
    SWARM_TASK,
    CacheRecord,
    Container,
    Image,
    Kind,
    Listing,
    Network,
    Subject,
    Volume,
)
from watchd.prune.plan import Reason
from watchd.prune.policy import matches, matches_label
from watchd.prune.references import familiar, normalize, repository
from watchd.prune.view import View
from watchd.units import parse_time

Facts = Mapping[str, Any]
Protection = tuple[Reason, Callable[[Any, View], Facts | None]]  # the facts where it applies, None where it does not
KEEP_LABEL = "watchd.keep"
_AT_MOST = 10  # names in the facts: an image may have hundreds of containers

RESTS_ON: Mapping[Kind, tuple[Listing, ...]] = {
    "container": ("container",),
    "image": ("image", "container", "service"),
    "network": ("network", "container"),
    "volume": ("volume", "container"),
    "build_cache": ("build_cache",),
}


def _incomplete_view(subject: Subject, view: View) -> Facts | None:
    failures = view.snapshot.failures
    if not failures:
        return None
    rests_on = RESTS_ON[subject.kind]
    return next(({"failed": failed, "error": failures[failed]} for failed in rests_on if failed in failures), None)


def _own_container(container: Container, view: View) -> Facts | None:
    return _unidentified(view) or ({"watchd": "runs in it"} if container.id == view.snapshot.own.container_id else None)


def _own_image(image: Image, view: View) -> Facts | None:
    return _unidentified(view) or ({"watchd": "runs from it"} if image.id == view.own_image_id else None)


def _unidentified(view: View) -> Facts | None:
    own = view.snapshot.own
    if own.in_container and own.container_id is None:
        return {"watchd": "runs in a container and cannot tell which: nothing is removed that it could be"}
    return None


def _protected_container(container: Container, view: View) -> Facts | None:
    protect = view.cleanup.protect
    if matches(protect.containers, container.name, container.id, container.id[:12]):
        return {"protect": "containers"}
    return _protected_by_label(container.labels, view)


def _protected_image(image: Image, view: View) -> Facts | None:
    if view.cleanup.protect.images and matches(view.cleanup.protect.images, *_names_of(image)):
        return {"protect": "images"}
    found = _protected_by_label(image.labels, view)
    if found is None:
        for container in view.users.get(image.key, ()):
            by_container = _protected_by_label(container.labels, view)
            if by_container is not None:
                return {**by_container, "container": container.name}
    return found


def _protected_network(network: Network, view: View) -> Facts | None:
    if network.is_predefined:
        return {"network": "predefined"}
    if network.is_configuration:
        return {"network": "holds the configuration of others"}
    if matches(view.cleanup.protect.networks, network.name, network.id, network.id[:12]):
        return {"protect": "networks"}
    return _protected_by_label(network.labels, view)


def _protected_volume(volume: Volume, view: View) -> Facts | None:
    # Where another driver keeps its data, or what an option has mounted there, is not this host's to remove.
    if volume.driver != "local":
        return {"driver": volume.driver}
    if volume.options:
        return {"options": sorted(volume.options)}
    if matches(view.cleanup.protect.volumes, volume.name):
        return {"protect": "volumes"}
    return _protected_by_label(volume.labels, view)


def _names_of(image: Image) -> list[str]:
    """Return every way to write which image it is: a glob that means it in any of them protects it."""
    full = [normalize(reference) for reference in image.references]
    digits = image.id.removeprefix("sha256:")
    names = [*image.references, *full, *map(familiar, full)]
    return [*names, *map(repository, names), image.id, digits, digits[:12]]


def _protected_by_label(labels: Mapping[str, str], view: View) -> Facts | None:
    if matches_label(view.cleanup.protect.labels, labels):
        return {"protect": "labels"}
    value = labels.get(KEEP_LABEL)
    if value is None or not view.cleanup.honor_labels or value.strip().lower() == "false":
        return None
    if value.strip().lower() == "true":
        return {KEEP_LABEL: value}
    try:
        until = _moment(value.strip())
    except (ValueError, OverflowError):
        return {KEEP_LABEL: value, "warning": f"{KEEP_LABEL} is true, false or an RFC 3339 date: kept, to be safe"}
    return {KEEP_LABEL: value} if view.now < until else None


def unheeded_label(labels: Mapping[str, str], view: View) -> str:
    """Return why an object with a `watchd.keep` is not kept by it; nothing where it has none."""
    value = labels.get(KEEP_LABEL)
    if value is None:
        return ""
    if not view.cleanup.honor_labels:
        return f"{KEEP_LABEL} is not heeded, since cleanup.honor_labels is false"
    return f"{KEEP_LABEL} is {value}" if value.strip().lower() == "false" else f"{KEEP_LABEL} was until {value}"


def _moment(text: str) -> float:
    """Return the end of a date, or a time, in seconds since the epoch."""
    if "T" in text.upper() or " " in text:
        return parse_time(text)
    day = date.fromisoformat(text)
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() + 86400


def _in_use(subject: Subject, view: View) -> Facts | None:
    users = view.users_left(subject)
    if not users:
        return None
    facts: dict[str, Any] = {
        "containers": sorted(f"{user.name} ({user.status})" for user in users)[:_AT_MOST],
        "container_count": len(users),
    }
    further = _further_tags(subject, view) if isinstance(subject, Image) else []
    return {**facts, "further_tags": further} if further else facts


def _in_use_by_build(record: CacheRecord, _: View) -> Facts | None:
    return {"build": "under way"} if record.in_use else None


def _swarm_task(container: Container, view: View) -> Facts | None:
    if view.snapshot.engine.swarm == "none" or SWARM_TASK not in container.labels:
        return None
    return {"task": container.labels[SWARM_TASK]}


def _swarm_image(image: Image, view: View) -> Facts | None:
    service = view.services.get(image.id)
    return {"service": service} if service is not None else None


def _swarm_network(network: Network, _: View) -> Facts | None:
    return {"scope": network.scope} if network.scope == "swarm" else None


def _is_idle_member(container: Container, view: View) -> bool:
    """Whether a container has ended and others of its Compose project run: `up` and `run` made it, and count on it."""
    project = container.labels.get(COMPOSE_PROJECT)
    return project in view.active_projects and container.status in ("exited", "dead")


def _compose_active_container(container: Container, view: View) -> Facts | None:
    return {"project": container.labels[COMPOSE_PROJECT]} if _is_idle_member(container, view) else None


def _compose_active_image(image: Image, view: View) -> Facts | None:
    members = [container for container in view.users.get(image.key, ()) if _is_idle_member(container, view)]
    return {"project": members[0].labels[COMPOSE_PROJECT], "container": members[0].name} if members else None


def _restart_policy(container: Container, _: View) -> Facts | None:
    meant_to_start_again = container.status in ("exited", "dead") and container.restart_policy in (
        "always",
        "unless-stopped",
    )
    return {"restart_policy": container.restart_policy} if meant_to_start_again else None


def _tag_of_in_use(image: Image, view: View) -> Facts | None:
    # The engine would take these off although a container runs from the image. Every image that this is true of is in
    # use, and that is its reason; the tags are among its facts.
    further = _further_tags(image, view)
    return {"further_tags": further} if further and view.users_left(image) else None


def _further_tags(image: Image, view: View) -> list[str]:
    """Return the tags of an image by which no container names it."""
    if len(image.tags) < 2:
        return []
    named = {normalize(user.image) for user in view.users_left(image) if user.image}
    return [tag for tag in image.tags if normalize(tag) not in named]


def _has_children(subject: Subject, view: View) -> Facts | None:
    children = view.children_left(subject)
    return {"children": sorted(children)[:_AT_MOST], "child_count": len(children)} if children else None


def _grace(subject: Subject, view: View) -> Facts | None:
    needs = view.cleanup.grace
    seen = view.seen(subject)
    # An image that is pulled again has only just come, however long watchd has known it.
    elapsed = 0.0 if seen is None else max(0.0, view.now - max(seen.first_seen, seen.arrived_at))
    return {"first_seen_for": {"elapsed": round(elapsed, 3), "needs": needs}} if elapsed < needs else None


def _keep(subject: Subject, view: View) -> Facts | None:
    return view.spared.get(subject.key)


def _named_volume(volume: Volume, _: View) -> Facts | None:
    return None if volume.is_anonymous else {"volume": "has a name of its own"}


def opts_out(policy: Policy, reason: Reason) -> bool:
    """Return whether a policy says that a protection is not to hold for what it removes."""
    match reason:
        case Reason.COMPOSE_ACTIVE | Reason.RESTART_POLICY:
            return getattr(policy, reason.value, "keep") == "ignore"
        case Reason.NAMED_VOLUME:
            return isinstance(policy, VolumePolicy) and policy.select.named
    return False


PROTECTIONS: Mapping[Kind, tuple[Protection, ...]] = {
    "container": (
        (Reason.INCOMPLETE_VIEW, _incomplete_view),
        (Reason.SELF, _own_container),
        (Reason.PROTECTED, _protected_container),
        (Reason.SWARM, _swarm_task),
        (Reason.COMPOSE_ACTIVE, _compose_active_container),
        (Reason.RESTART_POLICY, _restart_policy),
        (Reason.GRACE, _grace),
        (Reason.KEEP, _keep),
    ),
    "image": (
        (Reason.INCOMPLETE_VIEW, _incomplete_view),
        (Reason.SELF, _own_image),
        (Reason.PROTECTED, _protected_image),
        (Reason.IN_USE, _in_use),
        (Reason.SWARM, _swarm_image),
        (Reason.COMPOSE_ACTIVE, _compose_active_image),
        (Reason.TAG_OF_IN_USE, _tag_of_in_use),
        (Reason.HAS_CHILDREN, _has_children),
        (Reason.GRACE, _grace),
        (Reason.KEEP, _keep),
    ),
    "network": (
        (Reason.INCOMPLETE_VIEW, _incomplete_view),
        (Reason.PROTECTED, _protected_network),
        (Reason.IN_USE, _in_use),
        (Reason.SWARM, _swarm_network),
        (Reason.GRACE, _grace),
        (Reason.KEEP, _keep),
    ),
    "volume": (
        (Reason.INCOMPLETE_VIEW, _incomplete_view),
        (Reason.PROTECTED, _protected_volume),
        (Reason.IN_USE, _in_use),
        (Reason.GRACE, _grace),
        (Reason.KEEP, _keep),
        (Reason.NAMED_VOLUME, _named_volume),
    ),
    "build_cache": (
        (Reason.INCOMPLETE_VIEW, _incomplete_view),
        (Reason.IN_USE, _in_use_by_build),
        (Reason.HAS_CHILDREN, _has_children),
        (Reason.GRACE, _grace),
        (Reason.KEEP, _keep),
    ),
}

_ONLY_WHERE: Mapping[Reason, Callable[[View], Any]] = {
    Reason.INCOMPLETE_VIEW: lambda view: view.snapshot.failures,
    Reason.SELF: lambda view: view.snapshot.own.in_container or view.snapshot.own.container_id,
    Reason.COMPOSE_ACTIVE: lambda view: view.active_projects,
    Reason.GRACE: lambda view: view.cleanup.grace,
    Reason.KEEP: lambda view: view.spared,
}  # what a look has to have for a protection to apply to anything in it


def protections_in(view: View) -> dict[Kind, list[Protection]]:
    """Return the protections that may apply to anything in a look, in the published order."""
    idle = {reason for reason, cause in _ONLY_WHERE.items() if not cause(view)}
    return {kind: [each for each in protections if each[0] not in idle] for kind, protections in PROTECTIONS.items()}
