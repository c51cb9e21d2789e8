"""Removals: a journal, written before and after each of them. What runs freed, and the last run of each policy."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from watchd.model import Kind
from watchd.store.database.connection import Database
from watchd.store.tables.rows import LastRun, Recorded, Removal

_COLUMNS = (
    "engine, time, plan_id, kind, id, name, names, action, labels, policy, reason, facts, bytes, at_least, trigger,"
    " mode"
)
_ENDING = "outcome, detail, needed_at, regretted_at, needed_for"
REPORTED = "reported"
"""Outcome of what a policy in report mode would have removed."""
RECORDED = f"{_COLUMNS}, {_ENDING}"
"""Columns of a removal with what became of it."""


class RemovalTables(Database):
    """Tables `removal`, `freed`, `policy_run` and `policy_scheduled`."""

    def record(self, removal: Removal) -> int:
        """Record a removal before it is tried. Return the number for its outcome."""
        return self.record_all([removal])[0]

    def record_all(self, removals: Iterable[Removal]) -> list[int]:
        """Record removals, all or none, before they are tried. Return the numbers for their outcomes."""
        rows = [(_row(removal), removal.marks) for removal in removals]
        return self._write(lambda connection: [_insert(connection, *row) for row in rows])

    def record_reported(self, removals: Iterable[Removal]) -> None:
        """Record the removals that policies in report mode would have made."""
        rows = [(_row(removal), removal.marks) for removal in removals]

        def insert(connection: sqlite3.Connection) -> None:
            numbers = [(REPORTED, _insert(connection, *row)) for row in rows]
            connection.executemany("UPDATE removal SET outcome = ? WHERE seq = ?", numbers)

        self._write(insert)

    def record_outcome(self, number: int, outcome: str, detail: str) -> None:
        """Record the outcome of a removal."""
        self.record_outcomes([number], [(outcome, detail)])

    def record_outcomes(self, numbers: Sequence[int], outcomes: Sequence[tuple[str, str]]) -> None:
        """Record outcomes of removals with details, in the same order. Forget those beyond: they were not tried."""
        rows = [(*outcome, number) for number, outcome in zip(numbers, outcomes, strict=False)]
        untried = [(number,) for number in numbers[len(outcomes) :]]

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany("UPDATE removal SET outcome = ?, detail = ? WHERE seq = ?", rows)
            connection.executemany("DELETE FROM removal WHERE seq = ?", untried)

        self._write(write)

    def unsettled(self, engine: str) -> list[tuple[int, Removal]]:
        """Return the removals of an engine that have no outcome, with their numbers."""
        with self._transaction() as connection:
            rows = connection.execute(
                f"SELECT seq, {_COLUMNS} FROM removal WHERE engine = ? AND outcome IS NULL ORDER BY seq",  # noqa: S608 - our own columns
                (engine,),
            )
            return [(number, recorded(*columns, None, "").removal) for number, *columns in rows]

    def removals(
        self, *, since: float = 0.0, kind: Kind | None = None, most: int = -1, regretted: bool = False
    ) -> list[Recorded]:
        """Return the removals of all engines, the oldest first; of more than `most` the newest ones.

        `regretted`: those that were, with what policies in report mode would have removed.
        """
        with self._transaction() as connection:
            rows = connection.execute(
                f"SELECT {RECORDED} FROM removal"  # noqa: S608 - our own columns
                f" WHERE time >= :since AND (:kind IS NULL OR kind = :kind) AND {_chosen(regretted=regretted)}"
                " ORDER BY seq DESC LIMIT :most",
                {"since": since, "kind": kind, "most": most},
            )
            found = [recorded(*row) for row in rows][::-1]
            freed: dict[str, dict[str, int]] = {}
            for plan_id, path, size in connection.execute(
                "SELECT plan_id, path, bytes FROM freed WHERE time >= ? ORDER BY path", (since,)
            ):
                freed.setdefault(plan_id, {})[path] = size
        return [replace(each, disk_freed=freed.get(each.removal.plan_id, {})) for each in found]

    def record_freed(self, plan_id: str, at: float, freed: Mapping[str, int]) -> None:
        """Record how many bytes more each disk had after a run, by path."""
        rows = [(at, plan_id, path, size) for path, size in freed.items()]
        statement = "INSERT INTO freed (time, plan_id, path, bytes) VALUES (?, ?, ?, ?)"
        self._write(lambda connection: connection.executemany(statement, rows))

    def count_removals(self, *, since: float = 0.0, regretted: bool = False) -> int:
        """Return the number of removals, or of regrets."""
        statement = f"SELECT count(*) FROM removal WHERE time >= ? AND {_chosen(regretted=regretted)}"  # noqa: S608 - our own SQL
        with self._transaction() as connection:
            count: int = connection.execute(statement, (since,)).fetchone()[0]
            return count

    def ran(self, policies: Iterable[str], ran: float, succeeded: float | None) -> None:
        """Record the last run of policies. `succeeded` None: it failed, and the last success stays."""
        with self._transaction(write=True) as connection:
            connection.executemany(
                "INSERT INTO policy_run VALUES (?, ?, ?) ON CONFLICT (policy) DO UPDATE"
                " SET ran = excluded.ran, succeeded = coalesce(excluded.succeeded, succeeded)",
                [(policy, ran, succeeded) for policy in policies],
            )

    def last_runs(self) -> dict[str, LastRun]:
        """Return the last run of each policy."""
        with self._transaction() as connection:
            return {row[0]: LastRun(*row[1:]) for row in connection.execute("SELECT * FROM policy_run")}

    def schedule(self, policies: Iterable[str], now: float) -> dict[str, float]:
        """Record that policies are scheduled. Return when each ran last or, if it never ran, was first scheduled."""
        with self._transaction(write=True) as connection:
            insert = "INSERT OR IGNORE INTO policy_scheduled VALUES (?, ?)"
            connection.executemany(insert, [(policy, now) for policy in policies])
            known = dict(connection.execute("SELECT policy, since FROM policy_scheduled"))
            known |= dict(connection.execute("SELECT policy, ran FROM policy_run"))
            return {policy: known[policy] for policy in policies}


def _chosen(*, regretted: bool) -> str:
    return "regretted_at IS NOT NULL" if regretted else "mode = 'enforce'"


def _insert(connection: sqlite3.Connection, row: tuple[Any, ...], marks: Iterable[str]) -> int:
    """Insert a removal with its marks. Return its number."""
    places = ", ".join("?" * len(row))
    number = connection.execute(f"INSERT INTO removal ({_COLUMNS}) VALUES ({places})", row).lastrowid  # noqa: S608 - our own columns
    assert number is not None  # noqa: S101 - an INSERT always has one
    connection.executemany("INSERT OR IGNORE INTO removal_mark VALUES (?, ?)", [(mark, number) for mark in marks])
    return number


def _row(removal: Removal) -> tuple[Any, ...]:
    return (
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
        removal.at_least,
        removal.trigger,
        removal.mode,
    )


def recorded(*row: Any) -> Recorded:
    """Return a row of `RECORDED`."""
    number = len(_COLUMNS.split(", "))
    removal = Removal(*row[:number])
    parsed = {name: json.loads(getattr(removal, name)) for name in ("names", "labels", "facts")}
    return Recorded(replace(removal, at_least=bool(removal.at_least), **parsed), *row[number:])
