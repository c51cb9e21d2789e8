"""The watch on the engine: subscribe, list, follow; and again, whenever the connection is lost.

Events say that something changed, lists and inspects say what is: the engine forgets events silently when it is
restarted, or when someone reads too slowly. So every (re)connection starts with a full list, and an event about a
container leads to one inspect of it.
"""

import logging
import queue
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Protocol

from watchd.engine import quirks
from watchd.engine.client import EngineClient
from watchd.engine.event_stream import EventStream
from watchd.engine.wire import MalformedReply
from watchd.errors import EngineError, EngineRefused, EngineUnreachable
from watchd.model import Container, EngineInfo, Event
from watchd.pulse import Pulse

logger = logging.getLogger(__name__)

PING_INTERVAL = 10.0  # seconds: a frozen engine ends no connection, it just stops answering
FIRST_DELAY = 0.2  # seconds between attempts to reconnect: doubled up to the last
LASTED = 3.0  # a connection that lasted so long is made again at once
LAST_DELAY = 1.0  # so that all is right again within seconds of the engine's return; a refused attempt costs 1 ms

# These change nothing that an inspect would show; health probes alone emit three of them each.
_CHANGES_NOTHING = quirks.EXEC_NOISE | frozenset(
    ("top", "resize", "attach", "detach", "copy", "export", "archive-path", "extract-to-dir", "commit")
)


class Listener(Protocol):
    """Who wants to know. Called from one thread, in the order of events; slow listeners delay the next ones."""

    def reconciled(self, engine: EngineInfo | None, containers: Sequence[Container]) -> None:
        """This is the engine, unless it refuses to tell, and these are all its containers: after connecting."""

    def changed(self, container: Container) -> None:
        """This container is new or not as it was."""

    def gone(self, container_id: str) -> None:
        """This container was removed."""

    def happened(self, events: Sequence[Event]) -> None:
        """These events came, of every type; what they did to containers has been told already."""


