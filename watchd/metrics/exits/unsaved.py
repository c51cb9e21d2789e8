"""Exits that are not in the database yet."""

import logging
import threading
from collections import deque
from collections.abc import Iterable
from typing import Protocol

from watchd.errors import StateError
from watchd.model import Exit

logger = logging.getLogger(__name__)

MOST_UNSAVED = 10_000


class ExitTable(Protocol):
    """The store."""

    def record_exits(self, engine: str, exits: Iterable[Exit]) -> None:
        """Record exits, or raise `StateError`."""


class UnsavedExits:
    """Queue of exits, kept until they are written; beyond `MOST_UNSAVED` the oldest are dropped and counted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._exits: deque[Exit] = deque()
        self._last_error = ""
        self.dropped = 0

    def add(self, exit_: Exit) -> None:
        """Queue an exit."""
        with self._lock:
            self._exits.append(exit_)
            self._drop_oldest()

    def save(self, store: ExitTable, engine: str) -> None:
        """Write all exits to the database. Keep them if it cannot be written, and log why, once."""
        with self._lock:
            exits, self._exits = self._exits, deque()
        if not exits:
            return
        try:
            store.record_exits(engine, exits)
        except StateError as error:
            if str(error) != self._last_error:
                logger.warning("%d exits of containers are not recorded yet: %s", len(exits), error)
            self._last_error = str(error)
            with self._lock:
                self._exits.extendleft(reversed(exits))
                self._drop_oldest()
        else:
            self._last_error = ""

    def _drop_oldest(self) -> None:
        while len(self._exits) > MOST_UNSAVED:
            self._exits.popleft()
            self.dropped += 1
