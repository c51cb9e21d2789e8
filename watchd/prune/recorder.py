"""Keeps what is known of use up to date while the daemon watches: one of the watch's listeners.

It has a thread of its own: a slow or failing list of images is no reason for metrics to wait.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence

from watchd.errors import EngineError, StateError, WatchdError
from watchd.model import Container, EngineInfo, Event, Image, Snapshot
from watchd.prune.references import normalize
from watchd.prune.usage import Usage

logger = logging.getLogger(__name__)

_ARRIVES = frozenset(("pull", "load", "import", "tag"))
_USES = frozenset(("create", "start", "restart", "die", "died", "stop", "kill", "destroy", "remove"))
_GONE = frozenset(("destroy", "remove"))  # Docker's word and Podman's


class Recorder:
    """Turns events into observations. What it cannot read or write it logs: watching goes on."""

    def __init__(self, list_images: Callable[[], list[Image]], usage: Usage) -> None:
        self._list_images = list_images
        self._usage = usage
        self._engine: EngineInfo | None = None
        self._containers: dict[str, Container] = {}
        self._ids_by_reference: dict[str, str] = {}
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
        if image_events:
            self._look()
        arrived = [self._image_of(event.id) for event in image_events if event.action in _ARRIVES]
        container_events = [event for event in events if event.type == "container" and event.action in _USES]
        used = [self._image_used_by(event) for event in container_events]
        self._usage.arrived(self._engine.id, sorted({id_ for id_ in arrived if id_}), now)
        self._usage.used(self._engine.id, sorted({id_ for id_ in used if id_}), now)
        for event in container_events:
            if event.action in _GONE:
                self._containers.pop(event.id, None)

    def _tick(self) -> None:
        if self._engine is not None:
            in_use = {container.image_id for container in self._containers.values() if container.is_running}
            self._usage.still_watching(self._engine.id, sorted(in_use), time.time())

    def _look(self) -> None:
        assert self._engine is not None  # noqa: S101 - callers have seen to it
        images = self._list_images()
        self._ids_by_reference = _by_reference(images)
        now = time.time()
        containers = tuple(self._containers.values())
        self._usage.look(Snapshot(self._engine, now, containers=containers, images=tuple(images)), now)

    def _image_of(self, id_or_reference: str) -> str | None:
        return self._ids_by_reference.get(id_or_reference) or self._ids_by_reference.get(normalize(id_or_reference))

    def _image_used_by(self, event: Event) -> str | None:
        """Return the image of an event's container, which may have been too short-lived to be inspected."""
        container = self._containers.get(event.id)
        return container.image_id if container else self._image_of(event.attributes.get("image", ""))


def _by_reference(images: Sequence[Image]) -> dict[str, str]:
    ids = {image.id: image.id for image in images}
    ids |= {normalize(reference): image.id for image in images for reference in image.references}
    return ids
