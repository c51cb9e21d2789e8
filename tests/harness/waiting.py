"""Waiting for what happens soon, with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], *, seconds: float, what: str) -> T:
    """Call `condition` until it gives something true, and return that. Raise TimeoutError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            message = f"waited {seconds:g} s for {what}"
            raise TimeoutError(message)
        time.sleep(0.02)
    return value


class Deadline:
    """Some seconds from now, within which several things have to come true, one after the other."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def wait_until(self, condition: Callable[[], T], *, what: str) -> T:
        """Do as `wait_until` does, until the deadline."""
        return wait_until(condition, seconds=self._end - time.monotonic(), what=what)
