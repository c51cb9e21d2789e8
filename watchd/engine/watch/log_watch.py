"""Sizes of container logs, measured once a minute in a thread of its own: a slow disk must hold up nothing else."""

import logging
import threading
from collections.abc import Sequence

from watchd.engine.data.logs import measure
from watchd.engine.own_container import find_own
from watchd.engine.watch.mirror import Mirror
from watchd.model import EngineView, Event
from watchd.runtime.watchdog import Heartbeat

logger = logging.getLogger(__name__)

INTERVAL = 60.0  # seconds


class LogWatch:
    """Measures for the mirror, from `start` to `stop`: one of the watch's listeners.

    Begins when containers were listed first. Tells once why logs cannot be seen, and what would help.
    """

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._own = find_own()
        self._listed = threading.Event()
        self._stopping = threading.Event()
        self._told = ""
        self._heartbeat = Heartbeat("measuring logs", thread="watchd-logs")
        self._thread = threading.Thread(target=self._work, name="watchd-logs", daemon=True)

    def start(self) -> None:
        """Begin to measure, once containers are listed."""
        self._thread.start()

    def stop(self, timeout: float = 1.0) -> None:
        """End, waiting at most `timeout` seconds for a measurement."""
        self._stopping.set()
        self._listed.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def on_events(self, events: Sequence[Event], before: EngineView, after: EngineView, *, listed: bool) -> None:  # noqa: ARG002 - Listener's
        """Begin when everything was listed first."""
        if listed:
            self._listed.set()

    def measure(self) -> None:
        """Measure once."""
        view = self._mirror.view
        logs = measure(view.containers, view.engine.root_dir, self._own)
        if logs != view.logs:
            self._mirror.replace(logs=logs)
        if logs.unknown and logs.unknown != self._told:
            self._told = logs.unknown
            logger.info("%s", logs.unknown)

    def _work(self) -> None:
        self._listed.wait()
        while not self._stopping.is_set():
            with self._heartbeat.busy():
                self.measure()
            self._stopping.wait(INTERVAL)
