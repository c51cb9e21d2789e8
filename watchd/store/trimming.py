"""Trimming: each table has a bound of its own, and the history of removals is the last to be shortened."""

import math
from functools import partial

from watchd.store.timeline_bound import TimelineBound

MOST_EXITS = 100_000
MOST_ENGINES = 100
MOST_OBSERVATIONS = 200_000
MOST_REFERENCES = 200_000
MOST_GENERATIONS = 10_000
MOST_GENERATIONS_OF_A_SERVICE = 10
MOST_POLICIES = 1000
MOST_FREED = 10_000

_ROWS_AT_ONCE = 1000  # deleted in one transaction: other processes wait for it
_KEYS = {
    "engine": "id",
    "observation": "engine, kind, id",
    "image_reference": "engine, image, reference",
    "task_generation": "engine, service, image",
    "policy_run": "policy",
    "policy_scheduled": "policy",
    "exit": "seq",
    "freed": "seq",
    "removal": "seq",
    "removal_mark": "mark, removal",
}
_TIMES = {"exit": "ended", "freed": "time", "removal": "time"}
_SETTLED = {"exit": "TRUE", "freed": "TRUE", "removal": "outcome IS NOT NULL"}


class Trimming(TimelineBound):
    """Deletes rows beyond the bounds of their tables."""

    def trim(self, *, before: float, most: int) -> int:
        """Delete removals, exits and engines of before a time, and what is beyond a table's bound.

        The timeline has half of `most` bytes. While the files take more than `most`, delete the oldest exits, then the
        oldest of the timeline, then the oldest removals. Removals without an outcome stay. Return the number of rows
        deleted. Allocate the reserve again if it was released.
        """
        deleted = sum(self._delete_older(table, before) for table in _TIMES)
        deleted += self._delete_beyond_bounds(before)
        deleted += self.trim_timeline(before=before, most=most // 2)
        if deleted or self.size() > most:
            self._shrink()
        shorten = (partial(self._delete_oldest, "exit"), self.shorten_timeline, partial(self._delete_oldest, "removal"))
        for each in shorten:
            while self.size() > most and (more := each()):
                deleted += more
                self._shrink()
        self._reserve.allocate()
        return deleted

    def _delete_beyond_bounds(self, before: float) -> int:
        # The engine that was watched last stays, also when the clock was set ahead.
        newest = "SELECT id FROM engine ORDER BY watched_until DESC LIMIT 1"
        of_no_engine = "WHERE engine NOT IN (SELECT id FROM engine)"
        of_no_image = "WHERE (engine, image) NOT IN (SELECT engine, id FROM observation WHERE kind = 'image')"
        numbered = "row_number() OVER (PARTITION BY engine, service ORDER BY created DESC) AS number"
        too_many = (
            f"WHERE (engine, service, image) IN (SELECT engine, service, image FROM (SELECT *, {numbered}"  # noqa: S608 - our own columns
            " FROM task_generation) WHERE number > ?)"
        )
        by_engine = "JOIN engine ON engine.id = engine ORDER BY watched_until DESC, first_seen DESC"
        return (
            self._delete("engine", f"WHERE watched_until < ? AND id NOT IN ({newest})", before)
            + self._delete("engine", "ORDER BY watched_until DESC", keep=MOST_ENGINES)
            + self._delete("observation", of_no_engine)
            + self._delete("observation", by_engine, keep=MOST_OBSERVATIONS)
            + self._delete("image_reference", of_no_image)
            + self._delete("image_reference", "ORDER BY until IS NOT NULL, until DESC", keep=MOST_REFERENCES)
            + self._delete("task_generation", of_no_engine)
            + self._delete("task_generation", too_many, MOST_GENERATIONS_OF_A_SERVICE)
            + self._delete("task_generation", "ORDER BY created DESC", keep=MOST_GENERATIONS)
            + self._delete("policy_run", "ORDER BY ran DESC", keep=MOST_POLICIES)
            + self._delete("policy_scheduled", "ORDER BY since DESC", keep=MOST_POLICIES)
            + self._delete("exit", "ORDER BY seq DESC", keep=MOST_EXITS)
            + self._delete("freed", "ORDER BY seq DESC", keep=MOST_FREED)
            + self._delete("removal_mark", "WHERE removal NOT IN (SELECT seq FROM removal)")
        )

    def _delete_older(self, table: str, before: float) -> int:
        return self._delete(table, f"WHERE {_SETTLED[table]} AND {_TIMES[table]} < ? ORDER BY seq", before)

    def _delete_oldest(self, table: str) -> int:
        """Delete the oldest tenth of a table's time; all rows where they are few."""
        time = _TIMES[table]
        with self._transaction() as connection:
            statement = f"SELECT min({time}), max({time}) FROM {table} WHERE {_SETTLED[table]}"  # noqa: S608 - our own columns
            first, last = connection.execute(statement).fetchone()
        if first is None:
            return 0
        return self._delete_older(table, max(first + (last - first) / 10, math.nextafter(first, math.inf)))

    def _delete(self, table: str, selection: str, *values: float, keep: int = 0) -> int:
        """Delete the rows of a selection, but the first `keep` ones, in several transactions."""
        key = _KEYS[table]
        columns = ", ".join(f"{table}.{column}" for column in key.split(", "))
        selected = f"SELECT {columns} FROM {table} {selection} LIMIT {_ROWS_AT_ONCE} OFFSET {keep}"  # noqa: S608 - our own SQL
        statement = f"DELETE FROM {table} WHERE ({key}) IN ({selected})"  # noqa: S608 - our own SQL
        total = 0
        while True:
            with self._transaction(write=True) as connection:
                deleted = connection.execute(statement, values).rowcount
            total += deleted
            if deleted < _ROWS_AT_ONCE:
                return total

    def _shrink(self) -> None:
        """Return free pages to the file system."""
        with self._autocommit() as connection:
            if not connection.execute("PRAGMA auto_vacuum").fetchone()[0]:  # a database of an early watchd
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
                connection.execute("VACUUM")
            connection.executescript("PRAGMA incremental_vacuum")  # by execute() it frees one page
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
