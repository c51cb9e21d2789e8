"""What the engine holds besides containers, and how big it all is: asked for seldom, and never by a scrape."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from watchd.engine.client import EngineClient
from watchd.engine.quirks import GONE
from watchd.errors import EngineError, EngineRefused
from watchd.model import Container, DiskUsage, EngineInfo, Event, Image, Network, Volume

logger = logging.getLogger(__name__)

SIZES_INTERVAL = 600.0  # seconds
_SHARE = 0.01  # of the time, at the most, that the engine spends on measuring sizes for watchd
_CHANGES = frozenset(("create", "prune")) | GONE

T = TypeVar("T")


class Objects:
    """Volumes, networks and sizes, in a thread of its own, from `start` to `stop`: one of the watch's listeners.

    Volumes and networks are listed when an event says that they changed, and with the sizes, since Podman has no events
    of networks. Sizes, which the engine walks every writable layer and volume for, are asked for every ten minutes, and
    more seldom where that takes it more than six seconds.
    What was never told, or is refused, is None.
    """

    def __init__(self, client: EngineClient) -> None:
        self._client = client
        self._changed: set[str] = set()  # what is to be listed
        self._wake = threading.Condition()
        self._stopping = False
        self._sizes_due = 0.0  # monotonic
        self._refused: set[str] = set()
        self._thread = threading.Thread(target=self._work, name="watchd-sizes", daemon=True)
        self.images: Sequence[Image] | None = None
        self.volumes: Sequence[Volume] | None = None
        self.networks: Sequence[Network] | None = None
        self.sizes: DiskUsage | None = None

    def start(self) -> None:
        """Begin to list and measure, once the watch is connected."""
        self._thread.start()

    def stop(self, timeout: float = 1.0) -> None:
        """End, waiting at most `timeout` seconds for what it is at."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def list_images(self) -> list[Image]:
        """List the images for someone else, and remember them."""
        images = self._client.images()
        self.images = images
        return images

    def reconciled(self, engine: EngineInfo | None, containers: Sequence[Container]) -> None:  # noqa: ARG002 - Listener's
        """List everything: nobody told what happened before."""
        self._refused.clear()  # it may be another engine, or behind another proxy
        self._list({"volume", "network"})

    def changed(self, container: Container) -> None:
        """Nothing: sizes are measured on their own schedule."""

    def gone(self, container_id: str) -> None:
        """The same."""

    def happened(self, events: Sequence[Event]) -> None:
        """List what events say has changed."""
        self._list({event.type for event in events if event.action in _CHANGES} & {"volume", "network"})

    def _list(self, types: set[str]) -> None:
        if types:
            with self._wake:
                self._changed |= types
                self._wake.notify()

    def _work(self) -> None:
        connected = False
        while True:
            with self._wake:
                while not (self._changed or self._stopping):
                    remaining = self._sizes_due - time.monotonic() if connected else None
                    if (remaining is not None and remaining <= 0) or not self._wake.wait(remaining):
                        break
                if self._stopping:
                    return
                changed, self._changed = self._changed, set()
            connected = True  # the first thing that comes is the watch's list
            measures = time.monotonic() >= self._sizes_due
            if measures or "volume" in changed:
                self.volumes = self._ask("volumes", self._client.volumes, self.volumes)
            if measures or "network" in changed:
                self.networks = self._ask("networks", self._client.networks, self.networks)
            if measures:
                began = time.monotonic()
                self.sizes = self._ask("sizes", self._measure, self.sizes)
                took = time.monotonic() - began
                self._sizes_due = time.monotonic() + max(SIZES_INTERVAL, took / _SHARE)

    def _measure(self) -> DiskUsage:
        try:
            return self._client.disk_usage()
        except EngineRefused:  # a proxy may forbid it, and the engine answers one at a time
            return DiskUsage(self._client.container_sizes())

    def _ask(self, what: str, ask: Callable[[], T], known: T | None) -> T | None:
        """Ask the engine. While it does not answer, what was known stays; what it refuses is not known."""
        try:
            return ask()
        except EngineRefused as error:
            if what not in self._refused:
                self._refused.add(what)
                logger.warning("no metrics of %s: the engine refuses to tell them: %s", what, error)
            return None
        except EngineError as error:
            logger.warning("the %s are not up to date: %s", what, error)
            return known
