"""What outlives the process, in one SQLite database: observations, every removal, and the ends of containers.

Observations are keyed by the engine's ID, so that another engine behind the same directory has clocks of its own.
Transactions are short and the journal is WAL: the commands work beside the daemon.
"""

import errno
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any, Self, get_args

from watchd.errors import StateError
from watchd.model import Exit, Key, Kind, Observation, Observations

DATABASE = "watchd.db"
SCHEMA_VERSION = 3
MOST_EXITS = 100_000
"""How many ends of containers are kept: the last ones."""

_SCHEMA = """
CREATE TABLE engine (
    id TEXT PRIMARY KEY,
    watched_until REAL NOT NULL       -- when someone last looked; unix seconds, as are all times here
) WITHOUT ROWID;
CREATE TABLE observation (
    engine TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    first_seen REAL NOT NULL,
    arrived_at REAL NOT NULL,
    last_used REAL,
    dangling_since REAL,
    PRIMARY KEY (engine, kind, id)
) WITHOUT ROWID;
CREATE TABLE removal (
    seq INTEGER PRIMARY KEY,
    engine TEXT NOT NULL,
    time REAL NOT NULL,               -- when it was about to happen
    plan_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    names TEXT NOT NULL,              -- JSON
    action TEXT NOT NULL,             -- remove or untag
    labels TEXT NOT NULL,             -- JSON
    policy TEXT NOT NULL,
    reason TEXT NOT NULL,
    facts TEXT NOT NULL,              -- JSON
    bytes INTEGER NOT NULL,
    outcome TEXT,                     -- NULL: it began and its end is not on record
    detail TEXT NOT NULL DEFAULT ''
);
CREATE INDEX removal_time ON removal (time);
"""

_SCHEMA_2 = """
CREATE TABLE exit (
    seq INTEGER PRIMARY KEY,
    engine TEXT NOT NULL,
    container_id TEXT NOT NULL,
    name TEXT NOT NULL,
    image TEXT NOT NULL,
    project TEXT NOT NULL,            -- of Compose
    service TEXT NOT NULL,
    started REAL,
    ended REAL NOT NULL,
    exit_code INTEGER,
    cpu REAL,                         -- seconds
    memory_peak INTEGER               -- bytes
);
CREATE INDEX exit_ended ON exit (ended);
"""

_SCHEMA_3 = """
CREATE TABLE policy_run (
    policy TEXT PRIMARY KEY,
    ran REAL NOT NULL,
    succeeded REAL
) WITHOUT ROWID;
"""

_MIGRATIONS = (_SCHEMA, _SCHEMA_2, _SCHEMA_3)  # what makes each version of the one before

_BUSY_TIMEOUT = 10.0  # seconds to wait for another process's transaction
_BUSY_POLL = 0.02  # seconds
_KINDS: frozenset[str] = frozenset(get_args(Kind))


Fold = Callable[[Observations], dict[Key, Observation]]
Shift = Callable[[float | None], float]  # from when someone last looked to the seconds that did not count since


@dataclass(frozen=True, slots=True)
class Removal:
    """One removal, as it is recorded before it happens."""

    engine: str
    time: float
    plan_id: str
    kind: Kind
    id: str
    name: str
    names: Sequence[str]
    action: str
    labels: Mapping[str, str]
    policy: str
    reason: str
    facts: Mapping[str, Any]
    bytes: int


