"""The timeline: what came, changed, was used and left, from changes of the watch to steps in the store."""

from collections.abc import Generator, Iterator, Mapping, Sequence

from watchd.cleanup.evidence.appearance import as_text, is_kept
from watchd.cleanup.evidence.runs import looked, started, stopped
from watchd.cleanup.evidence.takeover import earlier_lives, last_use, runs_by_container
from watchd.cleanup.observe.follower import Change
from watchd.engine.decode.quirks import DIED, GONE, LOADED, exit_code
from watchd.model import Container, EngineView, Event, Image, Key, Kind, Subject, Volume
from watchd.model.history.timeline import FOUND, Came, Changed, Left, Open, Sized, Step, Use, Used
from watchd.model.names.references import normalize
from watchd.store import Store

_LISTS: Mapping[Kind, str] = {"image": "images", "network": "networks", "volume": "volumes", "container": "containers"}
_ARRIVES = frozenset(("pull", "import", "tag", "build")) | LOADED
_STARTS = frozenset(("start", "restart"))
_DELETES = frozenset(("delete",)) | GONE
_PATIENCE = 10.0  # seconds
_TOLD_WITHIN = 2.0  # seconds from the start of a container to its event


class Timeline:
    """Follow an engine. Runs with pauses of at most `merge_within` seconds are one use."""

    def __init__(self, store: Store, merge_within: float) -> None:
        self.merge_within = merge_within
        self._store = store
        self._engine = ""  # "": begin with what is there
        self._not_before = 0.0
        self._open: dict[Key, Open] = {}
        self._seen: dict[Key, Subject] = {}  # as it was looked at last

    def take_in(self, changes: Sequence[Change]) -> None:
        """Record changes, in one transaction. Raise `StateError`; then the next ones begin with what is there."""
        steps: list[Step] = []
        for change in changes:
            engine = change.after.engine.id
            if not engine or change.now < self._not_before:
                continue
            if change.listed or engine != self._engine:
                self._write(steps)
                steps = list(self._begin(change))
            else:
                steps += self._follow(change)
        self._write(steps)

    def begin_anew(self, now: float) -> None:
        """Compare all that is there with the record, but not at every event while it cannot be written."""
        self._engine, self._not_before = "", now + _PATIENCE

    def measure(self, view: EngineView) -> None:
        """Record the sizes that a view has, and the layers of images with theirs."""
        if view.engine.id != self._engine:
            return
        steps: list[Step] = []
        for subject in view.subjects():
            key = (subject.kind, subject.identity)
            known = self._open.get(key)
            if known is None:
                continue
            size = _size(subject)
            if size is not None and size != known.size:
                known.size = size
                steps.append(Sized(key, view.taken_at, size))
            if isinstance(subject, Image) and subject.history:
                steps += self._look(key, subject, view.taken_at)
        self._write(steps)

    def _write(self, steps: Sequence[Step]) -> None:
        if steps:
            engine, self._engine = self._engine, ""
            self._store.record_steps(engine, steps)
            self._engine = engine

    def _begin(self, change: Change) -> Iterator[Step]:
        """Compare a full list with the record."""
        view = change.after
        self._engine = view.engine.id
        self._open = self._store.open_lives(self._engine)
        self._seen = {}
        present = {(subject.kind, subject.identity): subject for subject in view.subjects() if is_kept(subject)}
        earlier = {} if self._store.has_timeline(self._engine) else (yield from self._take_over(present))
        for key in [key for key in self._open if key not in present and key[0] not in view.failures]:
            yield self._leave(key, change.now)
        for key, subject in present.items():
            if key in self._open:
                yield from self._look(key, subject, change.now)
            else:
                at, use = earlier.get(key, (_since(subject, change.now), None))
                yield self._come(key, subject, at, FOUND)
                yield from self._use(key, use)
            yield from self._use(key, self._looked(key))

    def _take_over(self, present: Mapping[Key, Subject]) -> Generator[Step, None, dict[Key, tuple[float, Use | None]]]:
        """Add earlier times from other records. Return the arrival and the last use of every present object."""
        exits, pause = self._store.exits(self._engine), self.merge_within
        removals = [row for row in self._store.removals() if row.removal.engine == self._engine]
        yield from earlier_lives(present, exits, removals, pause)
        seen = self._store.observations(self._engine)
        runs = runs_by_container(exits, pause)
        earlier: dict[Key, tuple[float, Use | None]] = {}
        for key, subject in present.items():
            known = seen.get(key)
            use = runs[key[1]][1][-1] if key[1] in runs else last_use(known)
            at = _since(subject, known.first_seen) if known else subject.created_at
            if at is not None:
                earlier[key] = at, use
        return earlier

    def _follow(self, change: Change) -> Iterator[Step]:
        """Add steps from events, and from the difference between the views before and after them."""
        times = {event.id: min(event.time, change.now) for event in change.events if event.action in _DELETES}
        again = _arrivals(change)
        left: dict[Key, float] = {}
        looked_at: list[Key] = []
        for kind, field in _LISTS.items():
            old, new = getattr(change.before, field), getattr(change.after, field)
            if old is new or kind in change.after.failures:
                continue
            present = {(kind, subject.identity): subject for subject in new if is_kept(subject)}
            left |= {
                key: times.get(_id(key), change.now) for key in self._open if key[0] == kind and key not in present
            }
            for key, subject in present.items():
                if self._seen.get(key) is not subject:
                    looked_at.append(key)
                    yield from self._appear(key, subject, change.now, again)
        for key, (at, how) in again.items():
            if key in self._open and key not in left:
                yield Changed(key, at, self._open[key].text, self._open[key].name, how)
        if "container" not in change.after.failures:
            yield from self._unseen(change, times, left)
        yield from self._runs(change, looked_at)
        for key, at in left.items():
            yield self._leave(key, at)

    def _appear(self, key: Key, subject: Subject, now: float, again: dict[Key, tuple[float, str]]) -> Iterator[Step]:
        """Add that an object is new, or has changed."""
        if key in self._open:
            changed = list(self._look(key, subject, now))
            if key not in again:  # else it is told with how it came again
                yield from changed
            return
        at, how = again.pop(key, (_since(subject, now), FOUND if isinstance(subject, Image) else "create"))
        yield self._come(key, subject, at, how)

    def _unseen(self, change: Change, times: Mapping[str, float], left: dict[Key, float]) -> Iterator[Step]:
        """Add containers that came and went between two looks, as described by their events."""
        for event in change.events:
            key: Key = ("container", event.id)
            if event.type == "container" and event.action == "create" and key not in self._open:
                at = min(event.time, change.now)
                yield self._come(key, _described(event, change.after), at, "create")
                left[key] = times.get(event.id, change.now)

    def _runs(self, change: Change, looked_at: Sequence[Key]) -> Iterator[Step]:
        """Add the runs of containers, from events and looks."""
        uses: dict[Key, Use | None] = {}
        for event in change.events:
            key: Key = ("container", event.id)
            known = self._open.get(key)
            if event.type != "container" or known is None:
                continue
            at, use = min(event.time, change.now), uses.get(key, known.use)
            if event.action in _STARTS and not 0 <= at - known.started < _TOLD_WITHIN:  # else a look showed it first
                uses[key] = started(use, at, self.merge_within)
            elif event.action in DIED:
                uses[key] = stopped(use, at, exit_code(event.attributes))
        for key, use in uses.items():
            yield from self._use(key, use)
        for key in looked_at:
            yield from self._use(key, self._looked(key))

    def _looked(self, key: Key) -> Use | None:
        known, subject = self._open[key], self._seen.get(key)
        if not isinstance(subject, Container):
            return known.use
        known.started = subject.started_at or 0.0
        return looked(known.use, subject, self.merge_within)

    def _use(self, key: Key, use: Use | None) -> Iterator[Step]:
        known = self._open[key]
        if use is not None and use != known.use:
            known.use = use
            yield Used(key, use)

    def _come(self, key: Key, subject: Subject, at: float, how: str) -> Step:
        text, name = as_text(subject), _name(subject)
        self._open[key], self._seen[key] = Open(text, name), subject
        return Came(key, at, how, text, name)

    def _look(self, key: Key, subject: Subject, now: float) -> Iterator[Step]:
        self._seen[key] = subject
        known = self._open[key]
        new = as_text(subject, known.text), _name(subject)
        if new != (known.text, known.name):
            known.text, known.name = new
            yield Changed(key, now, *new)

    def _leave(self, key: Key, at: float) -> Step:
        del self._open[key]
        self._seen.pop(key, None)
        return Left(key, at)


