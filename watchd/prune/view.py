"""One look at the engine as the planner needs it: who uses what, who is made of whom, how full the disk is. Pure."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

from watchd.config import Cleanup
from watchd.model import (
    COMPOSE_PROJECT,
    CacheRecord,
    Container,
    Disk,
    Image,
    ImageClass,
    Key,
    Kind,
    Network,
    Observation,
    Observations,
    Snapshot,
    Subject,
    Volume,
)
from watchd.prune.keeping import spared
from watchd.prune.references import ImageIds, normalize

_ACTIVE = frozenset(("running", "paused", "restarting"))
_NO_IMAGE: frozenset[ImageClass] = frozenset()
_TAGGED: frozenset[ImageClass] = frozenset(("tagged",))
_DIGEST_ONLY: frozenset[ImageClass] = frozenset(("untagged", "digest_only"))
_UNTAGGED: frozenset[ImageClass] = frozenset(("untagged",))
_DANGLING: frozenset[ImageClass] = frozenset(("untagged", "dangling"))

T = TypeVar("T", bound=Subject)


@dataclass
class View:
    """A snapshot with what was observed of it, indexed. What `remove` is told counts as gone from then on."""

    snapshot: Snapshot
    cleanup: Cleanup
    observations: Observations
    now: float
    removed: set[Key] = field(default_factory=set)  # what this plan removes in force
    items_left: float = field(init=False)  # of the ceilings of a run
    bytes_left: float = field(init=False)
    spared: Mapping[Key, Mapping[str, Any]] = field(init=False)  # what the keep rules spare, and why
    own_image_id: str | None = field(init=False)  # of the image that watchd runs from, if it runs in a container
    active_projects: frozenset[str] = field(init=False)  # of Compose: with a running member
    images: Mapping[str, Image] = field(init=False)  # by ID
    services: Mapping[str, str] = field(init=False)  # names of Swarm services by the ID of the image that they need
    users: Mapping[Key, list[Container]] = field(init=False)  # the containers that need an object
    children: Mapping[Key, list[Key]] = field(init=False)  # what is made of an image, or of a record of the cache
    freed: Counter[str] = field(default_factory=Counter)  # bytes by the path of the disk

    def __post_init__(self) -> None:
        snapshot = self.snapshot
        self.images = {image.id: image for image in snapshot.images}
        by_reference = {normalize(reference): image.id for image in snapshot.images for reference in image.references}
        self.users = _users(snapshot, by_reference)
        self.services = _services(snapshot, by_reference)
        self.children = _children(snapshot)
        self.items_left = math.inf if self.cleanup.max_items is None else self.cleanup.max_items
        self.bytes_left = math.inf if self.cleanup.max_bytes is None else self.cleanup.max_bytes
        self.spared = spared(self.cleanup.policies, snapshot.subjects(), self.seen, self.now)
        own = snapshot.own.container_id
        self.own_image_id = next((each.image_id for each in snapshot.containers if each.id == own), None)
        self.active_projects = frozenset(
            container.labels[COMPOSE_PROJECT]
            for container in snapshot.containers
            if COMPOSE_PROJECT in container.labels and container.status in _ACTIVE
        )

    def remove(self, subjects: Sequence[Subject]) -> bool:
        """Count objects of one kind that go together as removed, unless that would exceed a ceiling of the run.

        Return whether they are.
        """
        size = sum(map(self.size, subjects))
        if self.items_left < len(subjects) or size > self.bytes_left:
            return False
        self.items_left -= len(subjects)
        self.bytes_left -= size
        self.removed.update([subject.key for subject in subjects])
        self.free(subjects[0].kind, size)
        return True

    def free(self, kind: Kind, size: int) -> None:
        """Count so many bytes as freed on the disk that objects of a kind are on."""
        disk = self.snapshot.disks.get(kind)
        if disk is not None:
            self.freed[disk.path] += size

    def disk(self, kind: Kind) -> Disk | None:
        """Return the disk that objects of a kind are on, as it would be by now; None where it cannot be measured."""
        disk = self.snapshot.disks.get(kind)
        return None if disk is None else disk.freed(self.freed[disk.path])

    def without_effect(self) -> "View":
        """Return a view of what would still be there, for judging what is only reported."""
        other = copy(self)
        other.removed = set(self.removed)
        other.freed = self.freed.copy()
        return other

    def seen(self, subject: Subject) -> Observation | None:
        """Return what was observed of an object, None for nothing."""
        return self.observations.get((subject.kind, subject.identity))

    def users_left(self, subject: Subject) -> list[Container]:
        """Return the containers, in any state, that need an object and are not removed by this plan."""
        return [container for container in self.users.get(subject.key, ()) if container.key not in self.removed]

    def children_left(self, subject: Subject) -> list[str]:
        """Return the IDs of what is made of an object and not removed by this plan."""
        return [child[1] for child in self.children.get(subject.key, ()) if child not in self.removed]

    def taken_along(self, subject: Subject) -> list[Image]:
        """Return the parents that the engine removes along with an image, the nearest first.

        Those without a tag that have no other child left, on engines that ignore `noprune`.
        """
        found: list[Image] = []
        if not isinstance(subject, Image) or self.snapshot.engine.honors_noprune:
            return found
        child, parent = subject, self.images.get(subject.parent_id or "")
        while parent and not parent.tags and parent not in found and self.children_left(parent) == [child.id]:
            found.append(parent)
            child, parent = parent, self.images.get(parent.parent_id or "")
        return found

    def classes(self, subject: Subject) -> frozenset[ImageClass]:
        """Return the classes that an image is of, the removals so far counted as having happened."""
        if not isinstance(subject, Image):
            return _NO_IMAGE
        if subject.tags:
            return _TAGGED
        if subject.digests:
            return _DIGEST_ONLY
        return _UNTAGGED if self.children_left(subject) else _DANGLING

    def size(self, subject: Subject) -> int:
        """Return an estimate of the bytes that go with an object alone; 0 where nobody measured it."""
        match subject:
            case Container():
                return subject.size_rw or 0
            case Image():
                return self._unique_bytes(subject)
            case Volume():
                return subject.size or 0
            case CacheRecord():
                return 0 if subject.shared else subject.size
        return 0

    def _unique_bytes(self, image: Image) -> int:
        """Return an image's size less the layers that it shares."""
        if image.shared_size is not None:
            return max(0, image.size - image.shared_size)
        parent = self.images.get(image.parent_id or "")
        return max(0, image.size - parent.size) if parent else image.size