class Watch:
    """Follows one engine in threads of its own, from `start` to `stop`.

    `ready` is whether the inventory was listed and the event stream is connected now. `reconnects` counts the times
    that a lost stream was established again.
    """

    def __init__(self, client: EngineClient, listeners: Iterable[Listener] = ()) -> None:
        self._client = client
        self._listeners = list(listeners)
        self._queue: queue.SimpleQueue[Event | _Connected | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._stream: EventStream | None = None
        self._last_event = 0  # its timeNano
        self._threads = [
            threading.Thread(target=target, name=f"watchd-{name}", daemon=True)
            for name, target in (("events", self._read), ("inventory", self._fold), ("ping", self._ping))
        ]
        self._reading, self._folding, self._pinging = self.pulses = (
            Pulse("reading the engine's events"),
            Pulse("the inventory"),
            Pulse("pinging the engine"),
        )
        self.reachable = False
        self.ready = False
        self.reconnects = 0

    def tell(self, *listeners: Listener) -> None:
        """Tell these too. To be called before `start`."""
        self._listeners += listeners

    def start(self) -> None:
        """Begin. Returns at once: `ready` tells when the first list is in."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 1.0) -> None:
        """End the threads, waiting at most `timeout` seconds for what they are at."""
        self._stopping.set()
        self._queue.put(None)
        self._disconnect()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            if thread.ident is not None:  # it was started
                thread.join(max(0.0, deadline - time.monotonic()))

    def _read(self) -> None:
        """Read the stream and queue what it says: nothing slower, since the engine drops events for slow readers."""
        delay, was_connected, told = FIRST_DELAY, False, ""
        while not self._stopping.is_set():
            self._reading.beat()
            began = time.monotonic()
            try:
                self._client.close()  # an engine that comes back may be another version
                stream = self._client.events(self._last_event + 1 if self._last_event else None)
            except EngineError as error:
                if str(error) != told:
                    logger.warning("%s; trying again", error)
                    told = str(error)
            else:
                told = ""
                if was_connected:
                    self.reconnects += 1
                was_connected = True
                self._stream = stream
                self._queue.put(_Connected(stream))
                self._reading.rest()  # a quiet engine has no event for days
                self._follow(stream)
                self._reading.beat()
                self._stream = None
                if self.ready and not self._stopping.is_set():  # else it was told already why
                    logger.warning("the event stream of the engine at %s ended", self._client.host)
            self.ready = self.reachable = False
            # An engine that accepts and hangs up at once is not to be asked a thousand times a second.
            delay = FIRST_DELAY if time.monotonic() - began > LASTED else min(delay * 2, LAST_DELAY)
            self._stopping.wait(delay)

    def _follow(self, stream: EventStream) -> None:
        try:
            for event in stream:
                self._queue.put(event)
        except EngineUnreachable as error:
            logger.debug("%s", error)  # the end of the stream, by whatever it was cut
        finally:
            stream.close()

    def _fold(self) -> None:
        """Turn what was queued into what listeners are told."""
        stream: EventStream | None = None
        told = ""
        while (message := self._queue.get()) is not None:
            self._folding.beat()
            batch: list[Event] = []
            connected: _Connected | None = None
            while True:  # all that is there: a container that changed five times is inspected once
                if isinstance(message, _Connected):
                    connected = message
                elif message is None:
                    return
                else:
                    self._last_event = message.time_nano
                    batch.append(message)
                if self._queue.empty():
                    break
                message = self._queue.get()
            try:
                if connected:
                    stream = connected.stream
                    self._reconcile(stream)
                    told = ""
                self._apply(batch)
            except EngineError as error:
                if str(error) != told:
                    logger.warning("%s; connecting again", error)
                    told = str(error)
                if stream is not None:
                    stream.close()
            self._folding.rest()

    def _reconcile(self, stream: EventStream) -> None:
        engine = self._describe_engine()
        containers = self._client.containers()
        for listener in self._listeners:
            listener.reconciled(engine, containers)
        if stream is self._stream and not self._stopping.is_set():
            self.reachable = self.ready = True
            logger.info("following the engine at %s: %d containers", self._client.host, len(containers))

    def _describe_engine(self) -> EngineInfo | None:
        try:
            return self._client.info()
        except (EngineRefused, MalformedReply) as error:
            logger.warning("the engine at %s does not tell what it is: %s", self._client.host, error)
            return None

    def _apply(self, events: Sequence[Event]) -> None:
        latest: dict[str, Event] = {}
        for event in events:
            if event.type == "container" and event.action not in _CHANGES_NOTHING:
                latest[event.id] = event
        try:
            for container_id, event in latest.items():
                self._tell(container_id, removed=event.action in quirks.GONE)
        finally:  # the engine may be gone by now: containers are listed again when it is back, events do not come again
            if events:
                for listener in self._listeners:
                    listener.happened(events)

    def _tell(self, container_id: str, *, removed: bool) -> None:
        """Tell what became of a container, by a look at it. Raise `EngineUnreachable`."""
        self._folding.beat()
        container = None
        if not removed:
            try:
                container = self._client.container(container_id)
            except EngineRefused as error:
                if error.status != 404:
                    logger.warning("container %.12s cannot be inspected: %s", container_id, error)
                    return
            except MalformedReply as error:
                logger.warning("container %.12s cannot be understood: %s", container_id, error)
                return
        for listener in self._listeners:
            if container is None:
                listener.gone(container_id)
            else:
                listener.changed(container)

    def _ping(self) -> None:
        while not self._stopping.wait(PING_INTERVAL):
            with self._pinging.busy():
                try:
                    self._client.ping()
                except EngineError as error:
                    if self.reachable:
                        logger.warning("%s", error)
                    self.reachable = self.ready = False
                    self._disconnect()

    def _disconnect(self) -> None:
        stream = self._stream
        if stream is not None:
            stream.close()


class _Connected:
    """The mark in the queue between what was read before a (re)connection and after."""

    def __init__(self, stream: EventStream) -> None:
        self.stream = stream
