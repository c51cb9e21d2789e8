"""Look at one object again, and remove it if it still is what the plan was made for. Nothing is forced.

The engine itself refuses to remove a container or a volume that is in use. It would untag an image that a container
runs from, and remove a network that a stopped container needs, so for these the containers are looked at as well.
"""

import logging
from collections.abc import Mapping, Sequence

from watchd.cleanup.plan.builds import is_built_on
from watchd.cleanup.plan.host import active_projects
from watchd.cleanup.plan.plan import Item, Outcome
from watchd.cleanup.run.container_list import ContainerList
from watchd.cleanup.run.run_events import RunEvents
from watchd.cleanup.run.volume_list import VolumeList
from watchd.engine.client import EngineClient
from watchd.engine.data.mounts import with_mounts
from watchd.model import COMPOSE_PROJECT, Container, EngineView, Image, Network, Volume
from watchd.model.names.references import normalize, repository
from watchd.store import Store

logger = logging.getLogger(__name__)


class Remover:
    """Remove objects of the plan that was made from one view. `images` are the IDs of the images that it removes.

    `untagged` has the references that this run removed; `removed_along` the IDs of images that the engine removed with
    another one; `images_stopped` is why no further image may be removed.
    """

    def __init__(
        self, client: EngineClient, store: Store, view: EngineView, images: frozenset[str], events: RunEvents
    ) -> None:
        self._client = client
        self._subjects = {subject.key: subject for subject in view.subjects()}
        self._active_projects = active_projects(view.containers)
        self._store = store
        self._engine = view.engine.id
        self._planned_at = view.taken_at
        self._images = images
        self._events = events
        self._containers = ContainerList(client, events)
        self._volumes = VolumeList(client, events)
        self.untagged: set[str] = set()
        self.removed_along: set[str] = set()
        self.images_stopped = ""

    def remove(self, item: Item) -> tuple[Outcome, str]:
        """Return the outcome and its detail. Raise `EngineError`; with 404 the object is gone."""
        subject = self._subjects[item.subject]
        match subject:
            case Container():
                return self._remove_container(subject)
            case Image():
                return self._untag(item, subject) if item.action == "untag" else self._remove_image(item, subject)
            case Network():
                return self._remove_network(subject)
            case Volume():
                return self._remove_volume(subject)
        raise AssertionError(f"{item.kind} is not removed one by one")

    def _remove_container(self, planned: Container) -> tuple[Outcome, str]:
        drift = _container_drift(planned, self._client.container(planned.id))
        if drift:
            return Outcome.DRIFTED, drift
        if COMPOSE_PROJECT in planned.labels and (
            started := self._started_project(planned.labels, self._containers.now(networks=False))
        ):
            return Outcome.DRIFTED, started
        self._client.remove_container(planned.id)
        return Outcome.REMOVED, ""

    def _remove_network(self, planned: Network) -> tuple[Outcome, str]:
        """Remove a network that no container has: the engine itself refuses only for a running one."""
        now = self._client.network(planned.id)
        if now.name != planned.name:
            return Outcome.DRIFTED, f"it is called {now.name} now"
        names = {planned.name, planned.id}
        containers = self._containers.now()
        user = next((each for each in containers if names.intersection(each.networks)), None)
        if user:
            return Outcome.DRIFTED, f"container {user.name} is attached to it now"
        if started := self._started_project(planned.labels, containers):
            return Outcome.DRIFTED, started
        self._client.remove_network(planned.id)
        return Outcome.REMOVED, ""

    def _remove_volume(self, planned: Volume) -> tuple[Outcome, str]:
        now = self._volumes.now(planned.name)
        if now.identity != planned.identity:
            return Outcome.DRIFTED, "it was removed and made again"
        if any(each.options and each.mounted is not False for each in with_mounts([now])):
            return Outcome.DRIFTED, f"something is mounted at {now.mountpoint} now, or mounts cannot be read"
        if planned.builder and any(each.name == planned.builder for each in self._containers.now()):
            return Outcome.DRIFTED, f"builder {planned.builder} is there now"
        self._client.remove_volume(planned.name)
        return Outcome.REMOVED, ""

    def _untag(self, item: Item, planned: Image) -> tuple[Outcome, str]:
        """Remove one of several references: the engine would do so even while a container runs from it."""
        now = self._client.image(item.name)
        if now.id != item.id:
            return Outcome.DRIFTED, f"{item.name} is another image now"
        if use := self._use_of(planned) or self._build_on(now):
            return Outcome.DRIFTED, use
        return self._delete(item, item.name, deletes=False)

    def _remove_image(self, item: Item, planned: Image) -> tuple[Outcome, str]:
        """Remove by ID: the engine refuses where there is a second reference, and would only untag by name.

        It does not refuse an untagged image that has one tag now, so each image is inspected right before.
        """
        if item.id in self.removed_along:
            return Outcome.REMOVED, "the engine removed it along with a child"
        if self.images_stopped:
            return Outcome.DEFERRED, self.images_stopped
        now = self._client.image(item.id)
        drift = _image_drift(planned, now, self.untagged)
        if drift:
            return Outcome.DRIFTED, drift
        if use := self._use_of(planned) or self._build_on(now):
            return Outcome.DRIFTED, use
        return self._delete(item, item.id, deletes=True)

    def _delete(self, item: Item, reference: str, *, deletes: bool) -> tuple[Outcome, str]:
        _, deleted = self._client.remove_image(reference)
        # The reply lists layers, too. It must list no other image, and at an untag not this one either.
        # Engines that ignore `noprune` remove parents along; those that the plan removes next may go.
        expected = self._images if deletes else frozenset()
        unexpected = [id_ for id_ in deleted if ("image", id_) in self._subjects and id_ not in expected]
        if unexpected:
            self.images_stopped = f"the engine also deleted {', '.join(unexpected)}: no further image is removed"
            logger.error("removing %s: %s", item.name, self.images_stopped)
            return Outcome.FAILED, self.images_stopped
        if deletes and item.id not in deleted:
            return Outcome.FAILED, "the engine took its names off and kept the image"
        self.removed_along |= expected.intersection(deleted)
        return Outcome.REMOVED, ""

    def _use_of(self, image: Image) -> str:
        """Return the user of the image; empty: it has none."""
        names = {normalize(reference) for reference in image.references}
        containers = self._containers.now(networks=False)
        for container in containers:
            if container.image_id == image.id or normalize(container.image) in names:
                return f"container {container.name} uses it now"
        if not self._events.arrived.isdisjoint((image.id, *names)):
            return "it was pulled, loaded or tagged since"
        return self._started_project(image.labels, containers) if image.tags else ""

    def _build_on(self, image: Image) -> str:
        """Return the image that was built on this one since the plan was made, if on record; else empty."""
        for id_, layers in self._store.arrivals(self._engine, since=self._planned_at):
            if id_ != image.id and is_built_on(layers, image.layers or ()):
                return f"image {id_.removeprefix('sha256:')[:12]} was built on it"
        return ""

    def _started_project(self, labels: Mapping[str, str], containers: Sequence[Container]) -> str:
        """Return that the Compose project of an object runs, if it did not when the plan was made."""
        project = labels.get(COMPOSE_PROJECT)
        started = project in active_projects(containers) - self._active_projects
        return f"its Compose project {project} runs now" if started else ""


def _container_drift(planned: Container, now: Container) -> str:
    """Return the change since the plan was made; empty: there is none."""
    if now.status != planned.status:
        return f"it is {now.status} now"
    if (now.started_at, now.finished_at) != (planned.started_at, planned.finished_at):
        return "it has run since"
    if now.name != planned.name:
        return f"it is called {now.name} now"
    if now.restart_policy != planned.restart_policy:
        return f"its restart policy is {now.restart_policy} now"
    return ""


def _image_drift(planned: Image, now: Image, untagged: set[str]) -> str:
    """Return the change since the plan was made, apart from references that this run removed; empty: there is none."""
    left = set(planned.tags) - untagged
    if set(now.tags) != left:
        return f"its tags are {', '.join(now.tags) or 'gone'} now"
    # Fewer digest references than planned are fine: one goes with the last tag of its repository. The containerd store
    # derives more from the tags, in inspects only. Any other one is new.
    repositories = {repository(tag) for tag in planned.tags}
    new = [digest for digest in now.digests if digest not in planned.digests and repository(digest) not in repositories]
    if new:
        return f"it is {new[0]}, too, now"
    return ""
