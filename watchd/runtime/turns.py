"""Turns: long work waits at its steps while something short and urgent is done.

Python runs one thread at a time. A scrape reads a thousand files, and after each of them it would wait for a thread
that computes: it would last as long as that thread's work.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

LONGEST = 1.0  # seconds that long work waits at a step

_lock = threading.Lock()
_urgent = 0
_free = threading.Event()
_free.set()


@contextmanager
def urgent() -> Iterator[None]:
    """Go first until the end of the block."""
    global _urgent  # noqa: PLW0603 - all threads take turns
    with _lock:
        _urgent += 1
        _free.clear()
    try:
        yield
    finally:
        with _lock:
            _urgent -= 1
            if not _urgent:
                _free.set()


def give_way() -> None:
    """Wait while something urgent is done. Called between the steps of long work."""
    if _urgent:
        _free.wait(LONGEST)