@dataclass(frozen=True, slots=True)
class LastRun:
    """When a policy ran last, and when last without any failure: seconds since the epoch, None for never."""

    ran: float
    succeeded: float | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A removal as it is on record. `outcome` None: it began, and how it ended is not on record."""

    removal: Removal
    outcome: str | None
    detail: str


class Store:
    """The database in the state directory. Safe to use from several threads. Methods raise `StateError`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._lock = threading.RLock()

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Open the state in `directory`, made if need be, for reading and writing."""
        path = directory / DATABASE
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not os.access(directory, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            # Labels and names of what was removed are nobody else's business.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise StateError(
                f"the state directory {directory} cannot be written: {error.strerror} "
                "(set [state] directory, or WATCHD_STATE__DIRECTORY, to one that can)"
            ) from None
        with _translated(path), ExitStack() as undo:
            connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
            undo.callback(connection.close)
            _use_wal(connection)
            connection.execute("PRAGMA synchronous = FULL")  # a record that a power cut may lose is none
            store = cls(path, connection)
            store._migrate()
            undo.pop_all()
        return store

    @classmethod
    def open_read_only(cls, directory: Path) -> Self | None:
        """Open the state in `directory` without writing to it; None when there is none yet."""
        path = directory / DATABASE
        try:
            if not path.exists():
                return None
        except OSError as error:
            raise StateError(f"{path} cannot be read: {error.strerror}") from None
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with _translated(path):
            try:
                return cls._open_uri(path, uri)
            except sqlite3.OperationalError:
                # Where nothing at all can be written SQLite cannot share the journal: then without it.
                return cls._open_uri(path, f"{uri}&immutable=1")

    @classmethod
    def _open_uri(cls, path: Path, uri: str) -> Self | None:
        with ExitStack() as undo:
            connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
            undo.callback(connection.close)
            store = cls(path, connection)
            if store._check_version() == 0:
                return None  # someone is only just making it
            undo.pop_all()
        return store

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._connection.close()

    def observations(self, engine: str) -> dict[Key, Observation]:
        """Return what was observed of each object of an engine."""
        with self._transaction() as connection:
            return _observations(connection, engine)

    def observe(self, engine: str, now: float, *, shift: Shift, fold: Fold) -> dict[Key, Observation]:
        """Take in one look at an engine: move what was observed by `shift`, then make it what `fold` makes of it.

        One transaction, so that nothing that another process saw meanwhile is overwritten.
        """
        with self._transaction(write=True) as connection:
            _watched(connection, engine, now, shift)
            known = _observations(connection, engine)
            seen = fold(known)
            connection.executemany(
                "INSERT OR REPLACE INTO observation VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (engine, *key, after.first_seen, after.arrived_at, after.last_used, after.dangling_since)
                    for key, after in seen.items()
                    if known.get(key) != after
                ],
            )
            connection.executemany(
                "DELETE FROM observation WHERE engine = ? AND kind = ? AND id = ?",
                [(engine, *key) for key in known.keys() - seen.keys()],
            )
        return seen

    def watched(self, engine: str, now: float, *, shift: Shift) -> None:
        """Note that someone looks at an engine now, and move what was observed by `shift`."""
        with self._transaction(write=True) as connection:
            _watched(connection, engine, now, shift)

    def used(self, engine: str, observed: Iterable[Key], at: float) -> None:
        """Note that containers use these, which are named as they are observed, or did until then."""
        self._move_forward("last_used", engine, observed, at)

    def arrived(self, engine: str, observed: Iterable[Key], at: float) -> None:
        """Note that these came (again) then."""
        self._move_forward("arrived_at", engine, observed, at)

    def _move_forward(self, column: str, engine: str, observed: Iterable[Key], at: float) -> None:
        with self._transaction(write=True) as connection:
            connection.executemany(
                f"UPDATE observation SET {column} = max(coalesce({column}, 0), ?)"  # noqa: S608 - a column of ours
                " WHERE engine = ? AND kind = ? AND id = ?",
                [(at, engine, *key) for key in observed],
            )

    def watched_until(self, engine: str) -> float | None:
        """Return when someone last looked at an engine, None for never."""
        with self._transaction() as connection:
            return _watched_until(connection, engine)

    def record(self, removal: Removal) -> int:
        """Record a removal that is about to happen. Return the number to record its outcome under."""
        with self._transaction(write=True) as connection:
            cursor = connection.execute(
                "INSERT INTO removal (engine, time, plan_id, kind, id, name, names, action, labels, policy, reason,"
                " facts, bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    removal.engine,
                    removal.time,
                    removal.plan_id,
                    removal.kind,
                    removal.id,
                    removal.name,
                    json.dumps(list(removal.names)),
                    removal.action,
                    json.dumps(dict(removal.labels)),
                    removal.policy,
                    removal.reason,
                    json.dumps(dict(removal.facts)),
                    removal.bytes,
                ),
            )
        assert cursor.lastrowid is not None  # noqa: S101 - an INSERT always has one
        return cursor.lastrowid

    def record_outcome(self, number: int, outcome: str, detail: str) -> None:
        """Record how a removal ended."""
        with self._transaction(write=True) as connection:
            connection.execute("UPDATE removal SET outcome = ?, detail = ? WHERE seq = ?", (outcome, detail, number))

    def ran(self, policies: Iterable[str], ran: float, succeeded: float | None) -> None:
        """Note when policies ran; `succeeded` None: not without a failure, so what is noted of that stays."""
        with self._transaction(write=True) as connection:
            connection.executemany(
                "INSERT INTO policy_run VALUES (?, ?, ?) ON CONFLICT (policy) DO UPDATE"
                " SET ran = excluded.ran, succeeded = coalesce(excluded.succeeded, succeeded)",
                [(policy, ran, succeeded) for policy in policies],
            )

    def last_runs(self) -> dict[str, LastRun]:
        """Return when each policy ran last."""
        with self._transaction() as connection:
            return {row[0]: LastRun(*row[1:]) for row in connection.execute("SELECT * FROM policy_run")}

    def removals(self, *, since: float = 0.0, kind: Kind | None = None) -> list[Recorded]:
        """Return the removals on record, of every engine, the oldest first."""
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT engine, time, plan_id, kind, id, name, names, action, labels, policy, reason, facts, bytes,"
                " outcome, detail FROM removal WHERE time >= :since AND (:kind IS NULL OR kind = :kind) ORDER BY seq",
                {"since": since, "kind": kind},
            )
            return [_recorded(*row) for row in rows]

    def record_exits(self, engine: str, exits: Iterable[Exit]) -> None:
        """Record ends of containers, and forget the oldest of too many."""
        with self._transaction(write=True) as connection:
            connection.executemany(
                "INSERT INTO exit (engine, container_id, name, image, project, service, started, ended, exit_code, cpu,"
                " memory_peak) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(engine, *astuple(exit_)) for exit_ in exits],
            )
            connection.execute("DELETE FROM exit WHERE seq <= (SELECT max(seq) FROM exit) - ?", (MOST_EXITS,))

    def exits(self, engine: str, *, since: float = 0.0) -> list[Exit]:
        """Return the recorded ends of an engine's containers, the last one first."""
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT container_id, name, image, project, service, started, ended, exit_code, cpu, memory_peak"
                " FROM exit WHERE engine = ? AND ended >= ? ORDER BY ended DESC, seq DESC",
                (engine, since),
            )
            return [Exit(*row) for row in rows]

    @contextmanager
    def _transaction(self, *, write: bool = False) -> Iterator[sqlite3.Connection]:
        with self._lock, _translated(self.path):
            self._connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # where the disk is full SQLite may have ended it itself
                    self._connection.execute("ROLLBACK")
                raise

    def _migrate(self) -> None:
        with self._transaction(write=True) as connection:
            for schema in _MIGRATIONS[self._check_version() :]:
                for statement in schema.split(";\n"):
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _check_version(self) -> int:
        version: int = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise StateError(
                f"{self.path} was written by a newer watchd (schema {version}, this one knows {SCHEMA_VERSION}): "
                "use that one, or another state directory"
            )
        return version


