"""Keeps what is known of use up to date while the daemon watches: one of the watch's listeners.

It has a thread of its own: a slow or failing list of images is no reason for metrics to wait.
"""

import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from watchd.engine.quirks import DIED, GONE, LOADED
from watchd.errors import EngineError, StateError, WatchdError
from watchd.model import Container, EngineInfo, Event, Image, Key, Kind, Listing, Network, Snapshot, Volume
from watchd.prune.references import normalize
from watchd.prune.usage import Names, Usage, names_of, uses
from watchd.pulse import Pulse

logger = logging.getLogger(__name__)

_ARRIVES = frozenset(("pull", "import", "tag")) | LOADED
_USES = frozenset(("create", "start", "restart", "stop", "kill")) | DIED | GONE
_RENAMES = _ARRIVES | frozenset(("untag", "delete"))  # what may give a reference another image
_ATTACHES = frozenset(("mount", "unmount", "connect", "disconnect"))  # of volumes and networks
_COMES = frozenset(("create", "prune")) | GONE  # of networks and volumes, what changes their lists

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Lists:
    """What lists the engine's objects, besides the containers that the watch tells of, and past events."""

    images: Callable[[], Sequence[Image]]
    networks: Callable[[], Sequence[Network]]
    volumes: Callable[[], Sequence[Volume]]
    past_events: Callable[[int, float], Sequence[Event]]  # since a timeNano, until a time


