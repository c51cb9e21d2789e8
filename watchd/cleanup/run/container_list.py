"""The containers during a run, listed again only when something may have changed."""

import threading
import time
from collections.abc import Callable, Sequence

from watchd.cleanup.run.run_events import RunEvents
from watchd.engine.client import EngineClient
from watchd.errors import EngineRefused
from watchd.model import Container

MAX_AGE = 1.0  # seconds
_SLOWEST_CREATION = 10.0  # seconds from a container's creation until the engine lists it


class ContainerList:
    """The containers, listed at most `MAX_AGE` seconds ago, and after the last event of a container or a network.

    While events cannot be followed each call lists. Safe for several threads.
    """

    def __init__(self, client: EngineClient, events: RunEvents, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._events = events
        self._clock = clock
        self._lock = threading.Lock()
        self._listed: Sequence[Container] = ()
        self._listed_at = -MAX_AGE  # when the engine was asked
        self._listed_time = 0.0  # the same, in seconds since the epoch
        self._all_listed_at = -MAX_AGE  # when it was asked for more than the new ones
        self._listed_changes = -1  # number of changes before it was asked

    def now(self, *, networks: bool = True) -> Sequence[Container]:
        """Return the containers. Raise `EngineError`.

        Without `networks` they may be attached to others by now: no event tells it of a stopped one. Only new ones are
        listed then: with containerd's store the engine takes 2 ms for each.
        """
        with self._lock:
            followed = self._events.are_followed()
            began, at, changes = self._clock(), time.time(), self._events.changes
            anew = not followed or changes != self._listed_changes
            anew = anew or (networks and began - self._all_listed_at > MAX_AGE)
            if anew or began - self._listed_at > MAX_AGE:
                self._listed = self._client.container_references() if anew else self._with_new()
                self._listed_at, self._listed_time, self._listed_changes = began, at, changes
                self._all_listed_at = began if anew else self._all_listed_at
            return self._listed

    def _with_new(self) -> Sequence[Container]:
        """Return the containers of the last list and those that were created since."""
        settled = self._listed_time - _SLOWEST_CREATION
        times = {each.id: each.created_at for each in self._listed if each.created_at and each.created_at <= settled}
        if not times:
            return self._client.container_references()
        try:
            new = self._client.container_references(since=max(times, key=times.__getitem__))
        except EngineRefused:  # that one has gone
            return self._client.container_references()
        ids = {each.id for each in new}
        return [*new, *(each for each in self._listed if each.id not in ids)]
