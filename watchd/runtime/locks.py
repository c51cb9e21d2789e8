"""Lock files: one process at a time holds the lock, and its note in the file says for what."""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from watchd.errors import StateError
from watchd.runtime.files import open_file

_POLL = 0.1  # seconds: flock() has no time-out


class Locked(StateError):
    """Another process holds the lock. `holder` is what it wrote into the file."""

    def __init__(self, message: str, holder: str) -> None:
        super().__init__(message)
        self.holder = holder


@contextmanager
def hold(path: Path, note: str, *, wait: float = 0.0, stop: threading.Event | None = None) -> Iterator[None]:
    """Hold the lock on `path`, with `note` in the file. Wait for it at most `wait` seconds, or until `stop` is set.

    The kernel releases the lock when the process ends. Raise `Locked` when another process holds it, and `StateError`
    when the file cannot be written or is not a file of watchd's.
    """
    deadline = time.monotonic() + wait
    try:
        descriptor = open_file(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    except OSError as error:
        raise StateError(f"{path}: cannot be written: {error.strerror}") from None
    with FileIO(descriptor, "a+") as file:
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


def is_held(path: Path) -> bool:
    """Return whether a process holds the lock on `path`, as far as this user may know."""
    try:
        descriptor = open_file(path, os.O_RDONLY)
    except (OSError, StateError):
        return False
    with FileIO(descriptor, "r") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _write(file: FileIO, note: str) -> None:
    with suppress(OSError):  # a full disk costs only the note
        file.truncate(0)
        file.write(note.encode())
