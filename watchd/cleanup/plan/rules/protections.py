"""Protections: conditions under which no policy removes an object, in their documented order. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from watchd.cleanup.plan.host import Host
from watchd.cleanup.plan.plan import Facts
from watchd.cleanup.plan.reasons import Reason
from watchd.cleanup.plan.rules.protected import (
    UNMOUNTED,
    protected_container,
    protected_image,
    protected_network,
    protected_volume,
)
from watchd.cleanup.plan.simulation import Simulation
from watchd.config import ContainerPolicy, Policy, VolumePolicy
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
from watchd.model.names.references import normalize

Protection = tuple[Reason, Callable[[Any, Simulation], Facts | None]]
"""A check returns its facts if it applies, else None."""

_STOPPED = ("created", "exited", "dead")
BUILDER = "builder"  # fact of a container of `docker buildx`
_MAX_NAMES = 10  # in the facts: an image may have hundreds of containers

NEEDED_LISTS: Mapping[Kind, tuple[Listing, ...]] = {
    "container": ("container",),
    "image": ("image", "container", "service"),
    "network": ("network", "container"),
    "volume": ("volume", "container"),
    "build_cache": ("build_cache",),
}
"""The lists that must be complete before anything of a kind is removed."""


def _incomplete_view(subject: Subject, simulation: Simulation) -> Facts | None:
    failures = simulation.host.view.failures
    if not failures:
        return None
    needed = NEEDED_LISTS[subject.kind]
    return next(({"failed": failed, "error": failures[failed]} for failed in needed if failed in failures), None)


def _own_container(container: Container, simulation: Simulation) -> Facts | None:
    host = simulation.host
    return _unidentified(host) or ({"watchd": "runs in it"} if container.id == host.view.own.container_id else None)


def _own_image(image: Image, simulation: Simulation) -> Facts | None:
    host = simulation.host
    return _unidentified(host) or ({"watchd": "runs from it"} if image.id == host.own_image_id else None)


def _unidentified(host: Host) -> Facts | None:
    own = host.view.own
    if own.in_container and own.container_id is None:
        return {"watchd": "watchd cannot identify its own container, so it removes no container and no image"}
    return None


def _in_use(subject: Subject, simulation: Simulation) -> Facts | None:
    users = simulation.users(subject)
    if not users:
        return None
    facts: dict[str, Any] = {
        "containers": sorted(f"{user.name} ({user.status})" for user in users)[:_MAX_NAMES],
        "container_count": len(users),
    }
    further = _further_tags(subject, simulation) if isinstance(subject, Image) else []
    return {**facts, "further_tags": further} if further else facts


def _builder(container: Container, _: Simulation) -> Facts | None:
    # It is started again by the next build, and without it the cache in its volume looks unused.
    return {BUILDER: container.name} if container.builder_state else None


def _in_use_by_build(record: CacheRecord, _: Simulation) -> Facts | None:
    return {"build": "under way"} if record.in_use else None


def _swarm_task(container: Container, simulation: Simulation) -> Facts | None:
    if simulation.host.view.engine.swarm == "none" or SWARM_TASK not in container.labels:
        return None
    return {"task": container.labels[SWARM_TASK]}


def _swarm_image(image: Image, simulation: Simulation) -> Facts | None:
    service = simulation.host.services.get(image.id)
    return {"service": service} if service is not None else None


def _swarm_network(network: Network, _: Simulation) -> Facts | None:
    return {"scope": network.scope} if network.scope == "swarm" else None


def _is_stopped_member(container: Container, host: Host) -> bool:
    """Return whether a container does not run while its Compose project does: Compose may start it again."""
    return container.status in _STOPPED and container.labels.get(COMPOSE_PROJECT) in host.active_projects


def _compose_active_container(container: Container, simulation: Simulation) -> Facts | None:
    return {"project": container.labels[COMPOSE_PROJECT]} if _is_stopped_member(container, simulation.host) else None


def _compose_active_image(image: Image, simulation: Simulation) -> Facts | None:
    host = simulation.host
    members = [container for container in host.users.get(image.key, ()) if _is_stopped_member(container, host)]
    if members:
        return {"project": members[0].labels[COMPOSE_PROJECT], "container": members[0].name}
    # Compose labels what it builds, and starts services from it that have no container now.
    return _of_active_project(image.labels, host) if image.tags else None


def _compose_active_network(network: Network, simulation: Simulation) -> Facts | None:
    return _of_active_project(network.labels, simulation.host)


def _of_active_project(labels: Mapping[str, str], host: Host) -> Facts | None:
    project = labels.get(COMPOSE_PROJECT)
    return {"project": project} if project in host.active_projects else None


def _restart_policy(container: Container, _: Simulation) -> Facts | None:
    if container.builder_state:  # buildx gives all of them such a policy, and they have a protection of their own
        return None
    restarts = container.status in _STOPPED and container.restart_policy in ("always", "unless-stopped")
    return {"restart_policy": container.restart_policy} if restarts else None


def _tag_of_in_use(image: Image, simulation: Simulation) -> Facts | None:
    # The engine would untag it although a container runs from the image. Such an image is always in use as well, which
    # comes first; this protection documents why its further tags stay.
    further = _further_tags(image, simulation)
    return {"further_tags": further} if further and simulation.users(image) else None


def _further_tags(image: Image, simulation: Simulation) -> list[str]:
    """Return the tags that no container names."""
    if len(image.tags) < 2:
        return []
    named = {normalize(user.image) for user in simulation.users(image) if user.image}
    return [tag for tag in image.tags if normalize(tag) not in named]


def _has_children(subject: Subject, simulation: Simulation) -> Facts | None:
    children = simulation.children(subject)
    return {"children": sorted(children)[:_MAX_NAMES], "child_count": len(children)} if children else None


def _grace(subject: Subject, simulation: Simulation) -> Facts | None:
    host = simulation.host
    needs = host.cleanup.grace
    seen = host.observation(subject)
    # An image that is pulled again has just arrived, however long watchd has known it.
    elapsed = 0.0 if seen is None else max(0.0, host.now - max(seen.first_seen, seen.arrived_at))
    young = elapsed < needs or (seen is None and isinstance(subject, Image))  # never looked at: it may be needed
    return {"first_seen_for": {"elapsed": round(elapsed, 3), "needs": needs}} if young else None


def _keep(subject: Subject, simulation: Simulation) -> Facts | None:
    return simulation.host.kept.get(subject.key)


def _named_volume(volume: Volume, _: Simulation) -> Facts | None:
    # What its options mount keeps its data: there the protection of options is enough.
    return None if volume.is_anonymous or volume.mounts_device else {"volume": "has a name of its own"}


def opts_out(policy: Policy, kind: Kind, reason: Reason, facts: Facts) -> bool:
    """Return whether a policy removes objects of a kind in spite of a protection, which applies with these facts."""
    match reason:
        case Reason.GRACE:  # a volume goes with containers whose grace is over, and is no younger than they are
            return kind == "volume" and policy.kind == "container"
        case Reason.PROTECTED:
            return bool(facts.get(UNMOUNTED)) and isinstance(policy, VolumePolicy) and policy.select.driver == "local"
        case Reason.IN_USE:
            return BUILDER in facts and isinstance(policy, ContainerPolicy) and policy.builders == "ignore"
        case Reason.COMPOSE_ACTIVE | Reason.RESTART_POLICY:
            return getattr(policy, reason.value, "keep") == "ignore"
        case Reason.NAMED_VOLUME:
            return isinstance(policy, VolumePolicy) and (policy.select.named or bool(policy.select.class_))
    return False


PROTECTIONS: Mapping[Kind, tuple[Protection, ...]] = {
    "container": (
        (Reason.INCOMPLETE_VIEW, _incomplete_view),
        (Reason.SELF, _own_container),
        (Reason.PROTECTED, protected_container),
        (Reason.IN_USE, _builder),
        (Reason.SWARM, _swarm_task),
        (Reason.COMPOSE_ACTIVE, _compose_active_container),
        (Reason.RESTART_POLICY, _restart_policy),
        (Reason.GRACE, _grace),
        (Reason.KEEP, _keep),
    ),
    "image": (
        (Reason.INCOMPLETE_VIEW, _incomplete_view),
        (Reason.SELF, _own_image),
        (Reason.PROTECTED, protected_image),
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
        (Reason.PROTECTED, protected_network),
        (Reason.IN_USE, _in_use),
        (Reason.SWARM, _swarm_network),
        (Reason.COMPOSE_ACTIVE, _compose_active_network),
        (Reason.GRACE, _grace),
        (Reason.KEEP, _keep),
    ),
    "volume": (
        (Reason.INCOMPLETE_VIEW, _incomplete_view),
        (Reason.PROTECTED, protected_volume),
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

_POSSIBLE: Mapping[Reason, Callable[[Host], Any]] = {
    Reason.INCOMPLETE_VIEW: lambda host: host.view.failures,
    Reason.SELF: lambda host: host.view.own.in_container or host.view.own.container_id,
    Reason.COMPOSE_ACTIVE: lambda host: host.active_projects,
    Reason.GRACE: lambda host: host.cleanup.grace or any(not host.observation(each) for each in host.view.images),
    Reason.KEEP: lambda host: host.kept,
}
"""Tests of whether a protection can apply to any object of a host; the others always can."""


def possible_protections(host: Host) -> dict[Kind, list[Protection]]:
    """Return the protections that can apply on a host, in their documented order."""
    impossible = {reason for reason, possible in _POSSIBLE.items() if not possible(host)}
    return {
        kind: [protection for protection in protections if protection[0] not in impossible]
        for kind, protections in PROTECTIONS.items()
    }