class Recorder:
    """Turns events into observations. What it cannot read or write it logs: watching goes on."""

    def __init__(self, lists: Lists, usage: Usage) -> None:
        self._lists = lists
        self._usage = usage
        self._engine: EngineInfo | None = None
        self._containers: dict[str, Container] = {}
        self._names: Names = {}
        self._observed: dict[Key, Key] = {}  # what things are observed by
        self._trouble = ""
        self.pulse = Pulse("recording what was seen")
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="watchd-recorder", daemon=True)

    def start(self) -> None:
        """Begin to record what the watch tells."""
        self._thread.start()

    def stop(self, timeout: float = 1.0) -> None:
        """End, waiting at most `timeout` seconds for what it is at."""
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout)

    def reconciled(self, engine: EngineInfo | None, containers: Sequence[Container]) -> None:
        """Take a full look: what happened while nobody watched is told by what is there now."""
        self._queue.put(lambda: self._reconcile(engine, containers))

    def changed(self, container: Container) -> None:
        """Remember whose image it uses."""
        self._queue.put(lambda: self._change(container))

    def gone(self, container_id: str) -> None:
        """Keep it until its events were looked at: they say that its image was used."""

    def happened(self, events: Sequence[Event]) -> None:
        """Note which images were used and which arrived."""
        now = time.time()
        self._queue.put(lambda: self._take_in(events, now))

    def tick(self) -> None:
        """Note that the engine is still watched: called while it is, every `TICK_INTERVAL` seconds."""
        self._queue.put(self._tick)

    def _work(self) -> None:
        while (step := self._queue.get()) is not None:
            try:
                with self.pulse.busy():
                    step()
            except (EngineError, StateError) as error:
                self._complain(error)
            else:
                self._trouble = ""

    def _complain(self, error: WatchdError) -> None:
        if str(error) != self._trouble:  # once, not at every event
            logger.warning("what was seen is not on record, so clocks may stand still: %s", error)
        self._trouble = str(error)

    def _change(self, container: Container) -> None:
        self._containers[container.id] = container
        if self._engine is not None:
            self._usage.tasks_ran(self._engine.id, [container])

    def _reconcile(self, engine: EngineInfo | None, containers: Sequence[Container]) -> None:
        self._containers = {container.id: container for container in containers}
        self._engine = engine
        if engine is None:
            logger.warning("what is seen is not on record: an engine that does not tell its ID has no record")
        else:
            look = self._list()
            self._bridge(engine)
            self._record(look)

    def _bridge(self, engine: EngineInfo) -> None:
        """See whether past events tell all that happened since the last one that was taken in.

        They do if that one is still among them: then the engine was not restarted, and its memory has not overflowed.
        What was renamed meanwhile, or used under a name that is gone, could be anything, so then they do not.
        """
        cursor = self._usage.cursor(engine.id)
        if cursor is None:
            return
        now = time.time()
        try:
            last = json.loads(cursor)
            past = self._lists.past_events(int(last["time_nano"]), now)
        except (EngineError, ValueError, KeyError, TypeError) as error:
            logger.debug("past events tell nothing: %s", error)
            return
        places = [number for number, event in enumerate(past) if _cursor(event) == cursor]
        if not places:
            return
        missed = past[places[-1] + 1 :]
        used: dict[Key, float] = {}
        for event in missed:
            if event.type == "image" and event.action in _RENAMES:
                return
            keys = self._used_by(event)
            if event.type == "container" and event.action in _USES and not keys:
                return
            used |= dict.fromkeys(keys, event.time)
        self._usage.bridge(engine.id, now)
        for key, moment in used.items():
            self._usage.used(engine.id, [key], min(moment, now))
        if missed:
            self._usage.remember(engine.id, _cursor(missed[-1]))
        logger.info("%d events tell all that happened while nobody watched", len(missed))

    def _take_in(self, events: Sequence[Event], now: float) -> None:
        if self._engine is None:
            return
        image_events = [event for event in events if event.type == "image"]
        others = [event for event in events if event.type in ("network", "volume") and event.action in _COMES]
        if image_events or others:
            self._record(self._list())
        arrived = [self._image_of(event.id) for event in image_events if event.action in _ARRIVES]
        used = {key for event in events for key in self._used_by(event)}
        self._usage.arrived(self._engine.id, sorted({("image", id_) for id_ in arrived if id_}), now)
        self._usage.used(self._engine.id, sorted(used), now)
        self._usage.remember(self._engine.id, _cursor(events[-1]))
        for event in events:
            if event.type == "container" and event.action in GONE:
                self._containers.pop(event.id, None)

    def _tick(self) -> None:
        if self._engine is not None:
            running = [container for container in self._containers.values() if container.is_running]
            in_use = {key for container in running for key in self._used_while_running(container)}
            self._usage.still_watching(self._engine.id, sorted(in_use), time.time())

    def _record(self, look: Snapshot) -> None:
        """Put on record what there is. Raise `EngineError` where something could not be listed."""
        self._usage.look(look, time.time())
        if look.failures:
            raise EngineError("; ".join(f"{kind}s: {why}" for kind, why in look.failures.items()))

    def _list(self) -> Snapshot:
        assert self._engine is not None  # noqa: S101 - callers have seen to it
        failures: dict[Listing, str] = {}

        def listing(kind: Listing, list_: Callable[[], Sequence[T]]) -> tuple[T, ...]:
            try:
                return tuple(list_())
            except EngineError as error:
                failures[kind] = str(error)
                return ()

        images = listing("image", self._lists.images)
        networks = listing("network", self._lists.networks)
        volumes = listing("volume", self._lists.volumes)
        look = Snapshot(
            self._engine,
            time.time(),
            containers=tuple(self._containers.values()),
            images=images,
            networks=networks,
            volumes=volumes,
            kinds=frozenset(("container", "image", "network", "volume")),
            failures=failures,
        )
        self._names = names_of(look.subjects())
        self._observed = {subject.key: (subject.kind, subject.identity) for subject in look.subjects()}
        return look

    def _image_of(self, id_or_reference: str) -> str | None:
        key = self._names.get(("image", id_or_reference)) or self._names.get(("image", normalize(id_or_reference)))
        return key[1] if key else None

    def _used_by(self, event: Event) -> set[Key]:
        """Return what an event tells to be used: by its container, which may be too short-lived to be inspected."""
        match event.type:
            case "container" if event.action in _USES:
                container = self._containers.get(event.id)
                if container is not None:
                    return self._used_while_running(container)
                image = self._image_of(event.attributes.get("image", ""))
                return {("image", image)} if image else set()
            case "volume" | "network" if event.action in _ATTACHES:
                kind: Kind = "volume" if event.type == "volume" else "network"
                key = self._names.get((kind, event.id))
                return {self._observed[key]} if key else set()
        return set()

    def _used_while_running(self, container: Container) -> set[Key]:
        return {self._observed[key] for key in uses(container, self._names) if key in self._observed}


def _cursor(event: Event) -> str:
    """Return what tells an event from every other one."""
    return json.dumps({"time_nano": event.time_nano, "type": event.type, "action": event.action, "id": event.id})
