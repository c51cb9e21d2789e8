"""The engine's events during a run: what changes beside it."""

import logging
import threading
from collections.abc import Callable

from watchd.engine.client import EngineClient
from watchd.engine.decode import quirks
from watchd.engine.event_stream import EventStream
from watchd.errors import EngineError
from watchd.model import Event
from watchd.model.names.references import normalize
from watchd.runtime.watchdog import Heartbeat

logger = logging.getLogger(__name__)

_NO_CHANGE = quirks.EXEC_NOISE | {"health_status"}  # of what a container uses


class RunEvents:
    """Follows the events since a time. Safe for several threads.

    `changes` counts those of containers and networks. `arrived` has the IDs and full references of the images that were
    pulled, loaded or tagged, `created` the names of new volumes. `follow` false: the engine does not send all of these.
    """

    def __init__(self, client: EngineClient, *, since: float, follow: bool = True) -> None:
        since_nano = int(since * 1e9)

        def subscription(*types: str, actions: tuple[str, ...] = ()) -> _Subscription:
            return _Subscription(
                lambda: client.events(since_nano, types=types, actions=actions), self._take, follow=follow
            )

        self._users = subscription("container", "network", "image")
        # The other events of volumes would be those of each volume that the run removes.
        self._volumes = subscription("volume", actions=("create",))
        self.changes = 0
        self.arrived: set[str] = set()
        self.created: set[str] = set()

    def are_followed(self) -> bool:
        """Return whether events of containers, networks and images come: the first call subscribes to them."""
        return self._users.goes_on()

    def new_volumes_are_followed(self) -> bool:
        """Return whether events of new volumes come: the first call subscribes to them."""
        return self._volumes.goes_on()

    def close(self) -> None:
        """End the connections that the events come through."""
        self._users.close()
        self._volumes.close()

    def _take(self, event: Event) -> None:
        if event.type == "image":
            if event.action in quirks.ARRIVES:
                self.arrived |= {event.id, normalize(event.id)}
        elif event.type == "volume":
            self.created.add(event.id)
        elif event.action not in _NO_CHANGE:
            self.changes += 1


class _Subscription:
    """A stream of events, which a thread reads and passes on from the first `goes_on` on."""

    def __init__(self, subscribe: Callable[[], EventStream], take: Callable[[Event], None], *, follow: bool) -> None:
        self._subscribe = subscribe
        self._take = take
        self._follow = follow
        self._lock = threading.Lock()
        self._stream: EventStream | None = None
        self._goes_on = False  # reset by the thread when the stream ends

    def goes_on(self) -> bool:
        with self._lock:
            if self._follow:
                self._follow = False
                self._begin()
            return self._goes_on

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()

    def _begin(self) -> None:
        try:
            self._stream = self._subscribe()
        except EngineError as error:
            logger.warning("cannot follow the engine's events, so each object is looked at by itself: %s", error)
            return
        self._goes_on = True
        heartbeat = Heartbeat("following events during a run", thread="watchd-run-events")
        threading.Thread(target=self._read, args=(self._stream, heartbeat), name=heartbeat.thread, daemon=True).start()

    def _read(self, stream: EventStream, heartbeat: Heartbeat) -> None:
        heartbeat.idle()
        try:
            for event in stream:
                self._take(event)
        except EngineError as error:
            logger.debug("the engine's events ended during a run: %s", error)
        finally:
            self._goes_on = False
