"""Carrying a plan out: each object is looked at again, recorded, removed, and recorded again.

Nothing is ever forced. One failure ends nothing but what rests on it.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import groupby

from watchd.engine.client import EngineClient
from watchd.errors import EngineError, EngineRefused, StateError
from watchd.model import Container, Image, Key, Kind, Network, Snapshot, Volume
from watchd.prune.plan import Action, Item, Outcome, Outcomes, Plan, Reason
from watchd.prune.references import normalize, repository
from watchd.prune.relief import Relief
from watchd.store import Removal, Store

logger = logging.getLogger(__name__)

_GONE = (Outcome.REMOVED, Outcome.ALREADY_GONE)
_REFUSALS = (403, 409)  # 403: a network that a running container is attached to
_AT_ONCE = 4  # containers, which rest on nothing; the engine removes their layers side by side
_BATCH = 10  # objects, under pressure: what they free together has to show on the disk

_Done = tuple[Item, Outcome, str]


class Executor:
    """Carries out one plan, made from one snapshot.

    `done` is called after each item that was acted on, with its outcome and, where there is more to say, what.
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
        self._subjects = {subject.key: subject for subject in snapshot.subjects()}
        self._untagged: set[str] = set()  # references taken off by this run
        self._stayed: set[Key] = set()  # what should have gone and did not
        self._distrusted = ""  # why no image may be removed any more
        self._going: frozenset[str] = frozenset()  # IDs of the images that the plan removes
        self._went_along: set[str] = set()  # those of them that the engine removed with another one

    def carry_out(self, plan: Plan, relief: Relief) -> Outcomes:
        """Act on what is in force in a plan, in its order. Return the outcome of each item that was acted on."""
        self._going = frozenset(item.id for item in plan.in_force if (item.kind, item.action) == ("image", "remove"))
        outcomes: dict[tuple[Kind, str, Action, str], Outcome] = {}
        for item, outcome, detail in self._each(plan, relief):
            if outcome not in _GONE:
                self._stayed.add(item.subject)
            elif item.action == "untag":
                self._untagged.add(item.name)
            outcomes[item.key] = outcome
            self._done(item, outcome, detail)
        return outcomes

    def _each(self, plan: Plan, relief: Relief) -> Iterator[_Done]:
        for (kind, for_room), group in groupby(plan.in_force, lambda item: (item.kind, item.reason is Reason.PRESSURE)):
            items = tuple(group)
            if for_room:
                for start in range(0, len(items), _BATCH):
                    yield from self._for_room(items[start : start + _BATCH], plan, relief)
            elif kind == "container":
                yield from self._at_once(items, plan)
            else:
                yield from self._one_by_one(items, plan)

    def _one_by_one(self, items: Sequence[Item], plan: Plan) -> Iterator[_Done]:
        for item in items:
            if self._stop.is_set() and item.id not in self._went_along:  # what went is recorded all the same
                return
            yield item, *self._act(item, plan.plan_id)

    def _at_once(self, items: Sequence[Item], plan: Plan) -> Iterator[_Done]:
        def act(item: Item) -> _Done | None:
            return None if self._stop.is_set() else (item, *self._act(item, plan.plan_id))

        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="watchd-remove") as pool:
            for future in as_completed([pool.submit(act, item) for item in items]):
                done = future.result()
                if done is not None:
                    yield done

    def _for_room(self, batch: Sequence[Item], plan: Plan, relief: Relief) -> Iterator[_Done]:
        """Act on a batch as long as the disk is too full, and look what that freed."""
        removed = False
        relief.begin(batch[0].kind)
        for item in batch:
            enough = "" if item.id in self._went_along else relief.enough(item)
            if enough:
                yield item, Outcome.DEFERRED, enough
                continue
            for done in self._one_by_one((item,), plan):
                removed = removed or done[1] is Outcome.REMOVED
                yield done
        if removed:
            relief.end()

    def _act(self, item: Item, plan_id: str) -> tuple[Outcome, str]:
        if item.subject in self._stayed or not item.needs.isdisjoint(self._stayed):
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
            return self._remove(item)
        except EngineRefused as error:
            if error.status == 404:
                return Outcome.ALREADY_GONE, ""
            return (Outcome.REFUSED if error.status in _REFUSALS else Outcome.FAILED), str(error)
        except EngineError as error:
            return Outcome.FAILED, str(error)

    def _remove(self, item: Item) -> tuple[Outcome, str]:
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
        return self._remove_cache_record(item)

    def _remove_container(self, planned: Container) -> tuple[Outcome, str]:
        drift = _container_drift(planned, self._client.container(planned.id))
        if drift:
            return Outcome.DRIFTED, drift
        self._client.remove_container(planned.id)
        return Outcome.REMOVED, ""

    def _remove_network(self, planned: Network) -> tuple[Outcome, str]:
        """Remove a network that no container has, since the engine only spares those with a running one."""
        now = self._client.network(planned.id)
        if now.name != planned.name:
            return Outcome.DRIFTED, f"it is called {now.name} now"
        names = {planned.name, planned.id}
        user = next((each for each in self._client.container_references() if names.intersection(each.networks)), None)
        if user:
            return Outcome.DRIFTED, f"container {user.name} is attached to it now"
        self._client.remove_network(planned.id)
        return Outcome.REMOVED, ""

    def _remove_volume(self, planned: Volume) -> tuple[Outcome, str]:
        if self._client.volume(planned.name).identity != planned.identity:
            return Outcome.DRIFTED, "it was removed and made again"
        user = next((each for each in self._client.container_references() if planned.name in each.volumes), None)
        if user:
            return Outcome.DRIFTED, f"container {user.name} has it now"
        self._client.remove_volume(planned.name)
        return Outcome.REMOVED, ""

    def _remove_cache_record(self, item: Item) -> tuple[Outcome, str]:
        gone, _ = self._client.prune_build_cache(item.id)
        if item.id in gone:
            further = [id_ for id_ in gone if id_ != item.id]
            return Outcome.REMOVED, f"the engine removed {', '.join(further)} along with it" if further else ""
        left = next((record for record in self._client.build_cache() if record.id == item.id), None)
        if left is None:
            return Outcome.ALREADY_GONE, ""
        return (Outcome.DRIFTED, "a build uses it now") if left.in_use else (Outcome.REFUSED, "BuildKit kept it")

    def _untag(self, item: Item, planned: Image) -> tuple[Outcome, str]:
        """Take one of several references off: the engine would do so even while a container runs from it."""
        if self._client.image(item.name).id != item.id:
            return Outcome.DRIFTED, f"{item.name} is another image now"
        user = self._user_of(planned)
        if user:
            return Outcome.DRIFTED, f"container {user.name} uses it now"
        return self._delete(item, item.name, deletes=False)

    def _remove_image(self, item: Item, planned: Image) -> tuple[Outcome, str]:
        """Remove by ID: should a reference have come in between the engine refuses, where by name it would untag."""
        if item.id in self._went_along:
            return Outcome.REMOVED, "the engine removed it along with a child"
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
        # Parents that the plan removes next may go along, on engines that ignore `noprune`.
        expected = self._going if deletes else frozenset()
        unexpected = [id_ for id_ in deleted if ("image", id_) in self._subjects and id_ not in expected]
        if unexpected:
            self._distrusted = f"the engine deleted {', '.join(unexpected)} unasked: no further image is removed"
            logger.error("removing %s: %s", item.name, self._distrusted)
            return Outcome.FAILED, self._distrusted
        if deletes and item.id not in deleted:
            return Outcome.FAILED, "the engine took its names off and kept the image"
        self._went_along |= expected.intersection(deleted)
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
