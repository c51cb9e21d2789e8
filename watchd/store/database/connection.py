"""The connection to the SQLite database: opening, transactions, errors."""

import errno
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self, TypeVar

from watchd.errors import DamagedState, StateError
from watchd.runtime import files
from watchd.store.database.migrations import VERSION, migrate
from watchd.store.database.read_only import connect_read_only, migrated_copy
from watchd.store.database.reserve import Reserve

DATABASE = "watchd.db"
RESERVE = "reserve"
FILES = ("", "-wal", "-shm", "-journal")
"""Suffixes of the files of a database."""

_BUSY_TIMEOUT = 10.0  # seconds to wait for another process's transaction
_BUSY_POLL = 0.02  # seconds
T = TypeVar("T")


class Database:
    """The database in the state directory. Safe to use from several threads. Methods raise `StateError`.

    Transactions are short and the journal is WAL, so that commands work beside the daemon.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._lock = threading.RLock()
        self._reserve = Reserve(path.with_name(RESERVE))
        self._undo = ExitStack()  # closes the connection

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Open the database for reading and writing. Create it if it is missing, and migrate it."""
        path = directory / DATABASE
        make_directory(directory)
        with ExitStack() as undo, _state_errors(path):
            checked = _prepare(path)
            connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
            undo.callback(connection.close)
            if not _is_open(checked):  # SQLite follows a link that replaced the file meanwhile
                raise StateError(f"{path} was replaced while it was opened: try again")
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # has no effect once there are tables
            _use_wal(connection)
            connection.execute("PRAGMA synchronous = FULL")  # a record must survive a power cut
            store = cls(path, connection)
            with store._transaction(write=True):  # another process may migrate at the same time
                migrate(connection, store._check_version())
            store._reserve.allocate()
            store._undo = undo.pop_all()
        return store

    @classmethod
    def open_read_only(cls, directory: Path) -> Self | None:
        """Open the database without writing to it. Return None when there is none yet."""
        path = directory / DATABASE
        try:
            if not path.exists() and not path.is_symlink():
                return None
            _check_files(path)
        except OSError as error:
            raise StateError(f"{path} cannot be read: {error.strerror}") from None
        with ExitStack() as undo, _state_errors(path):
            store = cls(path, connect_read_only(path, undo))
            version = store._check_version()
            if version == 0:
                return None  # another process is creating it
            if version < VERSION:
                store._connection = migrated_copy(store._connection, version, undo)
            store._undo = undo.pop_all()
        return store

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._undo.close()

    def check(self) -> None:
        """Read the whole database. Raise `DamagedState` if it is damaged."""
        with self._lock, _state_errors(self.path):
            found = self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            self.close()
            raise DamagedState(self.path, " ".join(str(found).split()))

    def size(self) -> int:
        """Return the bytes of the database and its journal."""
        paths = (self.path, self.path.with_name(f"{self.path.name}-wal"))
        return sum(path.stat().st_size for path in paths if path.exists())

    def _write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Write in a transaction; on a full disk with the space of the reserve."""
        try:
            with self._transaction(write=True) as connection:
                return change(connection)
        except StateError as error:
            if not (_is_full(error) and self._reserve.release()):
                raise
        with self._transaction(write=True) as connection:
            return change(connection)

    @contextmanager
    def _transaction(self, *, write: bool = False) -> Iterator[sqlite3.Connection]:
        with self._lock, _state_errors(self.path):
            self._connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # on a full disk SQLite may have ended it
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _autocommit(self) -> Iterator[sqlite3.Connection]:
        """Lock the connection for statements that cannot run in a transaction."""
        with self._lock, _state_errors(self.path):
            yield self._connection

    def _check_version(self) -> int:
        version: int = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise StateError(
                f"{self.path} was written by a newer watchd (schema {version}, this one knows {VERSION}): "
                "use that one, or another state directory"
            )
        return version


def make_directory(directory: Path) -> None:
    """Create the state directory if it is missing. Raise `StateError` when it cannot be written."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_writable(directory)
    except OSError as error:
        raise _unwritable(directory, error) from None


def _prepare(path: Path) -> os.stat_result:
    """Check the files, and create the database if it is missing. SQLite opens all others with `O_NOFOLLOW`."""
    try:
        _check_files(path)
        checked = files.check(path)
        if checked is None:  # else it stays closed: closing it would drop the locks of this process's connections
            descriptor = files.open_file(path, os.O_RDWR | os.O_CREAT)
            checked = os.fstat(descriptor)
            os.close(descriptor)
        _check_writable(path)
    except OSError as error:
        raise _unwritable(path.parent, error) from None
    return checked


def _check_files(path: Path) -> None:
    for suffix in FILES:
        files.check(path.with_name(path.name + suffix))


def _is_open(file: os.stat_result) -> bool:
    """Return whether this process has the file open. SQLite has no call that tells which one it opened."""
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        raise StateError("/proc is not mounted, so the file that SQLite opens cannot be checked")
    for entry in descriptors.iterdir():
        try:
            opened = os.fstat(int(entry.name))
        except OSError:  # closed meanwhile
            continue
        if (opened.st_dev, opened.st_ino) == (file.st_dev, file.st_ino):
            return True
    return False


def _check_writable(path: Path) -> None:
    if not os.access(path, os.W_OK, effective_ids=True):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _unwritable(directory: Path, error: OSError) -> StateError:
    return StateError(
        f"the state directory {directory} cannot be written: {error.strerror} "
        "(set [state] directory, or WATCHD_STATE__DIRECTORY, to one that can)"
    )


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL. SQLite's busy timeout does not cover two processes that switch at once."""
    deadline = time.monotonic() + _BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_BUSY_POLL)
        else:
            return


def _is_full(error: StateError) -> bool:
    cause = error.__cause__
    return isinstance(cause, sqlite3.Error) and getattr(cause, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL


@contextmanager
def _state_errors(path: Path) -> Iterator[None]:
    """Turn errors of SQLite into `StateError`."""
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise DamagedState(path, str(error)) from error
        raise StateError(f"{path}: {error}") from error
