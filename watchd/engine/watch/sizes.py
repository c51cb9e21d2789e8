"""Disk usage of objects, measured rarely and in a thread of its own, since the engine walks the whole disk for it."""

import logging
import math
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from watchd.engine.client import EngineClient
from watchd.engine.watch.mirror import Mirror
from watchd.errors import EngineError, EngineRefused
from watchd.model import DiskUsage, EngineView, Event, ImageUsage
from watchd.runtime.watchdog import Heartbeat

logger = logging.getLogger(__name__)

INTERVAL = 600.0  # seconds
SOON = 15.0  # seconds after a new container: those that come meanwhile are measured with it
_MOST_AT_ONCE = 50  # containers in one request, whose IDs are in its address
_SHARE = 0.01  # of the time, at the most, that the engine spends on measuring on its own schedule
_SHARE_ASKED = 0.05  # and when someone asks for it


_NOTHING = DiskUsage({})


class Sizes:
    """Measures for the mirror, from `start` to `stop`: one of the watch's listeners.

    Every ten minutes, and more seldom where that takes the engine more than six seconds; new containers alone, within
    half a minute. Sizes that the engine, or a proxy before it, refuses to tell stay unknown.
    """

    def __init__(self, client: EngineClient, mirror: Mirror) -> None:
        self._client = client
        self._mirror = mirror
        self._wake = threading.Condition()
        self._connected = False
        self._stopping = False
        self._due = 0.0  # monotonic
        self._new: set[str] = set()  # containers that are not measured yet
        self._new_due = 0.0  # monotonic
        self._measured_at = -math.inf  # monotonic
        self._took = 0.0
        self._failed: EngineError | None = None
        self._told = ""
        self._heartbeat = Heartbeat("measuring sizes", thread="watchd-sizes")
        self._thread = threading.Thread(target=self._work, name="watchd-sizes", daemon=True)

    def start(self) -> None:
        """Begin to measure, once the watch is connected."""
        self._thread.start()

    def stop(self, timeout: float = 1.0) -> None:
        """End, waiting at most `timeout` seconds for a measurement."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def on_events(self, events: Sequence[Event], before: EngineView, after: EngineView, *, listed: bool) -> None:  # noqa: ARG002 - Listener's
        """Begin when everything was listed first; note new containers."""
        new = {event.id for event in events if event.type == "container" and event.action in {"create", "start"}}
        if listed and after.sizes is not None:
            new |= after.container_by_id.keys() - after.sizes.containers.keys()
        if new:
            with self._wake:
                if not self._new:
                    self._new_due = max(self._new_due, time.monotonic() + SOON)
                    self._wake.notify_all()
                self._new |= new
        if listed and not self._connected:
            with self._wake:
                self._connected = True
                self._wake.notify_all()

    def ensure(self, max_age: float, patience: float) -> bool:
        """Measure if that was longer ago than `max_age`, and wait at most `patience` seconds for it.

        Where it takes the engine long, it is asked more seldom. Return whether anything was ever measured, or raise
        the `EngineError` that ended the last attempt.
        """
        with self._wake:
            begun_at = time.monotonic()
            if begun_at - self._measured_at > max(max_age, self._took / _SHARE_ASKED):
                self._due = 0.0
                self._wake.notify_all()
                self._wake.wait_for(lambda: self._measured_at >= begun_at, patience)
            if self._failed is not None and self._mirror.view.sizes is None:
                raise self._failed.with_traceback(None)  # else it would keep the frames of everyone it was raised to
        return self._mirror.view.sizes is not None

    def _work(self) -> None:
        while self._wait():
            if self._due > time.monotonic():
                self._measure_new()
                continue
            began = time.monotonic()
            failed: EngineError | None = None
            with self._heartbeat.busy():
                try:
                    self._mirror.replace(sizes=self._measure())
                except EngineError as error:
                    failed = error
                    if isinstance(error, EngineRefused):
                        self._mirror.replace(sizes=None)
                    if str(error) != self._told:
                        logger.warning("sizes are not up to date: %s", error)
            self._told = str(failed or "")
            with self._wake:
                self._new -= (self._mirror.view.sizes or _NOTHING).containers.keys()
                self._failed = failed
                self._measured_at = time.monotonic()
                self._took = self._measured_at - began
                self._due = self._measured_at + max(INTERVAL, self._took / _SHARE)
                self._wake.notify_all()

    def _wait(self) -> bool:
        """Wait until it is time to measure. Return whether to go on."""
        with self._wake:
            while not self._stopping:
                due = min(self._due, self._new_due) if self._new and self._mirror.view.sizes else self._due
                remaining = due - time.monotonic()
                if self._connected and remaining <= 0:
                    break
                self._wake.wait(remaining if self._connected else None)
            return not self._stopping

    def _measure_new(self) -> None:
        """Measure new containers that are still there. A failure is told when all are measured."""
        with self._wake:
            new, self._new = self._new, set()
        began = time.monotonic()
        view = self._mirror.view
        ids = sorted(new & view.container_by_id.keys())
        with self._heartbeat.busy(), suppress(EngineError):
            for first in range(0, len(ids), _MOST_AT_ONCE):
                measured = self._client.container_sizes(ids[first : first + _MOST_AT_ONCE])
                sizes = self._mirror.view.sizes
                if sizes is not None:
                    self._mirror.replace(sizes=replace(sizes, containers={**sizes.containers, **measured}))
        with self._wake:
            ended = time.monotonic()
            self._new_due = ended + (ended - began) / _SHARE_ASKED

    def _measure(self) -> DiskUsage:
        try:
            usage = self._client.disk_usage()
        except EngineRefused:  # a proxy may forbid it, and the engine answers one at a time
            images = self._client.images()
            unique = {each.id: each.size - each.shared_size for each in images if each.shared_size is not None}
            usage = DiskUsage(self._client.container_sizes(), images=ImageUsage(None, unique))
        histories = self._client.histories(usage.images.unique if usage.images else ())
        return replace(usage, histories=histories, parts=self._client.image_parts())
