"""The volumes during a run, listed for many at once."""

import threading
import time
from collections.abc import Callable, Mapping

from watchd.cleanup.run.run_events import RunEvents
from watchd.engine.client import EngineClient
from watchd.model import Volume

MAX_AGE = 1.0  # seconds


class VolumeList:
    """The volumes, listed at most `MAX_AGE` seconds ago; those that were created since the plan are inspected.

    That shows as much as an inspect of each. Nothing about a volume changes but by removing it and creating another
    under its name, which an event tells. Until that event is here the other one can hold no data: a container has to
    write it, and the engine refuses to remove what a container has. While events cannot be followed each is inspected.
    Safe for several threads.
    """

    def __init__(self, client: EngineClient, events: RunEvents, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._events = events
        self._clock = clock
        self._lock = threading.Lock()
        self._listed: Mapping[str, Volume] = {}
        self._listed_at = -MAX_AGE - 1  # when the engine was asked

    def now(self, name: str) -> Volume:
        """Return a volume as it is now. Raise `EngineError`; with 404 it is gone."""
        if not self._events.new_volumes_are_followed():
            return self._client.volume(name)
        with self._lock:
            began = self._clock()
            if began - self._listed_at > MAX_AGE:
                self._listed = {volume.name: volume for volume in self._client.volumes()}
                self._listed_at = began
            listed = self._listed.get(name)
        if listed is None or name in self._events.created:
            return self._client.volume(name)
        return listed
