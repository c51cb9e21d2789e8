"""Observations: when an object was first seen, last used, and first seen dangling.

`observe` is the whole arithmetic, and pure. `Usage` keeps its results in the store. Everything here errs towards
keeping: what is seen for the first time has only just come, and time that nobody watched does not count, since
`docker run --rm` may have used an image meanwhile.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from watchd.cleanup.observe.lineage import last_builds
from watchd.cleanup.observe.references import look_at_references
from watchd.cleanup.observe.uses import PAUSE, with_uses
from watchd.model import (
    SWARM_SERVICE,
    CacheRecord,
    Container,
    EngineView,
    Image,
    Key,
    Kind,
    Network,
    Observation,
    Observations,
    References,
    Service,
    Subject,
    Volume,
)
from watchd.model.references import normalize
from watchd.store import Generation, Notes, Store

Names = Mapping[tuple[Kind, str], Key]  # by what containers call a thing

TICK_INTERVAL = 20.0  # seconds between the daemon's notes that it is still watching
GENERATIONS = 2  # of the tasks of a service whose images stay: the one that runs, and the one to roll back to
_LOOKS_BACK = 90 * 86400.0  # seconds, for uses of images
CLOCK_TOLERANCE = 60.0  # seconds that the clock may go back and count as going on

Unwatched = Callable[[float, float], float]  # between two times: the seconds in which events were not followed


def observe(known: Observations, view: EngineView, now: float) -> dict[Key, Observation]:
    """Return what is known of every object after one more look.

    What a complete listing no longer has is forgotten: under the same ID it would be a new arrival. What a failed
    listing does not have, or nobody asked for, stays as it was.
    """
    listed = view.kinds - set(view.failures)
    seen: dict[Key, Observation] = {key: observation for key, observation in known.items() if key[0] not in listed}
    last_used = _last_used(view, now)
    for subject in view.subjects():
        if subject.kind in listed:
            key = (subject.kind, subject.identity)
            seen[key] = look_at(known.get(key) or Observation(now, now), subject, last_used.get(subject.key), now)
    images = {key: image for key, image in seen.items() if key[0] == "image"}
    for key, built in last_builds(images).items():
        seen[key] = replace(seen[key], last_used=max(built, seen[key].last_used or 0.0))
    return seen


def look_at(before: Observation, subject: Subject, used: float | None, now: float) -> Observation:
    """Return the observation of an object that is there and was `used` then, None: it is not known to be."""
    if isinstance(subject, Container | CacheRecord):  # the engine itself tells when they were last of use
        return before
    last_used = before.last_used if used is None else max(used, before.last_used or used)
    if not isinstance(subject, Image):
        return replace(before, last_used=last_used)
    dangling_since = None if subject.tags else before.dangling_since or now
    layers = before.layers if subject.layers is None else subject.layers
    pulled = before.pulled or subject.pulled
    return replace(before, last_used=last_used, dangling_since=dangling_since, layers=layers, pulled=pulled)


def _last_used(view: EngineView, now: float) -> dict[Key, float]:
    """Return when a container last used an image, a network or a volume: now while one runs, else when the run ended.

    One that never ran counts from its creation; of one that the engine cannot describe it is not known, so it counts as
    running. Lying stopped is no use: `in_use` protects what it has all the same. A build uses the images that its
    records in the cache name.
    """
    used: dict[Key, float] = {}
    names = names_of(view.subjects())
    for container in view.containers:
        runs = container.is_running or not container.inspected
        until = now if runs else container.finished_at or container.created_at
        if until is not None:
            for key in uses(container, names):
                used[key] = max(used.get(key, 0.0), min(until, now))
    for reference, at in view.cache_uses.items():
        forms = (reference, reference.partition("@")[0])  # the tag may have no digest here: it was loaded
        image = next(filter(None, (names.get(("image", normalize(form))) for form in forms)), None)
        if image:  # else it is gone, or the name is that of a stage
            used[image] = max(used.get(image, 0.0), min(at, now))
    return used


def names_of(subjects: Iterable[Subject]) -> Names:
    """Return what containers may call images, networks and volumes."""
    return {name: subject.key for subject in subjects for name in called(subject)}


def called(subject: Subject) -> list[tuple[Kind, str]]:
    """Return what containers may call an object: images by full references and IDs, networks and volumes by both."""
    match subject:
        case Image():
            names = (*map(normalize, subject.references), subject.id)
        case Network() | Volume():
            names = (subject.name, subject.id)
        case _:
            names = ()
    return [(subject.kind, name) for name in names]


def uses(container: Container, names: Names) -> set[Key]:
    """Return what a container uses while it runs."""
    used: list[tuple[Kind, str]] = [
        ("image", container.image_id),
        *(("image", normalize(reference)) for reference in container.image_mounts),
        *(("network", name) for name in container.networks),
        *(("volume", name) for name in container.volumes),
    ]
    return {names[name] for name in used if name in names}


def shift_of(watched_until: float | None, now: float, unwatched: Unwatched, *, count_unwatched: bool) -> float:
    """Return the seconds to move observed times by, so that unwatched time since `watched_until` does not count.

    A clock that was set back moves them back with it.
    """
    if watched_until is None:
        return 0.0
    gap = now - watched_until
    if gap < -CLOCK_TOLERANCE:
        return gap
    return 0.0 if count_unwatched else unwatched(watched_until, now)


def since_then(watched_until: float, now: float) -> float:
    """Return the unwatched time where nobody follows the engine's events: all of it."""
    return max(0.0, now - watched_until)


