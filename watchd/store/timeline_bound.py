"""The bound of the timeline: the oldest goes first."""

import math
import sqlite3

from watchd.store.database.connection import Database

# Bytes of a row with its place in the table, as measured; texts count by their length.
_BYTES = {"life": 100, "life_appearance": 40, "life_use": 50, "life_size": 30, "disk_mark": 80, "watched": 70}
_TEXT_BYTES = 20
_OLDEST = (
    "SELECT min(at) FROM (SELECT min(gone) AS at FROM life UNION SELECT min(last) FROM life_use"
    " UNION SELECT min(at) FROM disk_mark UNION SELECT min(ended) FROM watched)"
)
# Of lives without an end, the state at the cut stays.
_SET_TEXT = """
UPDATE life SET (text, name) = (
    SELECT text, name FROM life_appearance WHERE life = seq AND since < :cut ORDER BY since DESC LIMIT 1
) WHERE seq IN (SELECT life FROM life_appearance WHERE since < :cut)
"""
_DELETE_SIZES = """
DELETE FROM life_size WHERE life NOT IN (SELECT seq FROM life) OR EXISTS (
    SELECT 1 FROM life_size AS later WHERE later.life = life_size.life AND later.at > life_size.at AND later.at < :cut
)
"""
_DELETE_TEXTS = """
DELETE FROM timeline_text WHERE id NOT IN (
    SELECT text FROM life UNION SELECT text FROM life_appearance UNION SELECT engine FROM life
    UNION SELECT engine FROM disk_mark UNION SELECT path FROM disk_mark
)
"""
_BEFORE = (
    "DELETE FROM life WHERE gone < :cut",
    "DELETE FROM life_use WHERE last < :cut OR life NOT IN (SELECT seq FROM life)",
    _SET_TEXT,
    "DELETE FROM life_appearance WHERE since < :cut OR life NOT IN (SELECT seq FROM life)",
    _DELETE_SIZES,
    "DELETE FROM disk_mark WHERE at < :cut",
    "DELETE FROM watched WHERE ended < :cut",
    _DELETE_TEXTS,
)


class TimelineBound(Database):
    """Deletes the oldest of the timeline."""

    def trim_timeline(self, *, before: float, most: int) -> int:
        """Delete rows that ended before a time, and the oldest ones while the timeline takes more than `most` bytes.

        Return the number of rows deleted.
        """
        deleted = self._delete_timeline(before)
        while self.timeline_size() > most and (more := self.shorten_timeline()):
            deleted += more
        return deleted

    def timeline_size(self) -> int:
        """Return about how many bytes the timeline takes."""
        with self._transaction() as connection:
            texts = "SELECT coalesce(sum(length(value) + ?), 0) FROM timeline_text"
            size: int = connection.execute(texts, (_TEXT_BYTES,)).fetchone()[0]
            return size + sum(_count(connection, table) * each for table, each in _BYTES.items())

    def shorten_timeline(self) -> int:
        """Delete the oldest twentieth of the timeline's time. Return the number of rows deleted."""
        with self._transaction() as connection:
            oldest = connection.execute(_OLDEST).fetchone()[0]
            newest = connection.execute("SELECT max(ended) FROM watched").fetchone()[0]
        if oldest is None:
            return 0
        step = max(0.0, (newest or oldest) - oldest) / 20
        return self._delete_timeline(max(oldest + step, math.nextafter(oldest, math.inf)))

    def _delete_timeline(self, cut: float) -> int:
        tables = (*_BYTES, "timeline_text")
        with self._transaction(write=True) as connection:
            rows = sum(_count(connection, table) for table in tables)
            for statement in _BEFORE:
                connection.execute(statement, {"cut": cut})
            return rows - sum(_count(connection, table) for table in tables)


def _count(connection: sqlite3.Connection, table: str) -> int:
    count: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - our own tables
    return count
