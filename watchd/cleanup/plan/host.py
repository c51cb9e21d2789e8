"""Index of one view: users of each object, parents of images, order of removal. Immutable, pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Self, TypeVar

from watchd.cleanup.plan.plan import Facts
from watchd.cleanup.plan.rules.keep_rules import kept_by_rules
from watchd.cleanup.plan.space.space import Space
from watchd.config import Cleanup, ContainerPolicy
from watchd.model import (
    COMPOSE_PROJECT,
    CacheRecord,
    Container,
    EngineView,
    Image,
    Key,
    Network,
    Observation,
    Observations,
    Subject,
)
from watchd.model.names.references import ImageIds, normalize

_ACTIVE = frozenset(("running", "paused", "restarting"))

T = TypeVar("T", bound=Subject)


@dataclass(frozen=True)
class Host:
    """A view with its observations and settings, indexed for planning."""

    view: EngineView
    cleanup: Cleanup
    observations: Observations
    now: float
    subjects: Sequence[Subject]  # in the order of removal: users and children first
    images: Mapping[str, Image]  # by ID
    users: Mapping[Key, Sequence[Container]]  # the containers that need an object
    children: Mapping[Key, Sequence[Key]]  # of an image or a cache record
    services: Mapping[str, str]  # names of Swarm services, by the ID of the image that they need
    active_projects: frozenset[str]  # Compose projects with a running container
    own_image_id: str | None  # watchd's image, if it runs in a container
    kept: Mapping[Key, Facts]  # by keep rules
    volume_takers: frozenset[str]  # names of the container policies with `anonymous_volumes`

    @classmethod
    def index(cls, view: EngineView, cleanup: Cleanup, observations: Observations, now: float) -> Self:
        """Index a view."""
        subjects = _in_order(view)
        by_reference = {normalize(reference): image.id for image in view.images for reference in image.references}
        own = view.own.container_id
        return cls(
            view=view,
            cleanup=cleanup,
            observations=observations,
            now=now,
            subjects=subjects,
            images={image.id: image for image in view.images},
            users=_users(view, by_reference),
            children=_children(view),
            services=_services(view, by_reference),
            active_projects=active_projects(view.containers),
            own_image_id=next((each.image_id for each in view.containers if each.id == own), None),
            kept=kept_by_rules(cleanup.policies, subjects, observations, now),
            volume_takers=frozenset(
                policy.name
                for policy in cleanup.policies
                if isinstance(policy, ContainerPolicy) and policy.anonymous_volumes
            ),
        )

    def observation(self, subject: Subject) -> Observation | None:
        """Return the observation of an object, if there is one."""
        return self.observations.get((subject.kind, subject.identity))

    @cached_property
    def space(self) -> Space:
        """The disk space that the objects hold."""
        return Space.of(self.view)

    def needed_first(self, subject: Subject) -> Iterator[Key]:
        """Yield the objects to remove before an object: containers that need it, and its children."""
        yield from (container.key for container in self.users.get(subject.key, ()))
        yield from self.children.get(subject.key, ())


def active_projects(containers: Iterable[Container]) -> frozenset[str]:
    """Return the Compose projects with a running container."""
    return frozenset(
        container.labels[COMPOSE_PROJECT]
        for container in containers
        if COMPOSE_PROJECT in container.labels and container.status in _ACTIVE
    )


def _in_order(view: EngineView) -> list[Subject]:
    """Return all objects in the order of removal, independent of the order of the lists."""
    containers = sorted(view.containers, key=lambda c: (c.finished_at or c.created_at or 0.0, c.id))
    images = _children_first(view.images, lambda image: (image.parent_id,) if image.parent_id else ())
    networks = sorted(view.networks, key=lambda network: (network.name, network.id))
    volumes = sorted(view.volumes, key=lambda volume: volume.name)
    listed = view.build_cache if "build_cache" in view.kinds else ()
    cache = _least_recently_used_first(_children_first(listed, lambda record: record.parents))
    return [*containers, *images, *networks, *volumes, *cache]


def _children_first(subjects: Sequence[T], parents: Callable[[T], Sequence[str]]) -> list[T]:
    by_id = {subject.id: subject for subject in subjects}
    depths = {subject.id: 0 for subject in subjects if by_id.keys().isdisjoint(parents(subject))}
    for first in sorted(by_id.keys() - depths):
        stack = [first]
        while stack:
            id_ = stack[-1]
            above = [parent for parent in parents(by_id[id_]) if parent in by_id]
            if id_ not in depths:
                depths[id_] = 0  # also ends a cycle, which no engine creates but bad data may contain
                stack += [parent for parent in above if parent not in depths]
            else:
                depths[id_] = max((depths[parent] + 1 for parent in above if parent != id_), default=0)
                stack.pop()
    return sorted(subjects, key=lambda subject: (-depths[subject.id], subject.name, subject.id))


def _least_recently_used_first(records: Sequence[CacheRecord]) -> list[CacheRecord]:
    """Sort records, children first, by their last use; a parent comes after its children, whenever it was used.

    BuildKit compares a request with each record that was used no later than its own: so the oldest go first.
    """
    turns: dict[str, float] = {}
    for record in records:
        turn = turns[record.id] = max(turns.get(record.id, 0.0), record.last_used_at or 0.0)
        for parent in record.parents:
            turns[parent] = max(turns.get(parent, 0.0), turn)
    return sorted(records, key=lambda record: turns[record.id])


def _children(view: EngineView) -> dict[Key, list[Key]]:
    children: dict[Key, list[Key]] = defaultdict(list)
    for image in view.images:
        if image.parent_id:
            children["image", image.parent_id].append(image.key)
    for record in view.build_cache:
        for parent in record.parents:
            children["build_cache", parent].append(record.key)
    return children


def _users(view: EngineView, by_reference: Mapping[str, str]) -> dict[Key, list[Container]]:
    """Return the containers that need each image, network and volume.

    A container needs its image by ID and also every image that it names: a tag may have moved since, and recreating the
    container takes the image that has it now.
    """
    image_ids = ImageIds(image.id for image in view.images)

    @cache  # many containers have the same image
    def named(reference: str) -> frozenset[Key]:
        found = by_reference.get(normalize(reference)) if reference else None
        return frozenset(("image", id_) for id_ in ((found,) if found else image_ids.abbreviated(reference)))

    users: dict[Key, list[Container]] = defaultdict(list)
    networks = _network_ids(view.networks)
    for container in sorted(view.containers, key=lambda container: (container.name, container.id)):
        needed: set[Key] = {("image", container.image_id)}
        for reference in (container.image, *container.image_mounts):
            needed |= named(reference)
        state = (container.builder_state,) if container.builder_state else ()
        needed |= {("volume", name) for name in (*container.volumes, *state)}
        for name in container.networks:
            needed |= {("network", id_) for id_ in networks.get(name, ())}
        for key in needed:
            users[key].append(container)
    return users


def _network_ids(networks: Iterable[Network]) -> dict[str, list[str]]:
    """Return the IDs of networks by name (names are not unique), by ID, and by its first 12 digits."""
    ids: dict[str, list[str]] = defaultdict(list)
    for network in networks:
        for name in {network.name, network.id, network.id[:12]}:
            ids[name].append(network.id)
    return ids


def _services(view: EngineView, by_reference: Mapping[str, str]) -> dict[str, str]:
    """Return the Swarm service that needs an image, by image ID.

    Services name an image by tag and digest. A loaded image has no digest: there the tag counts. Services that watchd
    derives from tasks on a worker have image IDs.
    """
    services: dict[str, str] = {}
    for service in view.services:
        for reference in service.images:
            full = normalize(reference)
            found = by_reference.get(full) or by_reference.get(normalize(reference.partition("@")[0]))
            services.setdefault(found or reference, service.name)
    return services
