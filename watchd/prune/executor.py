"""Carrying a plan out: each object is looked at again, recorded, removed, and recorded again.

Nothing is ever forced. One failure ends nothing but what rests on it.
"""

import logging
import threading
import time
from collections.abc import Callable

from watchd.engine.client import EngineClient
from watchd.errors import EngineError, EngineRefused, StateError
from watchd.model import Container, Image, Kind, Snapshot
from watchd.prune.plan import Action, Item, Outcome, Plan
from watchd.prune.references import normalize, repository
from watchd.store import Removal, Store

logger = logging.getLogger(__name__)

_GONE = (Outcome.REMOVED, Outcome.ALREADY_GONE)


class Executor:
    """Carries out one plan, made from one snapshot.

    `done` is called after each item that was acted on, with its outcome and, where it is none of the good ones, why.
    Setting `stop` ends the run after the item in hand; what is left then has no outcome.
    """

    def __init__(
        self,
        client: EngineClient,
        store: Store,
        snapshot: Snapshot,
        *,
        stop: threading.Event,
        done: Callable[[Item, Outcome, str], None],
    ) -> None:
        self._client = client
        self._store = store
        self._stop = stop
        self._done = done
        self._engine = snapshot.engine.id
        self._containers = {container.id: container for container in snapshot.containers}
        self._images = {image.id: image for image in snapshot.images}
        self._untagged: set[str] = set()  # references taken off by this run
        self._stayed: set[str] = set()  # IDs of what should have gone and did not
        self._distrusted = ""  # why no image may be removed any more

    def carry_out(self, plan: Plan) -> dict[tuple[Kind, str, Action, str], Outcome]:
        """Act on what is in force in a plan, in its order. Return the outcome of each item that was acted on."""
        outcomes: dict[tuple[Kind, str, Action, str], Outcome] = {}
        for item in plan.in_force:
            if self._stop.is_set():
                break
            outcome, detail = self._act(item, plan.plan_id)
            if outcome not in _GONE:
                self._stayed.add(item.id)
            elif item.action == "untag":
                self._untagged.add(item.name)
            outcomes[item.key] = outcome
            self._done(item, outcome, detail)
        return outcomes

    def _act(self, item: Item, plan_id: str) -> tuple[Outcome, str]:
        if item.id in self._stayed or not item.needs.isdisjoint(self._stayed):
            return Outcome.DEFERRED, "what it rests on is still there"
        if item.kind == "image" and self._distrusted:
            return Outcome.DEFERRED, self._distrusted
        try:
            number = self._store.record(_removal(item, plan_id, self._engine, time.time()))
        except StateError as error:
            return Outcome.FAILED, f"it cannot be recorded, so it stays: {error}"
        outcome, detail = self._attempt(item)
        try:
            self._store.record_outcome(number, outcome, detail)
        except StateError as error:
            logger.warning("the outcome %s of %s %s is not on record: %s", outcome, item.kind, item.name, error)
        return outcome, detail

    def _attempt(self, item: Item) -> tuple[Outcome, str]:
        try:
            if item.kind == "container":
                return self._remove_container(item)
            return self._untag(item) if item.action == "untag" else self._remove_image(item)
        except EngineRefused as error:
            if error.status == 404:
                return Outcome.ALREADY_GONE, ""
            return (Outcome.REFUSED if error.status == 409 else Outcome.FAILED), str(error)
        except EngineError as error:
            return Outcome.FAILED, str(error)

    def _remove_container(self, item: Item) -> tuple[Outcome, str]:
        drift = _container_drift(self._containers[item.id], self._client.container(item.id))
        if drift:
            return Outcome.DRIFTED, drift
        self._client.remove_container(item.id)
        return Outcome.REMOVED, ""

    def _untag(self, item: Item) -> tuple[Outcome, str]:
        """Take one of several references off: the engine would do so even while a container runs from it."""
        image = self._client.image(item.name)
        if image.id != item.id:
            return Outcome.DRIFTED, f"{item.name} is another image now"
        user = self._user_of(self._images[item.id])
        if user:
            return Outcome.DRIFTED, f"container {user.name} uses it now"
        return self._delete(item, item.name, deletes=False)

    def _remove_image(self, item: Item) -> tuple[Outcome, str]:
        """Remove by ID: should a reference have come in between the engine refuses, where by name it would untag."""
        planned = self._images[item.id]
        drift = _image_drift(planned, self._client.image(item.id), self._untagged)
        if drift:
            return Outcome.DRIFTED, drift
        user = self._user_of(planned)
        if user:
            return Outcome.DRIFTED, f"container {user.name} uses it now"
        return self._delete(item, item.id, deletes=True)

    def _delete(self, item: Item, reference: str, *, deletes: bool) -> tuple[Outcome, str]:
        _, deleted = self._client.remove_image(reference)
        # The reply names layers too: what must not be among them is another image, or this one at an untag.
        unexpected = [id_ for id_ in deleted if id_ in self._images and not (deletes and id_ == item.id)]
        if unexpected:
            self._distrusted = f"the engine deleted {', '.join(unexpected)} unasked: no further image is removed"
            logger.error("removing %s: %s", item.name, self._distrusted)
            return Outcome.FAILED, self._distrusted
        if deletes and item.id not in deleted:
            return Outcome.FAILED, "the engine took its names off and kept the image"
        return Outcome.REMOVED, ""

    def _user_of(self, image: Image) -> Container | None:
        """Return a container that needs the image now, whatever it needed when the plan was made."""
        names = {normalize(reference) for reference in image.references}
        for container in self._client.container_references():
            if container.image_id == image.id or normalize(container.image) in names:
                return container
        return None


def _container_drift(planned: Container, now: Container) -> str:
    """Return what is different from when the plan was made, empty when nothing is."""
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
    """Return what is different from when the plan was made, the references that it took off apart."""
    left = set(planned.tags) - untagged
    if set(now.tags) != left:
        return f"its tags are {', '.join(now.tags) or 'gone'} now"
    # A digest reference goes with the last tag of its repository, so fewer than planned are fine; and the containerd
    # store makes them up from the tags, in inspects where the list had none. What is left is someone's new reference.
    repositories = {repository(tag) for tag in planned.tags}
    new = [digest for digest in now.digests if digest not in planned.digests and repository(digest) not in repositories]
    if new:
        return f"it is {new[0]}, too, now"
    return ""


def _removal(item: Item, plan_id: str, engine: str, now: float) -> Removal:
    assert item.policy is not None  # noqa: S101 - nothing is removed without one
    return Removal(
        engine=engine,
        time=now,
        plan_id=plan_id,
        kind=item.kind,
        id=item.id,
        name=item.name,
        names=item.names,
        action=item.action,
        labels=item.labels,
        policy=item.policy,
        reason=item.reason,
        facts=item.facts,
        bytes=item.bytes,
    )