def _arrivals(change: Change) -> dict[Key, tuple[float, str]]:
    """Return when and how images came, or came again, by the events of a change."""
    events = [event for event in change.events if event.type == "image" and event.action in _ARRIVES]
    if not events:
        return {}
    ids = {image.id: image.key for image in change.after.images}
    ids |= {normalize(name): image.key for image in change.after.images for name in image.references}
    found = ((ids.get(event.id) or ids.get(normalize(event.id)), event) for event in events)
    arrived: dict[Key, tuple[float, str]] = {}
    for key, event in found:
        if key is not None and (key not in arrived or event.action == "pull"):  # a load or a build also tags
            arrived[key] = (min(event.time, change.now), event.action)
    return arrived


def _described(event: Event, view: EngineView) -> Container:
    """Return a container as its events describe it."""
    name = event.attributes.get("image", "")
    references = {normalize(reference): image.id for image in view.images for reference in image.references}
    return Container(
        id=event.id,
        name=event.attributes.get("name", ""),
        image=name,
        image_id=references.get(normalize(name), name) if name else "",
        status="created",
        created_at=event.time,
        labels={key: value for key, value in event.attributes.items() if key not in ("image", "name", "exitCode")},
    )


def _name(subject: Subject) -> str:
    return subject.name if isinstance(subject, Container) else ""


def _size(subject: Subject) -> int | None:
    match subject:
        case Container():
            return subject.size_rw
        case Volume():
            return subject.size
    return None


def _since(subject: Subject, now: float) -> float:
    """Return when an object came, as far as the engine tells."""
    created = None if isinstance(subject, Image) else subject.created_at
    return now if created is None else min(created, now)


def _id(key: Key) -> str:
    """Return the ID that events have: a volume's identity has its name, and when it was created."""
    return key[1].partition(" ")[0]
