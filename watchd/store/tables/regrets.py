"""Regrets: removals whose objects are needed again."""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from watchd.model import Key, Kind, Network, Regret, Subject, Volume
from watchd.store.database.connection import Database
from watchd.store.tables.removals import RECORDED, REPORTED, recorded
from watchd.store.tables.rows import Recorded
from watchd.store.tables.watched import watched_after, watched_spans

_MARKS_AT_ONCE = 500  # in one query


@dataclass(frozen=True, slots=True)
class Tally:
    """Numbers of removals, real ones and those of report mode: regretted, not regretted, and not decided yet."""

    regretted: int = 0
    not_regretted: int = 0
    undecided: int = 0


Ended = tuple[int, float, str]
"""A removal by its number, when its object was needed again, and why."""


@dataclass(frozen=True, slots=True)
class Absence:
    """Time during which an object would be gone if a policy in report mode enforced. `until` None: still."""

    since: float
    until: float | None


class RegretTables(Database):
    """Table `removal_mark`, and the columns of `removal` about needs."""

    def absences(self, engine: str, keys: Iterable[Key]) -> dict[Key, Absence]:
        """Return the last absence of each of these objects that a policy in report mode would have removed."""
        found: dict[Key, Absence] = {}
        with self._transaction() as connection:
            for key in keys:
                row = connection.execute(
                    "SELECT time, needed_at FROM removal WHERE mode = 'report' AND engine = ? AND kind = ? AND id = ?"
                    " ORDER BY seq DESC LIMIT 1",
                    (engine, *key),
                ).fetchone()
                if row is not None:
                    found[key] = Absence(*row)
        return found

    def gone(self, engine: str, marks: Collection[str]) -> dict[str, list[tuple[int, Recorded]]]:
        """Return, by mark, the removals of an engine whose objects are not needed again so far, with their numbers.

        Those without an outcome are among them.
        """
        # CROSS JOIN: by itself SQLite reads all removals of the engine, and looks for the marks of each.
        found: dict[str, list[tuple[int, Recorded]]] = {}
        with self._transaction() as connection:
            for some in _portions(sorted(marks)):
                rows = connection.execute(
                    f"SELECT mark, seq, {RECORDED} FROM removal_mark CROSS JOIN removal ON seq = removal"  # noqa: S608 - our own columns
                    f" WHERE mark IN ({', '.join('?' * len(some))}) AND engine = ? AND needed_at IS NULL"
                    f" AND (outcome IS NULL OR outcome IN ('removed', '{REPORTED}'))",
                    (*some, engine),
                )
                for mark, number, *row in rows:
                    found.setdefault(mark, []).append((number, recorded(*row)))
        return found

    def came_back(self, engine: str) -> list[tuple[int, float]]:
        """Return the removals of images that are here again, by number, with when they were first seen."""
        with self._transaction() as connection:
            return list(
                connection.execute(
                    "SELECT seq, first_seen FROM observation CROSS JOIN removal"  # the images, which are fewer, first
                    " ON removal.engine = observation.engine AND removal.kind = 'image'"
                    " AND removal.id = observation.id"
                    " WHERE observation.engine = ? AND observation.kind = 'image' AND action = 'remove'"
                    " AND mode = 'enforce' AND outcome = 'removed' AND needed_at IS NULL AND first_seen > time",
                    (engine,),
                )
            )

    def end_absences(self, ended: Sequence[Ended], window: float) -> list[Recorded]:
        """Record when and why objects were needed again. Return the regrets: those within `window` seconds.

        A removal whose object was already needed stays as it is.
        """

        def write(connection: sqlite3.Connection) -> list[Recorded]:
            regrets: list[Recorded] = []
            for number, at, why in ended:
                changed = connection.execute(
                    "UPDATE removal SET needed_at = :at, needed_for = :why,"
                    " regretted_at = CASE WHEN :at - time <= :window THEN :at END"
                    " WHERE seq = :number AND needed_at IS NULL",
                    {"at": at, "why": why, "window": window, "number": number},
                ).rowcount
                connection.execute("DELETE FROM removal_mark WHERE removal = ?", (number,))
                if changed:
                    statement = f"SELECT {RECORDED} FROM removal WHERE seq = ?"  # noqa: S608 - our own columns
                    row = recorded(*connection.execute(statement, (number,)).fetchone())
                    regrets += [row] if row.regretted_at is not None else []
            return regrets

        return self._write(write)

    def tally(self, window: float, *, since: float = 0.0, kind: Kind | None = None) -> Tally:
        """Count removals that can be regretted by whether they were.

        One with less than `window` seconds of watched time after it is undecided.
        """
        counts = [0, 0, 0]
        spans: dict[str, list[tuple[float, float]]] = {}
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT engine, time, regretted_at FROM removal WHERE action = 'remove'"
                " AND outcome IN ('removed', :reported) AND time >= :since AND (:kind IS NULL OR kind = :kind)"
                " AND kind != 'build_cache' AND (kind != 'container' OR mode = 'report')",
                {"since": since, "kind": kind, "reported": REPORTED},
            ).fetchall()
            for engine in {engine for engine, _, _ in rows}:
                spans[engine] = watched_spans(connection, engine)
        for engine, at, regretted_at in rows:
            decided = watched_after(spans[engine], at) >= window
            counts[0 if regretted_at is not None else 1 if decided else 2] += 1
        return Tally(*counts)

    def last_regret(self, engine: str, subject: Subject) -> Regret | None:
        """Return the last regret of an object, by its ID or, of networks and volumes, its name."""
        names = subject.names if isinstance(subject, Network | Volume) else ()
        with self._transaction() as connection:
            row = connection.execute(
                "SELECT policy, mode, time, regretted_at, needed_for FROM removal"
                " WHERE engine = ? AND kind = ? AND regretted_at IS NOT NULL AND (id = ? OR name = ?)"
                " ORDER BY regretted_at DESC LIMIT 1",
                (engine, subject.kind, subject.id, *(names or (None,))),
            ).fetchone()
            return Regret(*row) if row else None


def _portions(marks: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(marks), _MARKS_AT_ONCE):
        yield marks[start : start + _MARKS_AT_ONCE]
