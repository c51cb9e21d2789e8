"""Follower: a listener of the watch that takes changes in batches, in a thread of its own."""

import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from watchd.model import Container, EngineView, Event
from watchd.runtime.watchdog import Heartbeat


@dataclass(frozen=True, slots=True)
class Change:
    """One batch from the watch; without events: the engine is still watched."""

    events: Sequence[Event]
    before: EngineView
    after: EngineView
    listed: bool
    now: float

    def container(self, id_: str) -> Container | None:
        """Return a container that is there, or was before."""
        return self.after.container_by_id.get(id_) or self.before.container_by_id.get(id_)


class Follower:
    """Queue changes, so that the watch never waits, and take in all that are queued together."""

    def __init__(self, thread: str, does: str) -> None:
        self._view: EngineView | None = None
        self._heartbeat = Heartbeat(does, thread=thread)
        self._queue: queue.SimpleQueue[Change | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=thread, daemon=True)

    def start(self) -> None:
        """Begin to take changes in."""
        self._thread.start()

    def stop(self, timeout: float = 1.0) -> None:
        """Stop after the queued changes, and wait at most `timeout` seconds for that."""
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout)

    def on_events(self, events: Sequence[Event], before: EngineView, after: EngineView, *, listed: bool) -> None:
        """Take this in soon."""
        self._queue.put(Change(events, before, after, listed, time.time()))

    def tick(self) -> None:
        """Take in soon that the engine is still watched: called while it is, every `TICK_INTERVAL` seconds."""
        view = self._view
        if view is not None:
            self._queue.put(Change((), view, view, listed=False, now=time.time()))

    def _work(self) -> None:
        while True:
            self._idle()
            changes = [self._queue.get()]
            while not self._queue.empty():
                changes.append(self._queue.get())
            with self._heartbeat.busy():
                self._take_in([change for change in changes if change is not None])
            if None in changes:
                return

    def _idle(self) -> None:
        """Do something else until there are changes."""

    def _take_in(self, changes: Sequence[Change]) -> None:
        """Take in several changes. `_view` becomes that after the last one."""
        raise NotImplementedError
