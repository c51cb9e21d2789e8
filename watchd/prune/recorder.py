"""Keeps what is known of use up to date while the daemon watches: one of the watch's listeners."""

import logging
import time
from collections.abc import Callable, Sequence

from watchd.engine.client import EngineClient
from watchd.errors import EngineRefused, StateError
from watchd.model import Container, EngineInfo, Event, Image, Snapshot
from watchd.prune.references import normalize
from watchd.prune.usage import Usage

logger = logging.getLogger(__name__)

_ARRIVES = frozenset(("pull", "load", "import", "tag"))
_USES = frozenset(("create", "start", "restart", "die", "died", "stop", "kill", "destroy", "remove"))


class Recorder:
    """Turns events into observations. What it cannot write it logs: watching goes on."""

    def __init__(self, client: EngineClient, usage: Usage) -> None:
        self._client = client
        self._usage = usage
        self._engine: EngineInfo | None = None
        self._containers: dict[str, Container] = {}
        self._ids_by_reference: dict[str, str] = {}
        self._trouble = ""

    def reconciled(self, containers: Sequence[Container]) -> None:
        """Take a full look: what happened while nobody watched is told by what is there now."""
        self._containers = {container.id: container for container in containers}
        self._engine = self._client.info()
        self._look()

    def changed(self, container: Container) -> None:
        """Remember whose image it uses."""
        self._containers[container.id] = container

    def gone(self, container_id: str) -> None:
        """Keep it until its events were looked at: they say that its image was used."""

    def happened(self, events: Sequence[Event]) -> None:
        """Note which images were used and which arrived."""
        if self._engine is None:
            return
        image_events = [event for event in events if event.type == "image"]
        if image_events:
            self._look()
        now = time.time()
        arrived = [self._image_of(event.id) for event in image_events if event.action in _ARRIVES]
        container_events = [event for event in events if event.type == "container" and event.action in _USES]
        used = [self._image_used_by(event) for event in container_events]
        engine = self._engine.id
        self._note(lambda: self._usage.arrived(engine, [id_ for id_ in arrived if id_], now))
        self._note(lambda: self._usage.used(engine, sorted({id_ for id_ in used if id_}), now))
        for event in container_events:
            if event.action in ("destroy", "remove"):
                self._containers.pop(event.id, None)

    def tick(self) -> None:
        """Note that the engine is still watched: called while it is, every `TICK_INTERVAL` seconds."""
        if self._engine is not None:
            engine = self._engine.id
            in_use = sorted(
                {container.image_id for container in list(self._containers.values()) if container.is_running}
            )
            self._note(lambda: self._usage.still_watching(engine, in_use, time.time()))

    def _look(self) -> None:
        assert self._engine is not None  # noqa: S101 - callers have seen to it
        try:
            images = self._client.images()
        except EngineRefused as error:  # a proxy in front of the engine may forbid just this
            logger.warning("images cannot be listed: %s", error)
            return
        self._ids_by_reference = _by_reference(images)
        snapshot = Snapshot(
            self._engine, time.time(), containers=tuple(self._containers.values()), images=tuple(images)
        )
        self._note(lambda: self._usage.look(snapshot, snapshot.taken_at))

    def _image_of(self, id_or_reference: str) -> str | None:
        return self._ids_by_reference.get(id_or_reference) or self._ids_by_reference.get(normalize(id_or_reference))

    def _image_used_by(self, event: Event) -> str | None:
        """Return the image of an event's container, which may have been too short-lived to be inspected."""
        container = self._containers.get(event.id)
        return container.image_id if container else self._image_of(event.attributes.get("image", ""))

    def _note(self, write: Callable[[], object]) -> None:
        try:
            write()
        except StateError as error:
            if str(error) != self._trouble:
                logger.warning("what was seen cannot be recorded, so clocks stand still: %s", error)
            self._trouble = str(error)
        else:
            self._trouble = ""


def _by_reference(images: Sequence[Image]) -> dict[str, str]:
    ids = {image.id: image.id for image in images}
    ids |= {normalize(reference): image.id for image in images for reference in image.references}
    return ids
