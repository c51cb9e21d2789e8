"""What outlives the process, in one SQLite database: observations, every removal, and the ends of containers.

Observations are keyed by the engine's ID, so that another engine behind the same directory has clocks of its own.
Transactions are short and the journal is WAL: the commands work beside the daemon.
"""

import errno
import json
import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any, Self, TypeVar, get_args

from watchd.errors import DamagedState, StateError
from watchd.model import Exit, Key, Kind, Observation, Observations
from watchd.ownership import give_away
from watchd.store.reserve import Reserve
from watchd.store.rows import Generation, LastRun, Recorded, Removal
from watchd.store.schema import VERSION, migrate

DATABASE = "watchd.db"
RESERVE = "reserve"
MOST_EXITS = 100_000
"""How many ends of containers are kept: the last ones."""

_REMOVAL = "engine, time, plan_id, kind, id, name, names, action, labels, policy, reason, facts, bytes"  # columns
_ROWS_AT_ONCE = 1000  # that a transaction forgets: others wait for it
_BUSY_TIMEOUT = 10.0  # seconds to wait for another process's transaction
_BUSY_POLL = 0.02  # seconds
_KINDS: frozenset[str] = frozenset(get_args(Kind))
T = TypeVar("T")

Fold = Callable[[Observations], dict[Key, Observation]]
Shift = Callable[[float | None], float]  # from when someone last looked to the seconds that did not count since


