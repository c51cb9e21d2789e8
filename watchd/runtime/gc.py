"""Pause Python's garbage collector."""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_pauses = 0


@contextmanager
def gc_paused() -> Iterator[None]:
    """Collect no reference cycles meanwhile: a large plan has none, and each collection would walk all of it.

    Several threads may pause at the same time; the last one to end resumes the collector.
    """
    global _pauses  # noqa: PLW0603 - the collector is global, too
    with _lock:
        _pauses += 1
        gc.disable()
    try:
        yield
    finally:
        with _lock:
            _pauses -= 1
            if not _pauses:
                gc.enable()
