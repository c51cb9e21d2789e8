"""One look at the engine as the planner needs it: who uses what, and who is whose parent. Pure."""

import math
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from watchd.config import Cleanup, ContainerPolicy, ImagePolicy
from watchd.model import COMPOSE_PROJECT, Container, Image, ImageClass, Kind, Observation, Observations, Snapshot
from watchd.prune.keeping import spared_containers, spared_images
from watchd.prune.references import abbreviates, normalize

_ACTIVE = frozenset(("running", "paused", "restarting"))


@dataclass
class View:
    """A snapshot with what was observed of it, indexed. `removed` grows while the plan is made."""

    snapshot: Snapshot
    cleanup: Cleanup
    observations: Observations
    now: float
    removed: set[str] = field(default_factory=set)  # IDs of what this plan removes in force
    items_left: float = field(init=False)  # of the ceilings of a run
    bytes_left: float = field(init=False)
    spared: Mapping[tuple[Kind, str], Mapping[str, Any]] = field(init=False)  # what the keep rules spare, and why
    own_image_id: str | None = field(init=False)  # of the image that watchd runs from, if it runs in a container
    active_projects: frozenset[str] = field(init=False)  # of Compose: with a running member
    images: Mapping[str, Image] = field(init=False)  # by ID
    users: Mapping[str, list[Container]] = field(init=False)  # by image ID: the containers that need it
    children: Mapping[str, list[str]] = field(init=False)  # by image ID: the IDs of the images built on it

    def __post_init__(self) -> None:
        self.images = {image.id: image for image in self.snapshot.images}
        self.users = _users(self.snapshot, self.images)
        children: dict[str, list[str]] = defaultdict(list)
        for image in self.snapshot.images:
            if image.parent_id:
                children[image.parent_id].append(image.id)
        self.children = children
        self.items_left = math.inf if self.cleanup.max_items is None else self.cleanup.max_items
        self.bytes_left = math.inf if self.cleanup.max_bytes is None else self.cleanup.max_bytes
        self.spared = self._spared()
        own = self.snapshot.own.container_id
        self.own_image_id = next((each.image_id for each in self.snapshot.containers if each.id == own), None)
        self.active_projects = frozenset(
            container.labels[COMPOSE_PROJECT]
            for container in self.snapshot.containers
            if COMPOSE_PROJECT in container.labels and container.status in _ACTIVE
        )

    def _spared(self) -> dict[tuple[Kind, str], Mapping[str, Any]]:
        policies = self.cleanup.policies
        containers = spared_containers(
            [policy for policy in policies if isinstance(policy, ContainerPolicy)], self.snapshot.containers, self.now
        )
        images = spared_images(
            [policy for policy in policies if isinstance(policy, ImagePolicy)],
            self.snapshot.images,
            lambda id_: self.seen("image", id_),
            self.now,
        )
        kept: dict[tuple[Kind, str], Mapping[str, Any]] = {("container", id_): why for id_, why in containers.items()}
        kept |= {("image", id_): why for id_, why in images.items()}
        return kept

    def remove(self, id_: str, size: int) -> bool:
        """Count an object as removed, unless that would exceed a ceiling of the run. Return whether it is."""
        if self.items_left < 1 or size > self.bytes_left:
            return False
        self.items_left -= 1
        self.bytes_left -= size
        self.removed.add(id_)
        return True

    def seen(self, kind: Kind, id_: str) -> Observation | None:
        """Return what was observed of an object, None for nothing."""
        return self.observations.get((kind, id_))

    def users_left(self, image: Image) -> list[Container]:
        """Return the containers, in any state, that need an image and are not removed by this plan."""
        return [container for container in self.users.get(image.id, ()) if container.id not in self.removed]

    def children_left(self, image: Image) -> list[str]:
        """Return the IDs of the images built on an image that are not removed by this plan."""
        return [child for child in self.children.get(image.id, ()) if child not in self.removed]

    def classes(self, image: Image) -> frozenset[ImageClass]:
        """Return the classes that an image is of, the removals so far counted as having happened."""
        if image.tags:
            return frozenset(("tagged",))
        if image.digests:
            return frozenset(("untagged", "digest_only"))
        if self.children_left(image):
            return frozenset(("untagged",))
        return frozenset(("untagged", "dangling"))


def children_first(images: Collection[Image]) -> list[Image]:
    """Return images so that each comes before the one it was built on, in an order that the input's does not change."""
    by_id = {image.id: image for image in images}
    depths: dict[str, int] = {}
    for image in sorted(images, key=lambda image: image.id):
        chain = []
        step: Image | None = image
        while step is not None and step.id not in depths:
            chain.append(step.id)
            depths[step.id] = 0  # also what ends a circle, which no engine makes but garbage may
            step = by_id.get(step.parent_id or "")
        base = depths[step.id] if step is not None and step.id not in chain else -1
        depths.update((id_, depth) for depth, id_ in enumerate(reversed(chain), start=base + 1))
    return sorted(images, key=lambda image: (-depths[image.id], image.name, image.id))


def _users(snapshot: Snapshot, images: Collection[str]) -> dict[str, list[Container]]:
    """Return the containers of each image: by image ID, and by every reference that they name it by.

    By reference too, since the tag that a container was made from may be on another image by now: whoever makes the
    container again gets that one.
    """
    by_reference = {normalize(reference): image.id for image in snapshot.images for reference in image.references}
    users: dict[str, list[Container]] = defaultdict(list)
    for container in sorted(snapshot.containers, key=lambda container: (container.name, container.id)):
        needed = {container.image_id}
        for reference in (container.image, *container.image_mounts):
            if not reference:
                continue
            found = by_reference.get(normalize(reference))
            if found:
                needed.add(found)
            else:
                needed.update(id_ for id_ in images if abbreviates(reference, id_))
        for image_id in needed:
            users[image_id].append(container)
    return users
