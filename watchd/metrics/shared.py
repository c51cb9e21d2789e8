"""Callers that come at the same time share one piece of work."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """Calls `make`, never twice at once; who comes while that is under way shares its result.

    So two Prometheus servers, or a hundred, cost little more than one.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._finished = 0
        self._latest: T | None = None

    def __call__(self) -> T:
        """Return what `make` returned: called now, or under way now."""
        finished_before = self._finished
        with self._lock:
            if self._latest is None or self._finished == finished_before:
                self._latest = None  # there are never two of them
                self._latest = self._make()
                self._finished += 1
            return self._latest
