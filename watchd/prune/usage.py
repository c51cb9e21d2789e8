"""What only watching can tell: since when something is here, when it was last used, since when it dangles.

`observe` is the whole arithmetic, and pure. `Usage` keeps its results in the store. Everything here errs towards
keeping: what is seen for the first time has only just come, and time that nobody watched does not count, since
`docker run --rm` may have used an image meanwhile.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from watchd.model import CacheRecord, Container, Image, Key, Observation, Observations, Snapshot, Subject
from watchd.store import Store

TICK_INTERVAL = 20.0  # seconds between the daemon's notes that it is still watching
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
    networks = {name: network.id for network in snapshot.networks for name in (network.name, network.id)}
    for container in snapshot.containers:
        runs = container.is_running or not container.inspected
        until = now if runs else container.finished_at or container.created_at
        if until is not None:
            for key in uses(container, networks):
                used[key] = max(used.get(key, 0.0), min(until, now))
    return used


def uses(container: Container, networks: Mapping[str, str]) -> set[Key]:
    """Return what a container uses while it runs; `networks` has the IDs of networks by name and ID."""
    return {
        ("image", container.image_id),
        *(("volume", name) for name in container.volumes),
        *(("network", networks[name]) for name in container.networks if name in networks),
    }


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
        if not self.writable:
            shift = self._shift(now)(self._store.watched_until(engine))
            return observe(shifted(self._store.observations(engine), shift), snapshot, now)
        return self._store.observe(
            engine, now, shift=self._shift(now), fold=lambda known: observe(known, snapshot, now)
        )

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
