"""Reading a database that this process may not write."""

import os
import shutil
import sqlite3
import tempfile
from contextlib import ExitStack
from pathlib import Path

from watchd.errors import StateError
from watchd.runtime.files import check, open_file
from watchd.store.database.migrations import migrate

_ATTEMPTS = 3


def connect_read_only(path: Path, undo: ExitStack) -> sqlite3.Connection:
    """Connect without writing. `undo` closes the connection.

    SQLite shares a WAL only where it can write beside it. Elsewhere the database is read as it is if the WAL is empty,
    and from a private copy if it is not. Raise `StateError` if it cannot be copied.
    """
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        return _connect(uri, undo)
    except sqlite3.OperationalError:
        wal = check(path.with_name(f"{path.name}-wal"))
        if wal is None or wal.st_size == 0:
            return _connect(f"{uri}&immutable=1", undo)
    return _connect(f"{_copy(path, undo).as_uri()}?mode=rw", undo)


def migrated_copy(connection: sqlite3.Connection, version: int, undo: ExitStack) -> sqlite3.Connection:
    """Copy a database of an earlier version into memory, and migrate the copy. `undo` closes it."""
    copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    undo.callback(copy.close)
    connection.backup(copy)
    migrate(copy, version)
    copy.execute("PRAGMA query_only = ON")
    return copy


def _connect(uri: str, undo: ExitStack) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA user_version").fetchone()  # the first read opens the WAL
        connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error:
        connection.close()
        raise
    undo.callback(connection.close)
    return connection


def _copy(path: Path, undo: ExitStack) -> Path:
    """Copy the database and its WAL to a temporary directory."""
    paths = (path, path.with_name(f"{path.name}-wal"))
    try:
        directory = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="watchd-")))
        for _ in range(_ATTEMPTS):
            before = _versions(paths)
            for each in paths:
                with open(open_file(each, os.O_RDONLY), "rb") as source, (directory / each.name).open("wb") as target:  # noqa: PTH123 - a descriptor
                    shutil.copyfileobj(source, target)
            if _versions(paths) == before:
                return directory / path.name
    except OSError as error:
        raise StateError(f"{path}: its journal is not empty and cannot be read: {error.strerror or error}") from None
    raise StateError(f"{path} is being written, and only its owner and root can read it meanwhile")


def _versions(paths: tuple[Path, ...]) -> list[tuple[int, int, int] | None]:
    found = [check(path) for path in paths]
    return [status and (status.st_ino, status.st_size, status.st_mtime_ns) for status in found]
