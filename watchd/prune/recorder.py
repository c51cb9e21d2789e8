"""Keeps what is known of use up to date while the daemon watches: one of the watch's listeners.

It has a thread of its own: a slow or failing list of images is no reason for metrics to wait.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from watchd.errors import EngineError, StateError, WatchdError
from watchd.model import Container, EngineInfo, Event, Image, Key, Listing, Network, Snapshot, Volume
from watchd.prune.references import normalize
from watchd.prune.usage import Usage, uses

logger = logging.getLogger(__name__)

_ARRIVES = frozenset(("pull", "load", "import", "tag"))
_USES = frozenset(("create", "start", "restart", "die", "died", "stop", "kill", "destroy", "remove"))
_GONE = frozenset(("destroy", "remove"))  # Docker's word and Podman's
_COMES = frozenset(("create", "destroy", "remove", "prune"))  # of networks and volumes, what changes their lists

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Lists:
    """What lists the engine's objects, besides the containers that the watch tells of."""

    images: Callable[[], Sequence[Image]]
    networks: Callable[[], Sequence[Network]]
    volumes: Callable[[], Sequence[Volume]]


class Recorder:
    """Turns events into observations. What it cannot read or write it logs: watching goes on."""

    def __init__(self, lists: Lists, usage: Usage) -> None:
        self._lists = lists
        self._usage = usage
        self._engine: EngineInfo | None = None
        self._containers: dict[str, Container] = {}
        self._images: dict[str, str] = {}  # IDs by reference
        self._networks: dict[str, str] = {}  # IDs by name and ID
        self._observed: dict[Key, Key] = {}  # what things are observed by
        self._trouble = ""
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
        self._queue.put(lambda: self._containers.update({container.id: container}))

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
                step()
            except (EngineError, StateError) as error:
                self._complain(error)
            else:
                self._trouble = ""

    def _complain(self, error: WatchdError) -> None:
        if str(error) != self._trouble:  # once, not at every event
            logger.warning("what was seen is not on record, so clocks may stand still: %s", error)
        self._trouble = str(error)

    def _reconcile(self, engine: EngineInfo | None, containers: Sequence[Container]) -> None:
        self._containers = {container.id: container for container in containers}
        self._engine = engine
        if engine is None:
            logger.warning("what is seen is not on record: an engine that does not tell its ID has no record")
        else:
            self._look()

    def _take_in(self, events: Sequence[Event], now: float) -> None:
        if self._engine is None:
            return
        image_events = [event for event in events if event.type == "image"]
        others = [event for event in events if event.type in ("network", "volume") and event.action in _COMES]
        if image_events or others:
            self._look()
        arrived = [self._image_of(event.id) for event in image_events if event.action in _ARRIVES]
        container_events = [event for event in events if event.type == "container" and event.action in _USES]
        used = {key for event in container_events for key in self._used_by(event)}
        self._usage.arrived(self._engine.id, sorted({("image", id_) for id_ in arrived if id_}), now)
        self._usage.used(self._engine.id, sorted(used), now)
        for event in container_events:
            if event.action in _GONE:
                self._containers.pop(event.id, None)

    def _tick(self) -> None:
        if self._engine is not None:
            running = [container for container in self._containers.values() if container.is_running]
            in_use = {key for container in running for key in self._used_while_running(container)}
            self._usage.still_watching(self._engine.id, sorted(in_use), time.time())

    def _look(self) -> None:
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
        self._images = {image.id: image.id for image in images}
        self._images |= {normalize(reference): image.id for image in images for reference in image.references}
        self._networks = {name: network.id for network in networks for name in (network.name, network.id)}
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
        self._observed = {subject.key: (subject.kind, subject.identity) for subject in look.subjects()}
        self._usage.look(look, look.taken_at)
        if failures:
            raise EngineError("; ".join(f"{kind}s: {why}" for kind, why in failures.items()))

    def _image_of(self, id_or_reference: str) -> str | None:
        return self._images.get(id_or_reference) or self._images.get(normalize(id_or_reference))

    def _used_by(self, event: Event) -> set[Key]:
        """Return what an event's container uses: of one too short-lived to be inspected, its image."""
        container = self._containers.get(event.id)
        if container is not None:
            return self._used_while_running(container)
        image = self._image_of(event.attributes.get("image", ""))
        return {("image", image)} if image else set()

    def _used_while_running(self, container: Container) -> set[Key]:
        return {self._observed[key] for key in uses(container, self._networks) if key in self._observed}