class Store:
    """The database in the state directory. Safe to use from several threads. Methods raise `StateError`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._lock = threading.RLock()
        self._reserve = Reserve(path.with_name(RESERVE))

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Open the state in `directory`, made if need be, for reading and writing."""
        path = directory / DATABASE
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not os.access(directory, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            # Labels and names of what was removed are nobody else's business.
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            give_away(descriptor, path)  # SQLite has the files beside it follow
            os.close(descriptor)
        except OSError as error:
            raise StateError(
                f"the state directory {directory} cannot be written: {error.strerror} "
                "(set [state] directory, or WATCHD_STATE__DIRECTORY, to one that can)"
            ) from None
        with _translated(path), ExitStack() as undo:
            connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
            undo.callback(connection.close)
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # without effect on one that has tables
            _use_wal(connection)
            connection.execute("PRAGMA synchronous = FULL")  # a record that a power cut may lose is none
            store = cls(path, connection)
            store._migrate()
            undo.pop_all()
        store._reserve.make()
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

    def check(self) -> None:
        """Read all of the database. Raise `DamagedState` where it is not what SQLite wrote."""
        with self._lock, _translated(self.path):
            found = self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            self.close()
            raise DamagedState(self.path, " ".join(str(found).split()))

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

    def cursor(self, engine: str) -> str | None:
        """Return what `remember` noted of an engine, None for nothing."""
        with self._transaction() as connection:
            row = connection.execute("SELECT cursor FROM engine WHERE id = ?", (engine,)).fetchone()
            return row[0] if row else None

    def remember(self, engine: str, cursor: str) -> None:
        """Note the last event of an engine that was taken in, in a form of its user's."""
        with self._transaction(write=True) as connection:
            connection.execute("UPDATE engine SET cursor = ? WHERE id = ?", (cursor, engine))

    def tasks_ran(self, engine: str, generations: Iterable[Generation]) -> None:
        """Note which images tasks of Swarm services ran from."""
        with self._transaction(write=True) as connection:
            connection.executemany(
                "INSERT INTO task_generation VALUES (?, ?, ?, ?) ON CONFLICT (engine, service, image) DO UPDATE"
                " SET created = max(created, excluded.created)",
                [(engine, *astuple(generation)) for generation in generations],
            )

    def task_generations(self, engine: str) -> list[Generation]:
        """Return what `tasks_ran` noted of an engine."""
        with self._transaction() as connection:
            rows = connection.execute("SELECT service, image, created FROM task_generation WHERE engine = ?", (engine,))
            return [Generation(*row) for row in rows]

    def record(self, removal: Removal) -> int:
        """Record a removal that is about to happen. Return the number to record its outcome under."""

        def insert(connection: sqlite3.Connection) -> int:
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

        return self._write(insert)

    def record_outcome(self, number: int, outcome: str, detail: str) -> None:
        """Record how a removal ended."""
        statement = "UPDATE removal SET outcome = ?, detail = ? WHERE seq = ?"
        self._write(lambda connection: connection.execute(statement, (outcome, detail, number)))

    def unsettled(self, engine: str) -> list[tuple[int, Removal]]:
        """Return the removals of an engine that began and whose outcome is not on record, each with its number."""
        with self._transaction() as connection:
            rows = connection.execute(
                f"SELECT seq, {_REMOVAL} FROM removal WHERE engine = ? AND outcome IS NULL ORDER BY seq",  # noqa: S608 - columns of ours
                (engine,),
            )
            return [(number, _recorded(*columns, None, "").removal) for number, *columns in rows]

    def trim(self, *, before: float, most: int) -> int:
        """Forget what was removed and what ended before a time, and the oldest of that while the files are too large.

        `most` is in bytes, of the database with its journal. Observations, and removals whose outcome is not on
        record, stay. Return how many rows went. Makes the reserve anew, should it have been given up.
        """
        went = self._forget("time < ?", "ended < ?", before)
        while self.size() > most and (more := self._forget_oldest()):
            went += more
            self._shrink()
        if went:
            self._shrink()
        self._reserve.make()
        return went

    def size(self) -> int:
        """Return the bytes of the database with its journal."""
        files = (self.path, self.path.with_name(f"{self.path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def _forget(self, removals: str, exits: str, *values: float) -> int:
        """Forget finished removals and ends of containers by conditions of ours, in transactions of some rows each."""
        went = 0
        tables = (("removal", f"outcome IS NOT NULL AND {removals}"), ("exit", exits))
        for table, condition in tables:
            some = f"SELECT seq FROM {table} WHERE {condition} ORDER BY seq LIMIT {_ROWS_AT_ONCE}"  # noqa: S608 - ours
            while True:
                with self._transaction(write=True) as connection:
                    statement = f"DELETE FROM {table} WHERE seq IN ({some})"  # noqa: S608 - ours
                    gone = connection.execute(statement, values).rowcount
                went += gone
                if gone < _ROWS_AT_ONCE:
                    break
        return went

    def _forget_oldest(self) -> int:
        """Forget a tenth of what is on record, the oldest; all of it where that is not much."""
        with self._transaction() as connection:
            first, last = connection.execute(
                "SELECT min(moment), max(moment) FROM"
                " (SELECT time AS moment FROM removal WHERE outcome IS NOT NULL UNION ALL SELECT ended FROM exit)"
            ).fetchone()
        if first is None:
            return 0
        until = max(first + (last - first) / 10, math.nextafter(first, math.inf))
        return self._forget("time < ?", "ended < ?", until)

    def _shrink(self) -> None:
        """Give back to the file system what the database no longer needs."""
        with self._lock, _translated(self.path):
            if not self._connection.execute("PRAGMA auto_vacuum").fetchone()[0]:  # made before watchd asked for it
                self._connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
                self._connection.execute("VACUUM")
            self._connection.executescript("PRAGMA incremental_vacuum")  # by execute() it frees one page
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

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

    def removals(self, *, since: float = 0.0, kind: Kind | None = None, most: int = -1) -> list[Recorded]:
        """Return the removals on record, of every engine, the oldest first; of more than `most` the last ones."""
        with self._transaction() as connection:
            rows = connection.execute(
                f"SELECT {_REMOVAL}, outcome, detail FROM removal"  # noqa: S608 - columns of ours
                " WHERE time >= :since AND (:kind IS NULL OR kind = :kind) ORDER BY seq DESC LIMIT :most",
                {"since": since, "kind": kind, "most": most},
            )
            return [_recorded(*row) for row in rows][::-1]

    def count_removals(self, *, since: float = 0.0) -> int:
        """Return how many removals are on record."""
        with self._transaction() as connection:
            count: int = connection.execute("SELECT count(*) FROM removal WHERE time >= ?", (since,)).fetchone()[0]
            return count

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

    def _write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Change something, if need be with the room that was reserved for it."""
        try:
            with self._transaction(write=True) as connection:
                return change(connection)
        except StateError as error:
            if not (_is_full(error) and self._reserve.give_up()):
                raise
        with self._transaction(write=True) as connection:
            return change(connection)

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
            migrate(connection, self._check_version())

    def _check_version(self) -> int:
        version: int = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise StateError(
                f"{self.path} was written by a newer watchd (schema {version}, this one knows {VERSION}): "
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
    connection.execute(
        "INSERT INTO engine (id, watched_until) VALUES (?, ?)"
        " ON CONFLICT (id) DO UPDATE SET watched_until = excluded.watched_until",
        (engine, now),
    )
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


def _is_full(error: StateError) -> bool:
    cause = error.__cause__
    return isinstance(cause, sqlite3.Error) and getattr(cause, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise DamagedState(path, str(error)) from error
        raise StateError(f"{path}: {error}") from error
