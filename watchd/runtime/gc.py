"""Keep Python's garbage collector out of the way: while it walks all objects, every other thread waits."""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_YOUNG = 10_000  # objects made since the last collection that begin one: a scrape makes some thousands
_lock = threading.Lock()
_pauses = 0


@contextmanager
def gc_paused() -> Iterator[None]:
    """Pause the collector in this block, and exclude the objects made in it afterwards: a large plan has no cycles.

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
                gc.freeze()
                gc.enable()


def tidy() -> None:
    """Collect all reference cycles now. Exclude everything that exists now from later collections."""
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])
    gc.unfreeze()
    gc.collect()
    gc.freeze()
