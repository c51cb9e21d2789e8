"""Layers of images, asked for once for each ID: they never change."""

import threading
from collections.abc import Callable, Iterable

from watchd.errors import EngineRefused
from watchd.model import Layer
from watchd.runtime.watchdog import Pool

Layers = tuple[Layer, ...]

_AT_ONCE = 8


class Histories:
    """Layers by image ID, for all clients of one engine. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Layers | None] = {}  # None: not told, and not asked for again

    def of(self, image_ids: Iterable[str], ask: Callable[[str], Layers | None]) -> dict[str, Layers]:
        """Return the layers of these images, as far as the engine tells them, and forget all others.

        `ask` is called for each image that is new, and again for one at which it raised `EngineRefused`.
        """

        def asked(id_: str) -> dict[str, Layers | None]:
            try:
                return {id_: ask(id_)}
            except EngineRefused:
                return {}

        wanted = frozenset(image_ids)
        with self._lock:
            known = {id_: layers for id_, layers in self._known.items() if id_ in wanted}
        missing = sorted(wanted - known.keys())
        if missing:
            with Pool(_AT_ONCE, "watchd-history", "asking for the layers of images") as pool:
                for answer in pool.map(asked, missing):
                    known |= answer
        with self._lock:
            self._known = known
        return {id_: layers for id_, layers in known.items() if layers is not None}
