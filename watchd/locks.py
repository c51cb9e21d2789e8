"""Files that one process at a time holds a lock on, and that say what it does."""

import fcntl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from watchd.errors import StateError
from watchd.ownership import give_away

_POLL = 0.1  # seconds: flock has no time-out of its own


class Locked(StateError):
    """Another process holds the lock. `holder` is what it wrote into the file."""

    def __init__(self, message: str, holder: str) -> None:
        super().__init__(message)
        self.holder = holder


@contextmanager
def hold(path: Path, note: str, *, wait: float = 0.0, stop: threading.Event | None = None) -> Iterator[None]:
    """Hold the lock on `path`, in which `note` can be read meanwhile.

    Wait for it at most `wait` seconds, and no longer when `stop` is set.

    The kernel releases it when the process ends, however it ends. Raise `Locked` when another process has it, and
    `StateError` when the file cannot be written.
    """
    deadline = time.monotonic() + wait
    try:
        file = path.open("ab+", buffering=0)
    except OSError as error:
        raise StateError(f"{path}: cannot be written: {error.strerror}") from None
    with file:
        give_away(file.fileno(), path)
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline or (stop is not None and stop.is_set()):
                    file.seek(0)
                    holder = file.read().decode(errors="replace").strip()
                    raise Locked(f"{path} is held by {holder or 'another process'}", holder) from None
                time.sleep(_POLL)
        _write(file, note)
        try:
            yield
        finally:
            _write(file, "")


def _write(file: FileIO, note: str) -> None:
    with suppress(OSError):  # the lock is held all the same, also when the disk is full
        file.truncate(0)
        file.write(note.encode())
