"""Files that one process at a time holds a lock on, and that say what it does."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from watchd.errors import StateError

_POLL = 0.1  # seconds: flock has no time-out of its own


class Locked(StateError):
    """Another process holds the lock. `holder` is what it wrote into the file."""

    def __init__(self, message: str, holder: str) -> None:
        super().__init__(message)
        self.holder = holder


@contextmanager
def hold(path: Path, note: str, *, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock on `path`, in which `note` can be read meanwhile; wait for it at most `wait` seconds.

    The kernel releases it when the process ends, however it ends. Raise `Locked` when another process has it, and
    `StateError` when the file cannot be written.
    """
    deadline = time.monotonic() + wait
    try:
        file = path.open("a+")
    except OSError as error:
        raise StateError(f"{path}: cannot be written: {error.strerror}") from None
    with file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    file.seek(0)
                    holder = file.read().strip()
                    raise Locked(f"{path} is held by {holder or 'another process'}", holder) from None
                time.sleep(_POLL)
        file.truncate(0)
        file.write(note)
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)
