"""Changes during a run: containers, listed again only when something may have changed, and images that arrive."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from watchd.engine.client import EngineClient
from watchd.engine.decode import quirks
from watchd.engine.event_stream import EventStream
from watchd.errors import EngineError, EngineRefused
from watchd.model import Container, Image
from watchd.model.names.references import normalize
from watchd.runtime.watchdog import Heartbeat

logger = logging.getLogger(__name__)

MAX_AGE = 1.0  # seconds
_SLOWEST_CREATION = 10.0  # seconds from a container's creation until the engine lists it
_TYPES = ("container", "network", "image")
_NO_CHANGE = quirks.EXEC_NOISE | {"health_status"}  # of what a container uses


class ContainerList:
    """The containers, listed at most `MAX_AGE` seconds ago, and after the last event of a container or a network.

    And the images that were pulled, loaded or tagged `since` a time. While events cannot be followed each call lists,
    and no arrival is known. `follow` false: the engine does not send all of these events. Safe for several threads.
    """

    def __init__(
        self,
        client: EngineClient,
        *,
        since: float,
        follow: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._since_nano = int(since * 1e9)
        self._arrived: set[str] = set()  # IDs and full references of images
        self._clock = clock
        self._lock = threading.Lock()
        self._follow = follow
        self._stream: EventStream | None = None
        self._following = False  # set by the thread when the stream ends
        self._events = 0
        self._listed: Sequence[Container] = ()
        self._listed_at = -MAX_AGE  # when the engine was asked
        self._listed_time = 0.0  # the same, in seconds since the epoch
        self._all_listed_at = -MAX_AGE  # when it was asked for more than the new ones
        self._listed_events = -1  # number of events before it was asked

    def now(self, *, networks: bool = True) -> Sequence[Container]:
        """Return the containers. Raise `EngineError`.

        Without `networks` they may be attached to others by now: no event tells it of a stopped one. Only new ones are
        listed then: with containerd's store the engine takes 2 ms for each.
        """
        with self._lock:
            if self._follow:
                self._follow = False
                self._subscribe()
            began, at, events = self._clock(), time.time(), self._events
            anew = not self._following or events != self._listed_events
            anew = anew or (networks and began - self._all_listed_at > MAX_AGE)
            if anew or began - self._listed_at > MAX_AGE:
                self._listed = self._client.container_references() if anew else self._with_new()
                self._listed_at, self._listed_time, self._listed_events = began, at, events
                self._all_listed_at = began if anew else self._all_listed_at
            return self._listed

    def has_arrived(self, image: Image) -> bool:
        """Return whether an image was pulled, loaded or tagged since, as far as events tell."""
        return not self._arrived.isdisjoint((image.id, *map(normalize, image.references)))

    def close(self) -> None:
        """End the connection that the events come through."""
        if self._stream is not None:
            self._stream.close()

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

    def _subscribe(self) -> None:
        try:
            self._stream = self._client.events(self._since_nano, types=_TYPES)
        except EngineError as error:
            logger.warning("cannot follow the engine's events, so containers are listed for each object: %s", error)
            return
        self._following = True
        heartbeat = Heartbeat("following events during a run", thread="watchd-run-events")
        threading.Thread(target=self._read, args=(self._stream, heartbeat), name=heartbeat.thread, daemon=True).start()

    def _read(self, stream: EventStream, heartbeat: Heartbeat) -> None:
        heartbeat.idle()
        try:
            for event in stream:
                if event.type == "image" and event.action in quirks.ARRIVES:
                    self._arrived |= {event.id, normalize(event.id)}
                elif event.type != "image" and event.action not in _NO_CHANGE:
                    self._events += 1
        except EngineError as error:
            logger.debug("the engine's events ended during a run: %s", error)
        finally:
            self._following = False
