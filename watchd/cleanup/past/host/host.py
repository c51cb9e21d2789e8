"""A host of the past, on which policies remove objects and needs bring them back. Pure."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace

from watchd.cleanup.evidence.needs import ARRIVES, Need, needs_of_arrival, needs_of_container, own_marks
from watchd.cleanup.observe.lineage import Lineage
from watchd.cleanup.observe.observations import generations_of, services_of, shifted, uses
from watchd.cleanup.observe.references import former_of, references_of
from watchd.cleanup.past.host.disks import PastDisks
from watchd.cleanup.past.host.frequency import Frequency
from watchd.cleanup.past.host.things import Thing, Things
from watchd.cleanup.past.moments import Moment, What
from watchd.cleanup.past.record import Past
from watchd.config import Cleanup
from watchd.model import Container, EngineView, Image, Key, Kind, Network, Observation, Subject, Volume
from watchd.model.history.timeline import Life
from watchd.model.names.references import normalize

_LISTED: frozenset[Kind] = frozenset(("container", "image", "network", "volume"))


class PastHost:
    """Its objects, and what they are used for.

    What watchd itself removed from `since` on stays until it comes again. `on_change` gets what has changed.
    """

    def __init__(
        self, past: Past, since: float, cleanup: Cleanup, on_change: Callable[[Key], None] = lambda _: None
    ) -> None:
        self.things = Things()
        self.disks = PastDisks(self.things.recorded, self.things.held)
        self._on_change = on_change
        self._past = past
        self._since = since
        self._count_unwatched = cleanup.count_unwatched
        self._by_frequency = any(each.pressure and each.pressure.order == "cost" for each in cleanup.policies)
        self._looks = past.looks
        self._lineage = Lineage()
        self._generations = generations_of(())
        self._frequency = Frequency()

    def needs(self, moment: Moment) -> Iterator[Need]:
        """Yield what a moment shows to be needed. To be asked before the moment is applied."""
        at, what, _, life, value = moment
        if life is None:
            return
        if what in (What.CAME, What.CREATED) or (what is What.CHANGED and value.how):
            subject = self._looks.of(life, value)
            match subject:
                case Container():
                    yield from needs_of_container(subject, self.things.image, at, starts=False)
                case Image():
                    yield from needs_of_arrival(subject, at, ARRIVES.get(value.how or life.how, "it is here again"))
                case _:
                    yield Need(at, own_marks(subject), "it was created or attached again")
        elif what is What.STARTED and life.key[0] == "container" and (thing := self.things.find(life.key)) is not None:
            assert isinstance(thing.subject, Container)  # noqa: S101 - for the type
            yield from needs_of_container(thing.subject, self.things.image, at, starts=True)

    def apply(self, moment: Moment) -> None:
        """Let a moment happen."""
        at, what, _, life, value = moment
        match what:
            case What.RESUMED:
                self._resume(at, value)
            case What.MEASURED:
                self.disks.measure(value)
            case What.CAME | What.CREATED if life is not None:
                self._come(life, self._looks.of(life, value), at)
            case What.LEFT if life is not None:
                self._leave(life, at)
            case _ if life is not None and (thing := self.things.find(life.key)) is not None and thing.life is life:
                match what:
                    case What.CHANGED:
                        self._change(thing, self._looks.of(life, value), at, value.how)
                    case What.SIZED:
                        self.things.resize(thing, value)
                    case What.STARTED:
                        self._start(thing, at)
                    case What.STOPPED:
                        self._stop(thing, at, value)

    def remove(self, key: Key) -> int:
        """Remove an object, as a policy does. Return the bytes that this frees."""
        freed = self.things.remove(key)
        self._lineage.remove(key)
        self._on_change(key)
        return freed

    def bring_back(self, key: Key, at: float) -> int:
        """Let an object arrive again that a policy removed. Return the bytes to fetch for it."""
        fetched = self.things.bring_back(key)
        thing = self.things.present[key]
        thing.seen = Observation(at, at, layers=thing.seen.layers, pulled=thing.seen.pulled)
        thing.references = {}
        if isinstance(thing.subject, Image):
            self._show(thing, thing.subject, at)
        self._arrive(key, thing.seen.layers, at)
        self._on_change(key)
        return fetched

    def key_of(self, kind: Kind, id_: str) -> Key:
        """Return the key of an object by its ID; a volume's ID is its name."""
        return self.things.names.get((kind, id_), (kind, id_))

    def look(self, at: float, keys: Collection[Key] | None = None) -> tuple[EngineView, dict[Key, Observation]]:
        """Return the host at a time with its observations, or only some of its objects."""
        present = self.things.present
        chosen = present if keys is None else {key: present[key] for key in keys}
        found: dict[str, list[Subject]] = {kind: [] for kind in _LISTED}
        observations: dict[Key, Observation] = {}
        for key, thing in chosen.items():
            subject = thing.subject
            if isinstance(subject, Volume) and subject.options:
                subject = replace(subject, mounted=thing.users > 0)
            found[key[0]].append(subject)
            seen = replace(thing.seen, last_used=at) if thing.users else thing.seen
            if self._by_frequency and key[0] == "image":
                seen = replace(seen, uses=self._frequency.of(key))
            observations[key] = seen
        view = EngineView(
            engine=self._looks.engine,
            taken_at=at,
            containers=tuple(each for each in found["container"] if isinstance(each, Container)),
            images=tuple(each for each in found["image"] if isinstance(each, Image)),
            networks=tuple(each for each in found["network"] if isinstance(each, Network)),
            volumes=tuple(each for each in found["volume"] if isinstance(each, Volume)),
            services=services_of(self._generations),
            kinds=_LISTED,
            disks=self.disks.now(),
        )
        return view, observations

    def _come(self, life: Life, subject: Subject, at: float) -> None:
        key = life.key
        for old in self.things.replaced_by(key, subject):
            self._forget(old)
        first = self._past.seen_from(at)
        if isinstance(subject, Image):
            seen = Observation(first, at, pulled=life.how == "pull", layers=subject.layers)
            thing = Thing(life, subject, seen, self._looks.pieces(subject))
            self.things.add(key, thing)
            self._show(thing, subject, at)
            self._arrive(key, subject.layers, at)
        else:
            thing = Thing(life, subject, Observation(first, first, pulled=life.how == "pull"))
            self.things.add(key, thing)
            self.things.name(key, subject)
        if isinstance(subject, Container):
            self._generations += generations_of([subject])
            thing.uses = frozenset(uses(subject, self.things.names))
            self._used(thing.uses, at)
        self._on_change(key)

    def _leave(self, life: Life, at: float) -> None:
        thing = self.things.find(life.key)
        if thing is None or thing.life is not life:
            return
        self._stop(thing, at, None)
        keep = bool(life.by) and at >= self._since
        self.things.leave(life.key, thing, keep=keep)
        if not keep:
            self._forget(life.key)

    def _forget(self, key: Key) -> None:
        self.things.forget(key)
        self._lineage.remove(key)
        self._on_change(key)

    def _change(self, thing: Thing, subject: Subject, at: float, how: str) -> None:
        key = thing.life.key
        if isinstance(subject, Container) and isinstance(thing.subject, Container):
            old = thing.subject
            subject = replace(
                subject,
                status=old.status,
                started_at=old.started_at,
                finished_at=old.finished_at,
                exit_code=old.exit_code,
                pid=old.pid,
                size_rw=old.size_rw,
            )
            thing.subject = subject
            self._use(thing, frozenset(uses(subject, self.things.names)), at)
        elif isinstance(subject, Image):
            if how:
                thing.seen = replace(thing.seen, arrived_at=at, pulled=thing.seen.pulled or how == "pull")
            self._show(thing, subject, at)
            if how and key in self.things.present:
                self._arrive(key, subject.layers, at)
        else:
            if isinstance(subject, Volume) and isinstance(thing.subject, Volume):
                subject = replace(subject, size=thing.subject.size)
            self.things.unname(key, thing.subject)
            thing.subject = subject
            self.things.name(key, subject)
        self._on_change(key)

    def _show(self, thing: Thing, image: Image, at: float) -> None:
        """Let an image look so. The tags that it has are taken from what only was kept."""
        key = thing.life.key
        for tag in image.tags:
            other = self.things.names.get(("image", normalize(tag)), key)
            loser = self.things.find(other)
            if other != key and loser is not None and loser.gone and isinstance(loser.subject, Image):
                left = tuple(each for each in loser.subject.tags if each != tag)
                self.things.names["image", normalize(tag)] = key
                self._show(loser, replace(loser.subject, tags=left), at)
        self.things.unname(key, thing.subject)
        self.things.name(key, image)
        thing.references = references_of(thing.references, image, self.things.tags, at)
        former = () if image.references else former_of(thing.references)
        unknown = self._looks.engine.store == "containerd" and not thing.seen.pulled
        thing.subject = replace(image, former=former, origin_unknown=unknown)
        dangling = None if image.tags else thing.seen.dangling_since or at
        if dangling != thing.seen.dangling_since:
            thing.seen = replace(thing.seen, dangling_since=dangling)
        self._on_change(key)

    def _start(self, thing: Thing, at: float) -> None:
        container = thing.subject
        if not isinstance(container, Container):  # a use that is known only by when it was
            thing.seen = replace(thing.seen, last_used=max(at, thing.seen.last_used or 0.0))
            self._on_change(thing.life.key)
        elif not container.is_running:
            thing.uses = frozenset(uses(container, self.things.names))
            thing.subject = replace(container, status="running", started_at=at, exit_code=None, pid=1)
            self._count(thing.uses, 1, at)
            self._on_change(thing.life.key)

    def _stop(self, thing: Thing, at: float, exit_code: int | None) -> None:
        container = thing.subject
        if isinstance(container, Container) and container.is_running:
            thing.subject = replace(container, status="exited", finished_at=at, exit_code=exit_code, pid=0)
            self._count(thing.uses, -1, at)
            self._on_change(thing.life.key)

    def _use(self, container: Thing, used: frozenset[Key], at: float) -> None:
        """Let a container use something else than before."""
        before, container.uses = container.uses, used
        if isinstance(container.subject, Container) and container.subject.is_running:
            self._count(before - used, -1, at)
            self._count(used - before, 1, at)

    def _count(self, used: Iterable[Key], change: int, at: float) -> None:
        for key in used:
            thing = self.things.find(key)
            if thing is not None:
                self._frequency.used(key, at, goes_on=thing.users > 0)
                thing.users = max(0, thing.users + change)
                self._on_change(key)
        self._used(used, at)

    def _used(self, used: Iterable[Key], at: float) -> None:
        for key in used:
            thing = self.things.find(key)
            if thing is not None and at > (thing.seen.last_used or 0.0):
                thing.seen = replace(thing.seen, last_used=at)
                self._on_change(key)

    def _arrive(self, key: Key, layers: tuple[str, ...] | None, at: float) -> None:
        """Note that an image arrived: what it was built on is of use."""
        self._frequency.used(key, at)
        if key[0] == "image" and layers:
            self._lineage.add(key, layers)
            for base in self._lineage.bases(key):
                self._frequency.used(base, at)
            self._used(self._lineage.bases(key), at)

    def _resume(self, at: float, unwatched: float) -> None:
        if not self._count_unwatched:
            for things in (self.things.present, self.things.absent):
                later = shifted({key: thing.seen for key, thing in things.items()}, unwatched, at)
                for key, seen in later.items():
                    things[key].seen = seen
                    self._on_change(key)
