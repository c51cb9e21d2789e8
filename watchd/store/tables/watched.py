"""Which time was watched."""

import sqlite3
from collections.abc import Sequence

_NO_GAP = 1.0  # seconds that two spans may lie apart and be one


def record_watched(
    connection: sqlite3.Connection, engine: str, before: float | None, now: float, unwatched: float
) -> None:
    """Record that an engine was watched until now since `before`, but for `unwatched` seconds at the beginning."""
    began = now if before is None else before + unwatched
    if began >= now:
        return
    last = connection.execute(
        "SELECT began, ended FROM watched WHERE engine = ? ORDER BY began DESC LIMIT 1", (engine,)
    ).fetchone()
    if last is not None and last[0] <= began <= last[1] + _NO_GAP:
        connection.execute(
            "UPDATE watched SET ended = max(ended, ?) WHERE engine = ? AND began = ?", (now, engine, last[0])
        )
    elif last is None or began > last[1]:
        connection.execute("INSERT INTO watched VALUES (?, ?, ?)", (engine, began, now))


def watched_spans(connection: sqlite3.Connection, engine: str) -> list[tuple[float, float]]:
    """Return when an engine was watched, from and to, the oldest first."""
    return list(connection.execute("SELECT began, ended FROM watched WHERE engine = ? ORDER BY began", (engine,)))


def watched_after(spans: Sequence[tuple[float, float]], at: float) -> float:
    """Return the watched seconds after a time."""
    return sum(max(0.0, ended - max(began, at)) for began, ended in spans)