def shifted(observations: Observations, by: float, now: float) -> dict[Key, Observation]:
    """Return observations with every time moved by some seconds, at most until now."""
    return {
        key: replace(
            seen,
            first_seen=min(seen.first_seen + by, now),
            arrived_at=min(seen.arrived_at + by, now),
            last_used=None if seen.last_used is None else min(seen.last_used + by, now),
            dangling_since=None if seen.dangling_since is None else min(seen.dangling_since + by, now),
        )
        for key, seen in observations.items()
    }


def generations_of(containers: Sequence[Container]) -> list[Generation]:
    """Return which images the tasks of Swarm services ran from."""
    return [
        Generation(container.labels[SWARM_SERVICE], container.image_id, container.created_at or 0.0)
        for container in containers
        if SWARM_SERVICE in container.labels
    ]


def services_of(generations: Iterable[Generation]) -> tuple[Service, ...]:
    """Return the Swarm services that tasks ran for, each with its last two images."""
    images: dict[str, list[str]] = {}
    for generation in sorted(generations, key=lambda each: each.created, reverse=True):
        known = images.setdefault(generation.service, [])
        if generation.image not in known:
            known.append(generation.image)
    return tuple(Service(service, service, tuple(known[:GENERATIONS])) for service, known in images.items())


@dataclass(frozen=True, slots=True)
class Watched:
    """Return whether observed clocks run, and the seconds since the last look, of which some were watched."""

    clocks_run: bool = True
    since_last_look: float | None = None  # None: there was none
    watched: float = 0.0


