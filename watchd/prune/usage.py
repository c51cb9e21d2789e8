"""What only watching can tell: since when something is here, when it was last used, since when it dangles.

`observe` is the whole arithmetic, and pure. `Usage` keeps its results in the store. Everything here errs towards
keeping: what is seen for the first time has only just come, and time that nobody watched does not count, since
`docker run --rm` may have used an image meanwhile.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from watchd.model import (
    SWARM_SERVICE,
    CacheRecord,
    Container,
    Image,
    Key,
    Kind,
    Network,
    Observation,
    Observations,
    Service,
    Snapshot,
    Subject,
    Volume,
)
from watchd.prune.references import normalize
from watchd.store import Generation, Store

Names = Mapping[tuple[Kind, str], Key]  # by what containers call a thing

TICK_INTERVAL = 20.0  # seconds between the daemon's notes that it is still watching
GENERATIONS = 2  # of the tasks of a service whose images stay: the one that runs, and the one to roll back to
TOLERANCE = 60.0  # seconds between two looks that still count as watching without a gap


def observe(known: Observations, snapshot: Snapshot, now: float) -> dict[Key, Observation]:
    """Return what is known of every object after one more look.

    What a complete listing no longer has is forgotten: under the same ID it would be a new arrival. What a failed
    listing does not have, or nobody asked for, stays as it was.
    """
    listed = snapshot.kinds - set(snapshot.failures)
    seen: dict[Key, Observation] = {key: observation for key, observation in known.items() if key[0] not in listed}
    last_used = _last_used(snapshot, now)
    for subject in snapshot.subjects():
        if subject.kind in listed:
            key = (subject.kind, subject.identity)
            seen[key] = _look_at(known.get(key) or Observation(now, now), subject, last_used.get(subject.key), now)
    return seen


def _look_at(before: Observation, subject: Subject, used: float | None, now: float) -> Observation:
    if isinstance(subject, Container | CacheRecord):  # the engine itself tells when they were last of use
        return before
    last_used = before.last_used if used is None else max(used, before.last_used or used)
    dangles = isinstance(subject, Image) and not subject.tags
    return replace(before, last_used=last_used, dangling_since=(before.dangling_since or now) if dangles else None)


def _last_used(snapshot: Snapshot, now: float) -> dict[Key, float]:
    """Return when a container last used an image, a network or a volume: now while one runs, else when the run ended.

    One that never ran counts from its creation; of one that the engine cannot describe it is not known, so it counts as
    running. Lying stopped is no use: `in_use` protects what it has all the same.
    """
    used: dict[Key, float] = {}
    names = names_of(snapshot.subjects())
    for container in snapshot.containers:
        runs = container.is_running or not container.inspected
        until = now if runs else container.finished_at or container.created_at
        if until is not None:
            for key in uses(container, names):
                used[key] = max(used.get(key, 0.0), min(until, now))
    return used


def names_of(subjects: Iterable[Subject]) -> Names:
    """Return what containers may call images (by full references and IDs), networks and volumes."""
    names: dict[tuple[Kind, str], Key] = {}
    for subject in subjects:
        match subject:
            case Image():
                called = (*map(normalize, subject.references), subject.id)
            case Network() | Volume():
                called = (subject.name, subject.id)
            case _:
                called = ()
        names |= {(subject.kind, name): subject.key for name in called}
    return names


def uses(container: Container, names: Names) -> set[Key]:
    """Return what a container uses while it runs."""
    called: list[tuple[Kind, str]] = [
        ("image", container.image_id),
        *(("image", normalize(reference)) for reference in container.image_mounts),
        *(("network", name) for name in container.networks),
        *(("volume", name) for name in container.volumes),
    ]
    return {names[name] for name in called if name in names}


def unwatched(watched_until: float | None, now: float, *, count_unwatched: bool) -> float:
    """Return the seconds by which observed times have to move, for the time since the last look not to count.

    A clock that was set back moves them back with it.
    """
    if watched_until is None:
        return 0.0
    gap = now - watched_until
    if gap < -TOLERANCE:
        return gap
    return gap if gap > TOLERANCE and not count_unwatched else 0.0


def shifted(observations: Observations, by: float) -> dict[Key, Observation]:
    """Return observations with every time moved by so many seconds."""
    return {
        key: Observation(
            first_seen=seen.first_seen + by,
            arrived_at=seen.arrived_at + by,
            last_used=None if seen.last_used is None else seen.last_used + by,
            dangling_since=None if seen.dangling_since is None else seen.dangling_since + by,
        )
        for key, seen in observations.items()
    }


def _generations(containers: Sequence[Container]) -> list[Generation]:
    """Return which images the tasks of Swarm services ran from."""
    return [
        Generation(container.labels[SWARM_SERVICE], container.image_id, container.created_at or 0.0)
        for container in containers
        if SWARM_SERVICE in container.labels
    ]


class Usage:
    """The observations of engines, kept in a store. Without one, or with one that must not be written, in no place."""

    def __init__(self, store: Store | None, *, writable: bool, count_unwatched: bool) -> None:
        self.writable = writable and store is not None
        self.count_unwatched = count_unwatched
        self._store = store

    def look(self, snapshot: Snapshot, now: float) -> Observations:
        """Take in one look at an engine and return what is known of every object then."""
        engine = snapshot.engine.id
        if self._store is None:
            return observe({}, snapshot, now)
        self.tasks_ran(engine, snapshot.containers)
        if not self.writable:
            shift = self._shift(now)(self._store.watched_until(engine))
            return observe(shifted(self._store.observations(engine), shift), snapshot, now)
        return self._store.observe(
            engine, now, shift=self._shift(now), fold=lambda known: observe(known, snapshot, now)
        )

    def tasks_ran(self, engine: str, containers: Sequence[Container]) -> None:
        """Note which images tasks of Swarm services run from, as long as there are containers that tell.

        On a manager, too: it may become a worker.
        """
        if self._store is not None and self.writable and (generations := _generations(containers)):
            self._store.tasks_ran(engine, generations)

    def services(self, snapshot: Snapshot) -> tuple[Service, ...]:
        """Return the Swarm services that an engine is known to run tasks of, each with its last two images.

        That stands for the services' specs on a worker, which cannot list them.
        """
        generations = _generations(snapshot.containers)
        if self._store is not None:
            generations += self._store.task_generations(snapshot.engine.id)
        images: dict[str, list[str]] = {}
        for generation in sorted(generations, key=lambda each: each.created, reverse=True):
            known = images.setdefault(generation.service, [])
            if generation.image not in known:
                known.append(generation.image)
        return tuple(Service(service, service, tuple(known[:GENERATIONS])) for service, known in images.items())

    def bridge(self, engine: str, now: float) -> None:
        """Note that nothing of what happened until now has been missed, although nobody was watching."""
        if self._store is not None and self.writable:
            self._store.watched(engine, now, shift=lambda _: 0.0)

    def cursor(self, engine: str) -> str | None:
        """Return the last event of an engine that was taken in, as `remember` wrote it."""
        return self._store.cursor(engine) if self._store is not None else None

    def remember(self, engine: str, cursor: str) -> None:
        """Note the last event that was taken in."""
        if self._store is not None and self.writable:
            self._store.remember(engine, cursor)

    def still_watching(self, engine: str, in_use: Sequence[Key], now: float) -> None:
        """Note that an engine was watched until now, and that containers still use these."""
        if self._store is not None and self.writable:
            self._store.watched(engine, now, shift=self._shift(now))
            self._store.used(engine, in_use, now)

    def used(self, engine: str, keys: Sequence[Key], now: float) -> None:
        """Note that containers which use these came, ran or ended just now."""
        if self._store is not None and self.writable and keys:
            self._store.used(engine, keys, now)

    def arrived(self, engine: str, keys: Sequence[Key], now: float) -> None:
        """Note that these were pulled, loaded, imported or tagged just now."""
        if self._store is not None and self.writable and keys:
            self._store.arrived(engine, keys, now)

    def _shift(self, now: float) -> Callable[[float | None], float]:
        return lambda watched_until: unwatched(watched_until, now, count_unwatched=self.count_unwatched)
