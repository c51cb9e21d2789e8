"""What only watching can tell: since when something is here, when it was last used, since when it dangles.

`observe` is the whole arithmetic, and pure. `Usage` keeps its results in the store. Everything here errs towards
keeping: what is seen for the first time has only just come, and time that nobody watched does not count, since
`docker run --rm` may have used an image meanwhile.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from watchd.model import Container, Image, Kind, Observation, Observations, Snapshot
from watchd.store import Store

TICK_INTERVAL = 20.0  # seconds between the daemon's notes that it is still watching
TOLERANCE = 60.0  # seconds between two looks that still count as watching without a gap


def observe(known: Observations, snapshot: Snapshot, now: float) -> dict[tuple[Kind, str], Observation]:
    """Return what is known of every object after one more look.

    What a complete listing no longer has is forgotten: under the same ID it would be a new arrival. What a failed
    listing does not have stays as it was.
    """
    seen: dict[tuple[Kind, str], Observation] = {
        key: observation for key, observation in known.items() if key[0] in snapshot.failures
    }
    if "container" not in snapshot.failures:
        for container in snapshot.containers:
            seen["container", container.id] = known.get(("container", container.id)) or Observation(now, now)
    if "image" not in snapshot.failures:
        last_used = _last_used(snapshot.containers, now)
        for image in snapshot.images:
            before = known.get(("image", image.id)) or Observation(now, now)
            seen["image", image.id] = _look_at_image(before, image, last_used.get(image.id), now)
    return seen


def _look_at_image(before: Observation, image: Image, used: float | None, now: float) -> Observation:
    return replace(
        before,
        last_used=max(used, before.last_used or used) if used is not None else before.last_used,
        dangling_since=None if image.tags else before.dangling_since or now,
    )


def _last_used(containers: Sequence[Container], now: float) -> dict[str, float]:
    """Return by image ID when a container last used it: now while one runs, else when the last run ended.

    One that never ran counts from its creation; of one that the engine cannot describe it is not known, so it counts as
    running. Lying stopped is no use: `in_use` protects the image all the same.
    """
    used: dict[str, float] = {}
    for container in containers:
        runs = container.is_running or not container.inspected
        until = now if runs else container.finished_at or container.created_at
        if until is not None:
            used[container.image_id] = max(used.get(container.image_id, 0.0), min(until, now))
    return used


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


def shifted(observations: Observations, by: float) -> dict[tuple[Kind, str], Observation]:
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

    def still_watching(self, engine: str, images_in_use: Sequence[str], now: float) -> None:
        """Note that an engine was watched until now, and that containers still use these images."""
        if self._store is not None and self.writable:
            self._store.watched(engine, now, shift=self._shift(now))
            self._store.image_used(engine, images_in_use, now)

    def used(self, engine: str, image_ids: Sequence[str], now: float) -> None:
        """Note that containers of these images came, ran or ended just now."""
        if self._store is not None and self.writable and image_ids:
            self._store.image_used(engine, image_ids, now)

    def arrived(self, engine: str, image_ids: Sequence[str], now: float) -> None:
        """Note that these images were pulled, loaded, imported or tagged just now."""
        if self._store is not None and self.writable and image_ids:
            self._store.image_arrived(engine, image_ids, now)

    def _shift(self, now: float) -> Callable[[float | None], float]:
        return lambda watched_until: unwatched(watched_until, now, count_unwatched=self.count_unwatched)
