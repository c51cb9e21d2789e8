"""The watch on the engine: subscribe, list, follow; and again, whenever the connection is lost.

Events say that something changed, lists and inspects say what is: the engine forgets events silently when it is
restarted, or when someone reads too slowly. So every (re)connection starts with full lists, an event about an object
leads to one inspect of it, and lists now and then show whether events told everything.
"""

import logging
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from watchd.engine.client import EngineClient
from watchd.engine.event_stream import EventStream
from watchd.engine.watch.coverage import Coverage
from watchd.engine.watch.drift import Drift, differences
from watchd.engine.watch.mirror import Mirror
from watchd.engine.watch.refresh import Refresher
from watchd.errors import EngineError, EngineUnreachable
from watchd.model import EngineView, Event, Key
from watchd.runtime.watchdog import Heartbeat

logger = logging.getLogger(__name__)

PING_INTERVAL = 10.0  # seconds: a frozen engine ends no connection, it just stops answering
FIRST_DELAY = 0.2  # seconds between attempts to reconnect: doubled up to the last
LASTED = 3.0  # a connection that lasted so long is made again at once
LAST_DELAY = 1.0  # so that all is right again within seconds of the engine's return; a refused attempt costs 1 ms
LIST_INTERVAL = 600.0  # seconds between lists that show whether events told everything
_LIST_SHARE = 0.01  # of the time, at the most, that such a list may take
_CONNECTED_FOR = 60.0  # seconds, at least: a busy engine is not to be listed again and again
_GATHER = 0.5  # seconds between batches of events, so that an object that changes often is inspected once
_REMEMBERED = 1024  # events; the engine remembers 256
MOST_LATE = 1.0  # seconds that an event may be read late before some may have been dropped


class Listener(Protocol):
    """Told of every change. Called from one thread, in the order of events; slow listeners delay the next ones."""

    def on_events(self, events: Sequence[Event], before: EngineView, after: EngineView, *, listed: bool) -> None:
        """These events came, and the view changed; `listed`: by full lists, after (re)connecting."""


