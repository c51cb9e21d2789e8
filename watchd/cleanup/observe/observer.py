"""Observations in the store: each look updates them, and counts the watched time since the last one."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from watchd.cleanup.observe.observations import (
    Unwatched,
    generations_of,
    observe,
    services_of,
    shift_of,
    shifted,
    since_then,
)
from watchd.cleanup.observe.references import look_at_references
from watchd.cleanup.observe.uses import PAUSE, with_uses
from watchd.model import EngineView, Observations, References, Service
from watchd.store import Notes, Store

TICK_INTERVAL = 20.0  # seconds between the daemon's notes that it is still watching
_LOOKS_BACK = 90 * 86400.0  # seconds, for uses of images


@dataclass(frozen=True, slots=True)
class Watched:
    """Seconds since the last look, those of them that were watched, and whether observed clocks run."""

    clocks_run: bool = True
    since_last_look: float | None = None  # None: there was none
    watched: float = 0.0


class Observer:
    """Update the observations of engines in a store. Without a writable store they last as long as one look.

    `unwatched` returns the seconds between two times in which the engine's events were not followed. `beside_daemon`:
    another process may follow the events, and record that it does.
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
        """Update the observations from a view, and return them."""
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
        """Return a function from a time to the unwatched seconds since then, also where unwatched time counts."""
        return lambda watched_until: 0.0 if watched_until is None else self._unwatched(watched_until, now)
