"""Recorder of uses and arrivals: a listener of the watch, with a thread of its own."""

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from watchd.cleanup.observe.follower import Change, Follower
from watchd.cleanup.observe.layers import KnownLayers
from watchd.cleanup.observe.observations import called, generations_of, look_at, uses
from watchd.cleanup.observe.observer import Observer
from watchd.cleanup.observe.references import KnownReferences
from watchd.engine.client import EngineClient
from watchd.engine.decode.quirks import ARRIVES, DIED, GONE
from watchd.engine.watch.coverage import Coverage
from watchd.errors import EngineError, StateError
from watchd.model import Container, Event, Image, Key, Kind, Observation, Subject
from watchd.model.names.references import normalize
from watchd.store import Notes

logger = logging.getLogger(__name__)

_USES = frozenset(("create", "start", "restart", "stop", "kill")) | DIED | GONE
_RENAMES = ARRIVES | frozenset(("untag", "delete"))  # after these a reference may name another image
_ATTACHES = frozenset(("mount", "unmount", "connect", "disconnect"))  # of volumes and networks
_FIELDS: Mapping[Kind, str] = {"image": "images", "network": "networks", "volume": "volumes", "container": "containers"}


class Recorder(Follower):
    """Turns changes into observations, several in one transaction. A failed write is retried later."""

    def __init__(self, client: EngineClient, observer: Observer, coverage: Coverage) -> None:
        super().__init__("watchd-recorder", "recording observations")
        self._client = client
        self._observer = observer
        self._coverage = coverage
        self._engine: str | None = None
        self._names: dict[tuple[Kind, str], Key] = {}  # names that containers use, to keys of observations
        self._layers = KnownLayers(client)
        self._references = KnownReferences()
        self._notes = Notes()  # not written yet
        self._told = ""

    def _take_in(self, changes: Sequence[Change]) -> None:
        with self._state_errors_logged():
            for change in changes:
                if change.listed:
                    self._reconcile(change)
                elif self._engine is not None:
                    self._collect(change)
                self._view = change.after
            if changes and self._engine is not None:
                self._write(self._engine)

    def _idle(self) -> None:
        """Ask for unknown layers until there is something to record; then note the builds so far."""
        for learned in self._layers.learn(self._heartbeat, while_=self._queue.empty):
            self._notes.layers |= learned
            with self._heartbeat.busy(), self._state_errors_logged():
                if self._engine is not None and self._view is not None:
                    self._write(self._engine)
                    if self._layers.complete:
                        self._observer.look(self._view, time.time())

    @contextmanager
    def _state_errors_logged(self) -> Iterator[None]:
        try:
            yield
        except StateError as error:
            if str(error) != self._told:  # once, not at every event
                logger.warning("observations cannot be recorded, so clocks may stand still: %s", error)
            self._told = str(error)
        else:
            self._told = ""

    def _write(self, engine: str) -> None:
        """Write the collected notes."""
        self._observer.note(engine, self._notes, time.time())
        self._coverage.recorded()
        self._notes = Notes()

    def _reconcile(self, change: Change) -> None:
        """Record a full list, which shows what happened while nobody watched."""
        view = change.after
        self._names = {}
        for subject in view.subjects():
            self._add_names(subject)
        self._engine = view.engine.id if view.engine.is_known else None
        if self._engine is None:
            logger.warning("observations are not recorded: the engine does not report its ID")
            return
        self._bridge(self._engine, change)
        known = self._observer.look(view, time.time())
        self._references.begin(self._observer.references(view, time.time()))
        self._coverage.recorded()
        self._layers.begin(view.images, known)
        self._collect_events(change)

    def _bridge(self, engine: str, change: Change) -> None:
        """Bridge a gap with past events, if they cover all time since the last recorded one.

        They do if they include that one: then the engine was not restarted, and its memory has not overflowed. They do
        not if an object was renamed in the gap, or used under a name that is gone: it could be any object.
        """
        cursor = self._observer.cursor(engine)
        if cursor is None:
            return
        now = time.time()
        try:
            since_nano = int(json.loads(cursor)["time_nano"])
            past = self._client.past_events(since_nano, now)
        except (EngineError, ValueError, KeyError, TypeError) as error:
            logger.debug("past events are not known: %s", error)
            return
        places = [number for number, event in enumerate(past) if _cursor(event) == cursor]
        if not places:
            return
        missed = past[places[-1] + 1 :]
        notes = Notes(cursor=_cursor(missed[-1]) if missed else None)
        for event in missed:
            if event.type == "image" and event.action in _RENAMES:
                return
            keys = self._used_by(event, change)
            if event.type == "container" and event.action in _USES and not keys:
                return
            notes.used |= dict.fromkeys(keys, min(event.time, now))
        self._observer.bridge(engine, notes, now)
        self._coverage.bridged(since_nano / 1e9)
        logger.info("%d past events bridge the time that was not watched", len(missed))

    def _collect(self, change: Change) -> None:
        """Note events, and the changes of the view that came with them."""
        self._collect_arrivals(change)  # by the names of before, too: where nothing could be inspected
        self._compare(change)
        self._notes.references |= self._references.changes(change.events, change.before, change.after, change.now)
        self._collect_events(change)
        if change.before is change.after:
            for container in change.after.containers:
                if container.is_running:
                    self._notes.used |= dict.fromkeys(uses(container, self._names), change.now)

    def _collect_events(self, change: Change) -> None:
        notes = self._notes
        self._collect_arrivals(change)
        if "image" not in change.after.failures:
            notes.pulled.update(self._pulled(change.events))
        for event in change.events:
            notes.used |= dict.fromkeys(self._used_by(event, change), change.now)
        if change.events:
            notes.cursor = _cursor(change.events[-1])

    def _collect_arrivals(self, change: Change) -> None:
        for event in change.events:
            if event.type == "image" and event.action in ARRIVES and (key := self._image(event.id)):
                self._notes.arrived[key] = change.now
                self._note_build(key, change.now)

    def _pulled(self, events: Sequence[Event]) -> Iterator[Key]:
        """Yield the images that were pulled, but for pulls after which another image may have got the name."""
        for event in reversed([event for event in events if event.type == "image" and event.action in ARRIVES]):
            if event.action != "pull":
                return
            if key := self._image(event.id):
                yield key

    def _note_build(self, key: Key, now: float) -> None:
        """Note the use of the base of an image that has just arrived or got a tag."""
        self._notes.used |= dict.fromkeys(self._layers.bases(key), now)

    def _compare(self, change: Change) -> None:
        """Note the objects that came or went, and the images that lost their last tag or got one."""
        before, after, now = change.before, change.after, change.now
        removed = {event.id for event in change.events if event.type == "image" and event.action == "delete"}
        for kind, field in _FIELDS.items():
            went = removed if kind == "image" else set()
            old, new = getattr(before, field), getattr(after, field)
            if old is new and not went:
                continue
            start = 0 if went else _first_difference(old, new)  # what is new is at the end
            known = {subject.id: subject for subject in old[start:]}
            current = {subject.id: subject for subject in new[start:]}
            same = {
                id_
                for id_ in (known.keys() & current.keys()) - went
                if known[id_] is current[id_] or known[id_].identity == current[id_].identity
            }
            if kind not in after.failures:
                for id_ in known.keys() - same:
                    self._forget(known[id_])
            for id_, subject in current.items():
                if id_ not in same:
                    self._add(subject, now)
                elif subject is not known[id_]:
                    self._change(known[id_], subject)

    def _forget(self, subject: Subject) -> None:
        key = _key(subject)
        self._notes.gone.add(key)
        self._notes.came.pop(key, None)
        self._notes.layers.pop(key, None)
        self._notes.pulled.discard(key)
        self._layers.remove(key)
        self._remove_names(subject)

    def _add(self, subject: Subject, now: float) -> None:
        self._notes.came[_key(subject)] = look_at(Observation(now, now), subject, None, now)
        self._add_names(subject)
        if isinstance(subject, Container):
            self._notes.generations += generations_of([subject])
        if isinstance(subject, Image):
            self._layers.add(subject.key, subject.layers)
            self._note_build(subject.key, now)  # the engine has no event of a build without a tag

    def _change(self, before: Subject, after: Subject) -> None:
        if before.names != after.names:
            self._remove_names(before)
            self._add_names(after)
        if isinstance(before, Image) and isinstance(after, Image) and bool(before.tags) != bool(after.tags):
            self._notes.dangling[_key(after)] = not after.tags
        if isinstance(before, Image) and isinstance(after, Image) and after.layers not in (None, before.layers):
            self._layers.add(after.key, after.layers)
            self._notes.layers[after.key] = after.layers

    def _add_names(self, subject: Subject) -> None:
        self._names |= dict.fromkeys(called(subject), _key(subject))

    def _remove_names(self, subject: Subject) -> None:
        key = _key(subject)
        for name in called(subject):
            if self._names.get(name) == key:
                del self._names[name]

    def _image(self, id_or_reference: str) -> Key | None:
        return self._names.get(("image", id_or_reference)) or self._names.get(("image", normalize(id_or_reference)))

    def _used_by(self, event: Event, change: Change) -> set[Key]:
        """Return the objects that an event shows to be used; its container may be too short-lived to be inspected."""
        match event.type:
            case "container" if event.action in _USES:
                container = change.container(event.id)
                if container is not None:
                    if event.action in GONE and not container.is_running:
                        return set()  # its last run ended before
                    return {*uses(container, self._names), ("image", container.image_id)}  # listed or not
                image = self._image(event.attributes.get("image", ""))
                return {image} if image else set()
            case "volume" | "network" if event.action in _ATTACHES:
                kind: Kind = "volume" if event.type == "volume" else "network"
                key = self._names.get((kind, event.id))
                return {key} if key else set()
        return set()


def _first_difference(one: Sequence[Subject], other: Sequence[Subject]) -> int:
    """Return the number of objects at the beginning that are the same in both."""
    different = (index for index, (a, b) in enumerate(zip(one, other, strict=False)) if a is not b)
    return next(different, min(len(one), len(other)))


def _key(subject: Subject) -> Key:
    """Return the key of an object's observation."""
    return subject.kind, subject.identity


def _cursor(event: Event) -> str:
    """Return the unique key of an event, as recorded."""
    return json.dumps({"time_nano": event.time_nano, "type": event.type, "action": event.action, "id": event.id})