class Watch:
    """Follows one engine in threads of its own, from `start` to `stop`, and keeps the mirror.

    `ready` is whether everything was listed and the event stream is connected now. `reconnects` counts the times that
    a lost stream was established again.
    """

    def __init__(self, client: EngineClient, mirror: Mirror, listeners: Iterable[Listener] = ()) -> None:
        self._client = client
        self.mirror = mirror
        self._listeners = list(listeners)
        self._queue: queue.SimpleQueue[Event | _Connected | _Late | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._stream: EventStream | None = None
        self._last_event = 0  # its timeNano
        self._listed_at = 0.0  # seconds since the epoch
        self._connected_at = 0.0  # monotonic
        self._list_at = 0.0  # monotonic: when next
        self._taken_at = -math.inf  # monotonic: the last batch of events
        self._answered_at: float | None = None  # seconds since the epoch, by the last ping
        self._received: deque[_Identity] = deque(maxlen=_REMEMBERED)
        self._threads = [
            threading.Thread(target=target, name=f"watchd-{name}", daemon=True)
            for name, target in (("events", self._read), ("mirror", self._fold), ("ping", self._ping))
        ]
        self._reading = Heartbeat("reading the engine's events", thread="watchd-events")
        self._folding = Heartbeat("the mirror of the engine", thread="watchd-mirror")
        self._pinging = Heartbeat("pinging the engine", thread="watchd-ping")
        self._refresher = Refresher(client, mirror, self._folding.beat)
        self.coverage = Coverage()
        self.drift = Drift()
        self.reachable = False
        self.ready = False
        self.reconnects = 0

    def add_listeners(self, *listeners: Listener) -> None:
        """Tell these too. To be called before `start`."""
        self._listeners += listeners

    def start(self) -> None:
        """Start, and return at once: `ready` is true once the first list is in."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 1.0) -> None:
        """End the threads, waiting at most `timeout` seconds for them."""
        self._stopping.set()
        self._queue.put(None)
        self._disconnect()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            if thread.ident is not None:  # it was started
                thread.join(max(0.0, deadline - time.monotonic()))

    def followed(self) -> EngineView | None:
        """Return the mirror's view; None while it does not follow the engine's events."""
        return self.mirror.view if self.ready else None

    def compare(self, fresh: EngineView) -> None:
        """Count where a fresh look differs from the mirror, but for changes in flight."""
        if self.ready:
            self.drift.suspect(differences(self.mirror.view, fresh))

    def _read(self) -> None:
        """Queue the events of the stream and do nothing slower, since the engine drops events for slow readers."""
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
                self.coverage.begin()
                self._queue.put(_Connected(stream))
                self._reading.idle()  # a quiet engine has no event for days
                self._follow(stream)
                self._reading.beat()
                self._stream = None
                self.coverage.end()
                if self.ready and not self._stopping.is_set():  # else the reason is logged already
                    logger.warning("the event stream of the engine at %s ended", self._client.host)
            self.ready = self.reachable = False
            # An engine that accepts and hangs up at once is not to be asked a thousand times a second.
            delay = FIRST_DELAY if time.monotonic() - began > LASTED else min(delay * 2, LAST_DELAY)
            self._stopping.wait(delay)

    def _follow(self, stream: EventStream) -> None:
        connected = in_time = time.time()
        last_in_time: Event | None = None
        # The clock of an engine elsewhere may differ: then by the event that seems to have come the fastest.
        fastest = 0.0 if self._client.host.startswith("unix://") else math.inf
        marked = -math.inf
        try:
            for event in stream:
                self._received.append(_identity(event))
                self._queue.put(event)
                late = time.time() - event.time
                fastest = min(fastest, late)
                if late - fastest <= MOST_LATE:
                    in_time, last_in_time = event.time, event
                elif event.time > connected and time.monotonic() - marked > MOST_LATE:
                    marked = time.monotonic()
                    self._queue.put(_Late(last_in_time, in_time))
        except EngineUnreachable as error:
            logger.debug("%s", error)  # the end of the stream
        finally:
            stream.close()

    def _fold(self) -> None:
        """Apply queued events to the mirror, and call the listeners."""
        stream: EventStream | None = None
        told = ""
        while True:
            messages = self._take()
            if None in messages:
                return
            self._folding.beat()
            events = [message for message in messages if isinstance(message, Event)]
            connected = [message.stream for message in messages if isinstance(message, _Connected)]
            if connected:
                stream = connected[-1]
            if events:
                self._last_event = events[-1].time_nano
            try:
                for message in messages:
                    if isinstance(message, _Late):
                        events = self._made_up(message) + events
                self._refresh(events, connected=stream if connected else None)
                told = "" if connected else told
            except EngineError as error:
                if str(error) != told:
                    logger.warning("%s; connecting again", error)
                    told = str(error)
                if stream is not None:
                    stream.close()
            self.drift.decide()
            self._folding.idle()

    def _take(self) -> "list[Event | _Connected | _Late | None]":
        """Wait for something to do, and return all that is queued: soon after a batch of events, wait for more."""
        due = [moment for moment in (self.drift.due(), self._list_at if self.ready else None) if moment is not None]
        try:
            messages = [self._queue.get(timeout=max(0.0, min(due) - time.monotonic()) if due else None)]
        except queue.Empty:
            return []
        while self._queue.qsize() or all(_can_wait(each) for each in messages):
            try:
                messages.append(self._queue.get(timeout=max(0.0, self._taken_at + _GATHER - time.monotonic())))
            except queue.Empty:
                break
        self._taken_at = time.monotonic()
        return messages

    def _refresh(self, events: Sequence[Event], *, connected: EventStream | None) -> None:
        before = self.mirror.view
        listed = False
        try:
            if connected is not None:
                self._connected_at = time.monotonic()
                self._list(self._refresher.list_all)
                listed = True
            elif self.ready and time.monotonic() >= self._list_at:
                self._list_again()
            self.drift.touch(self._refresher.apply(events))
        finally:  # events do not come again, even if the inspects failed
            after = self.mirror.view
            if events or listed or after.version != before.version:
                for listener in self._listeners:
                    self._tell(listener, events, before, after, listed=listed)
        if connected is not None and connected is self._stream and not self._stopping.is_set():
            self.reachable = self.ready = True
            number = len(self.mirror.view.containers)
            logger.info("following the engine at %s: %d containers", self._client.host, number)

    def _tell(
        self, listener: Listener, events: Sequence[Event], before: EngineView, after: EngineView, *, listed: bool
    ) -> None:
        """Call a listener. A bug in one must not cost the others, nor the daemon."""
        try:
            listener.on_events(events, before, after, listed=listed)
        except Exception:
            logger.exception("%s failed", type(listener).__name__)

    def _list(self, list_: Callable[[], None]) -> None:
        began, began_at = time.monotonic(), time.time()
        list_()
        now = time.monotonic()
        self._list_at = now + max(LIST_INTERVAL, (now - began) / _LIST_SHARE)
        self._listed_at = began_at

    def _list_again(self) -> None:
        """List everything. A change without an event shows that events were missed since the last list."""
        before, began, listed_at = self.mirror.view, time.monotonic(), self._listed_at
        self._list(self._refresher.list_again)
        after = self.mirror.view
        untold = {key for key in differences(before, after) if not _comes_untold(key, before, after)}
        self.drift.suspect(untold, seen=began, then=lambda: self._missed(listed_at))

    def _missed(self, since: float) -> None:
        """Count the time since then as unwatched, and reconnect unless that has just been done."""
        self.coverage.restart(since)
        if time.monotonic() - self._connected_at > _CONNECTED_FOR:
            logger.warning("events of the engine at %s were missed; connecting again", self._client.host)
            self._disconnect()

    def _made_up(self, late: "_Late") -> list[Event]:
        """Return the events that the engine dropped while its stream was not read in time, as far as it has them."""
        try:
            past = self._client.past_events(late.last.time_nano, time.time()) if late.last else []
        except EngineError as error:
            logger.debug("past events are not known: %s", error)
            past = []
        known = set(self._received)
        identities = [_identity(event) for event in past]
        if late.last is None or _identity(late.last) not in identities:
            self._missed(late.since)
            return []
        first = identities.index(_identity(late.last)) + 1
        received = [number for number, identity in enumerate(identities) if identity in known]
        return [
            event
            for event, identity in list(zip(past, identities, strict=True))[first : received[-1]]
            if identity not in known
        ]

    def _ping(self) -> None:
        while not self._stopping.wait(PING_INTERVAL):
            with self._pinging.busy():
                try:
                    self._client.ping()
                except EngineError as error:
                    if self.reachable:
                        logger.warning("%s", error)
                    self.reachable = self.ready = False
                    self.coverage.end(self._answered_at)
                    self._disconnect()
                else:
                    self._answered_at = time.time()

    def _disconnect(self) -> None:
        stream = self._stream
        if stream is not None:
            stream.close()


class _Connected:
    """The mark in the queue between the events before a (re)connection and after it."""

    def __init__(self, stream: EventStream) -> None:
        self.stream = stream


@dataclass(frozen=True, slots=True)
class _Late:
    """An event was read so late that the engine may have dropped some after the last one that came in time."""

    last: Event | None
    since: float  # its time, or that of the connection


def _can_wait(message: "Event | _Connected | _Late | None") -> bool:
    """Return whether a batch may wait for more. A new container, which may go soon, is inspected at once."""
    return isinstance(message, Event) and (message.type, message.action) != ("container", "create")


_Identity = tuple[int, str, str, str]


def _identity(event: Event) -> _Identity:
    return event.time_nano, event.type, event.action, event.id


def _comes_untold(key: Key, before: EngineView, after: EngineView) -> bool:
    """Return whether engines have no event of such a change: networks of Podman, untagged images of old BuildKits."""
    kind, id_ = key
    if kind == "network":
        return not after.engine.tells_networks
    known = {image.id for image in before.images}
    return kind == "image" and id_ not in known and any(image.id == id_ and not image.tags for image in after.images)
