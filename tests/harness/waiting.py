"""Waiting with a deadline."""

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def slowdown() -> float:
    """Return how much longer things take than on a machine with free cores: 1 or more."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def wait_until(condition: Callable[[], T], *, seconds: float, what: str) -> T:
    """Call `condition` until it returns something true, and return that. Wait for a state that stays.

    Raise TimeoutError after `seconds`, or later on a machine with more to do than cores.
    """
    began = time.monotonic()
    while not (value := condition()):
        if time.monotonic() - began > seconds * slowdown():
            message = f"waited {seconds * slowdown():.0f} s for {what}"
            raise TimeoutError(message)
        time.sleep(0.02)
    return value


class Deadline:
    """One deadline for several waits in a row."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def wait_until(self, condition: Callable[[], T], *, what: str) -> T:
        """Do as `wait_until` does, until the deadline."""
        return wait_until(condition, seconds=self._end - time.monotonic(), what=what)
