"""Single flight: callers that come at the same time share one result."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Call `make`, one call at a time; callers that wait for a call share its result.

    So a hundred Prometheus servers cost little more than one.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._finished = 0
        self._latest: T | None = None

    def __call__(self) -> T:
        """Return the result of a call that began now, or was under way."""
        finished_before = self._finished
        with self._lock:
            if self._latest is None or self._finished == finished_before:
                self._latest = None  # results are large: never keep two
                self._latest = self._make()
                self._finished += 1
            return self._latest