def in_order(view: View) -> list[Subject]:
    """Return every object so that what uses or is made of another comes before it, whatever the order of the lists."""
    snapshot = view.snapshot
    containers = sorted(snapshot.containers, key=lambda c: (c.finished_at or c.created_at or 0.0, c.id))
    images = _children_first(snapshot.images, lambda image: (image.parent_id,) if image.parent_id else ())
    networks = sorted(snapshot.networks, key=lambda network: (network.name, network.id))
    volumes = sorted(snapshot.volumes, key=lambda volume: volume.name)
    cache = _children_first(snapshot.build_cache, lambda record: record.parents)
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
                depths[id_] = 0  # also what ends a circle, which no engine makes but garbage may
                stack += [parent for parent in above if parent not in depths]
            else:
                depths[id_] = max((depths[parent] + 1 for parent in above if parent != id_), default=0)
                stack.pop()
    return sorted(subjects, key=lambda subject: (-depths[subject.id], subject.name, subject.id))


def _children(snapshot: Snapshot) -> dict[Key, list[Key]]:
    children: dict[Key, list[Key]] = defaultdict(list)
    for image in snapshot.images:
        if image.parent_id:
            children["image", image.parent_id].append(image.key)
    for record in snapshot.build_cache:
        for parent in record.parents:
            children["build_cache", parent].append(record.key)
    return children


def _users(snapshot: Snapshot, by_reference: Mapping[str, str]) -> dict[Key, list[Container]]:
    """Return the containers that need each image, network and volume.

    An image by its ID, and by every reference that a container names it by, since the tag that a container was made
    from may be on another image by now: whoever makes the container again gets that one.
    """
    image_ids = ImageIds(image.id for image in snapshot.images)

    @cache  # many containers are made from one image
    def meant_by(reference: str) -> frozenset[Key]:
        found = by_reference.get(normalize(reference)) if reference else None
        return frozenset(("image", id_) for id_ in ((found,) if found else image_ids.abbreviated(reference)))

    users: dict[Key, list[Container]] = defaultdict(list)
    networks = _network_ids(snapshot.networks)
    for container in sorted(snapshot.containers, key=lambda container: (container.name, container.id)):
        needed: set[Key] = {("image", container.image_id)}
        for reference in (container.image, *container.image_mounts):
            needed |= meant_by(reference)
        needed |= {("volume", name) for name in container.volumes}
        for name in container.networks:
            needed |= {("network", id_) for id_ in networks.get(name, ())}
        for key in needed:
            users[key].append(container)
    return users


def _network_ids(networks: Iterable[Network]) -> dict[str, list[str]]:
    """Return the IDs of the networks that a name (which several may have), an ID or its first 12 digits means."""
    ids: dict[str, list[str]] = defaultdict(list)
    for network in networks:
        for name in {network.name, network.id, network.id[:12]}:
            ids[name].append(network.id)
    return ids


def _services(snapshot: Snapshot, by_reference: Mapping[str, str]) -> dict[str, str]:
    """Return the Swarm service that needs an image, by image ID.

    A service names an image by tag and digest; an image that was loaded has no digest, so there the tag counts. What
    stands for services on a worker has IDs.
    """
    services: dict[str, str] = {}
    for service in snapshot.services:
        for reference in service.images:
            full = normalize(reference)
            found = by_reference.get(full) or by_reference.get(normalize(reference.partition("@")[0]))
            services.setdefault(found or reference, service.name)
    return services
