"""The engine's events during a run: what changes beside it."""

import logging
import threading

from watchd.engine.client import EngineClient
from watchd.engine.decode import quirks
from watchd.engine.event_stream import EventStream
from watchd.errors import EngineError
from watchd.model.names.references import normalize
from watchd.runtime.watchdog import Heartbeat

logger = logging.getLogger(__name__)

_TYPES = ("container", "network", "image", "volume")
_NO_CHANGE = quirks.EXEC_NOISE | {"health_status"}  # of what a container uses


class RunEvents:
    """Follows the events since a time, from the first `are_followed` on. Safe for several threads.

    `changes` counts those of containers and networks. `arrived` has the IDs and full references of the images that were
    pulled, loaded or tagged, `created` the names of new volumes. `follow` false: the engine does not send all of these.
    """

    def __init__(self, client: EngineClient, *, since: float, follow: bool = True) -> None:
        self._client = client
        self._since_nano = int(since * 1e9)
        self._lock = threading.Lock()
        self._follow = follow
        self._stream: EventStream | None = None
        self._following = False  # set by the thread when the stream ends
        self.changes = 0
        self.arrived: set[str] = set()
        self.created: set[str] = set()

    def are_followed(self) -> bool:
        """Return whether events come: the first call subscribes to them."""
        with self._lock:
            if self._follow:
                self._follow = False
                self._subscribe()
            return self._following

    def close(self) -> None:
        """End the connection that the events come through."""
        if self._stream is not None:
            self._stream.close()

    def _subscribe(self) -> None:
        try:
            self._stream = self._client.events(self._since_nano, types=_TYPES)
        except EngineError as error:
            logger.warning("cannot follow the engine's events, so each object is looked at by itself: %s", error)
            return
        self._following = True
        heartbeat = Heartbeat("following events during a run", thread="watchd-run-events")
        threading.Thread(target=self._read, args=(self._stream, heartbeat), name=heartbeat.thread, daemon=True).start()

    def _read(self, stream: EventStream, heartbeat: Heartbeat) -> None:
        heartbeat.idle()
        try:
            for event in stream:
                if event.type == "image":
                    if event.action in quirks.ARRIVES:
                        self.arrived |= {event.id, normalize(event.id)}
                elif event.type == "volume":
                    if event.action == "create":
                        self.created.add(event.id)
                elif event.action not in _NO_CHANGE:
                    self.changes += 1
        except EngineError as error:
            logger.debug("the engine's events ended during a run: %s", error)
        finally:
            self._following = False