def _observations(connection: sqlite3.Connection, engine: str) -> dict[Key, Observation]:
    rows = connection.execute(
        "SELECT kind, id, first_seen, arrived_at, last_used, dangling_since FROM observation WHERE engine = ?",
        (engine,),
    )
    return {(kind, id_): Observation(*values) for kind, id_, *values in rows if kind in _KINDS}


def _recorded(*row: Any) -> Recorded:
    *columns, outcome, detail = row
    removal = Removal(*columns)
    parsed = {name: json.loads(getattr(removal, name)) for name in ("names", "labels", "facts")}
    return Recorded(replace(removal, **parsed), outcome, detail)


def _watched_until(connection: sqlite3.Connection, engine: str) -> float | None:
    row = connection.execute("SELECT watched_until FROM engine WHERE id = ?", (engine,)).fetchone()
    return row[0] if row else None


def _watched(connection: sqlite3.Connection, engine: str, now: float, shift: Shift) -> None:
    by = shift(_watched_until(connection, engine))
    connection.execute("INSERT OR REPLACE INTO engine VALUES (?, ?)", (engine, now))
    if by:
        connection.execute(
            "UPDATE observation SET first_seen = first_seen + :by, arrived_at = arrived_at + :by,"
            " last_used = last_used + :by, dangling_since = dangling_since + :by WHERE engine = :engine",
            {"by": by, "engine": engine},
        )


def _use_wal(connection: sqlite3.Connection) -> None:
    """Write ahead to a journal. SQLite's own waiting does not cover two processes that switch to it at once."""
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


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StateError(f"{path}: {error}") from error