class Usage:
    """The observations of engines, in a store; without one, or with one that must not be written, they are not kept.

    `unwatched` tells how much of the time between two moments the engine's events were not followed. `beside_daemon`:
    another process may follow them, and record that it does.
    """

    def __init__(
        self,
        store: Store | None,
        *,
        writable: bool,
        count_unwatched: bool,
        unwatched: Unwatched = since_then,
        beside_daemon: bool = False,
    ) -> None:
        self.writable = writable and store is not None
        self.count_unwatched = count_unwatched
        self._store = store
        self._unwatched = unwatched
        self._beside_daemon = beside_daemon

    def watched(self, view: EngineView, now: float) -> Watched:
        """Return how much of the time since the last look was watched."""
        before = self._store.watched_until(view.engine.id) if self._store is not None else None
        follows = self._unwatched is not since_then or self._is_watched_by_daemon(before, now)
        if before is None:
            return Watched(self.count_unwatched or follows)
        gap = max(0.0, now - before)
        unwatched = 0.0 if follows else self._unwatched(before, now)
        return Watched(self.count_unwatched or follows, gap, max(0.0, gap - unwatched))

    def _is_watched_by_daemon(self, watched_until: float | None, now: float) -> bool:
        """Return whether another process has just recorded that it watches the engine."""
        return self._beside_daemon and watched_until is not None and now - watched_until <= 3 * TICK_INTERVAL

    def look(self, view: EngineView, now: float) -> Observations:
        """Record what a view shows, and return the observations of every object."""
        if self._store is None or not self.writable or not view.engine.is_known:
            return self.read(view, now)
        engine = view.engine.id
        # Beside a daemon, recording a look would make the time since the daemon's last record unwatched.
        if self._beside_daemon and self._is_watched_by_daemon(self._store.watched_until(engine), now):
            return self.read(view, now)
        if generations := generations_of(view.containers):
            self._store.tasks_ran(engine, generations)
        self._store.replace_references(engine, lambda known: look_at_references(known, view, now))
        return self._store.observe(
            engine,
            now,
            shift=self._shift(now),
            unwatched=self._gap(now),
            fold=lambda known: observe(known, view, now),
        )

    def read(self, view: EngineView, now: float) -> Observations:
        """Return the observations of every object of a view, without recording any."""
        if self._store is None:
            return observe({}, view, now)
        engine = view.engine.id
        shift = self._shift(now)(self._store.watched_until(engine))
        return observe(shifted(self._store.observations(engine), shift, now), view, now)

    def with_uses(self, observations: Observations, engine: str, now: float) -> Observations:
        """Add how often images were used, as far as the timeline tells."""
        if self._store is None:
            return observations
        since = now - _LOOKS_BACK
        runs = self._store.image_runs(engine, since=since, now=now, pause=PAUSE)
        return with_uses(observations, runs, self._store.lives(engine, since=since, kinds=("image",)))

    def known_layers(self, engine: str) -> Collection[str]:
        """Return the IDs of the images of an engine whose layers are on record."""
        if self._store is None:
            return ()
        known = self._store.observations(engine)
        return {id_ for (kind, id_), seen in known.items() if kind == "image" and seen.layers is not None}

    def note(self, engine: str, notes: Notes, now: float) -> None:
        """Record the changes of events, and that the engine is watched now."""
        if self._store is not None and self.writable:
            self._store.note(engine, now, notes, shift=self._shift(now), unwatched=self._gap(now))

    def bridge(self, engine: str, notes: Notes, now: float) -> None:
        """Record the changes of past events, and that nothing was missed until now, although nobody watched."""
        if self._store is not None and self.writable:
            self._store.note(engine, now, notes, shift=lambda _: 0.0)

    def references(self, view: EngineView, now: float) -> References:
        """Return the references of every image of a view, those that it lost included, without recording any."""
        known = self._store.references(view.engine.id) if self._store is not None else {}
        return look_at_references(known, view, now)

    def services(self, view: EngineView) -> tuple[Service, ...]:
        """Return the Swarm services that an engine is known to run tasks of, each with its last two images.

        That stands for the services' specs on a worker, which cannot list them.
        """
        generations = generations_of(view.containers)
        if self._store is not None:
            generations += self._store.task_generations(view.engine.id)
        return services_of(generations)

    def cursor(self, engine: str) -> str | None:
        """Return the last event of an engine that was noted."""
        return self._store.cursor(engine) if self._store is not None else None

    def _shift(self, now: float) -> Callable[[float | None], float]:
        return lambda watched_until: shift_of(watched_until, now, self._unwatched, count_unwatched=self.count_unwatched)

    def _gap(self, now: float) -> Callable[[float | None], float]:
        """Return what tells the unwatched seconds since a time, also where they count."""
        return lambda watched_until: 0.0 if watched_until is None else self._unwatched(watched_until, now)
