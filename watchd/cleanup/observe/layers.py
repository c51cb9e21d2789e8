"""Layers of the images that are here, while the daemon watches: asked for in the background, once for each image."""

import logging
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus

from watchd.cleanup.observe.lineage import Layers, Lineage
from watchd.engine.client import EngineClient
from watchd.errors import EngineError, EngineRefused
from watchd.model import Image, Key, Observations
from watchd.runtime.watchdog import Heartbeat

logger = logging.getLogger(__name__)

_BATCH = 100  # images whose layers are recorded in one transaction


class KnownLayers:
    """The lineage of the images whose layers are known, and the others, to be asked for."""

    def __init__(self, client: EngineClient) -> None:
        self._client = client
        self._lineage = Lineage()
        self._unknown: dict[Key, None] = {}  # in the order of asking

    @property
    def complete(self) -> bool:
        """Return whether no image is left to ask for."""
        return not self._unknown

    def begin(self, images: Iterable[Image], known: Observations) -> None:
        """Start over with these images and their recorded layers."""
        self._lineage = Lineage()
        self._unknown = {}
        for image in images:
            seen = known.get(image.key)
            self.add(image.key, seen.layers if seen else image.layers)

    def add(self, key: Key, layers: Layers | None) -> None:
        """Add an image, or update it."""
        if layers is None:
            self._unknown[key] = None
        else:
            self._unknown.pop(key, None)
            self._lineage.add(key, layers)

    def remove(self, key: Key) -> None:
        """Forget an image."""
        self._unknown.pop(key, None)
        self._lineage.remove(key)

    def bases(self, key: Key) -> set[Key]:
        """Return the images that an image was built on, as far as their layers are known."""
        return self._lineage.bases(key)

    def learn(self, heartbeat: Heartbeat, while_: Callable[[], bool]) -> Iterator[dict[Key, Layers]]:
        """Ask for unknown layers while a condition holds and the engine answers. Yield them in batches."""
        answers = not self.complete
        while answers and while_():
            learned: dict[Key, Layers] = {}
            while answers and not self.complete and len(learned) < _BATCH and while_():
                with heartbeat.busy():
                    answers = self._ask(learned)
            yield learned
            answers = answers and not self.complete

    def _ask(self, learned: dict[Key, Layers]) -> bool:
        """Ask for one image. Return whether the engine answered; else it is asked for others first next time."""
        key = next(iter(self._unknown))
        del self._unknown[key]
        try:
            layers = self._client.image(key[1]).layers
        except EngineError as error:
            if isinstance(error, EngineRefused) and error.status == HTTPStatus.NOT_FOUND:
                return True  # its event is to come
            logger.debug("the layers of %s are not known: %s", key[1], error)
            self._unknown[key] = None
            return False
        if layers is not None:
            self._lineage.add(key, layers)
            learned[key] = layers
        return True
