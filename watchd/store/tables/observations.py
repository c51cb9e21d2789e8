"""Observations: when each object was first seen, arrived and was last used, by engine."""

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple
from typing import get_args

from watchd.model import Key, Kind, Observation, Observations
from watchd.store.database.connection import Database
from watchd.store.tables.references import record_references
from watchd.store.tables.rows import Generation, Notes
from watchd.store.tables.watched import record_watched

Fold = Callable[[Observations], dict[Key, Observation]]
Shift = Callable[[float | None], float]  # from the last time the engine was watched to the unwatched seconds since

_KINDS: frozenset[str] = frozenset(get_args(Kind))


class ObservationTables(Database):
    """Tables `engine`, `observation` and `task_generation`.

    Keyed by the engine's ID: another engine on the same state directory has its own clocks.
    """

    def observations(self, engine: str) -> dict[Key, Observation]:
        """Return the observations of an engine's objects."""
        with self._transaction() as connection:
            return _observations(connection, engine)

    def observe(
        self, engine: str, now: float, *, shift: Shift, fold: Fold, unwatched: Shift | None = None
    ) -> dict[Key, Observation]:
        """Shift the observations of an engine, then replace them by what `fold` returns.

        `unwatched` returns the unwatched seconds, also where clocks run on in them. One transaction, so that nothing
        that another process writes at the same time is overwritten.
        """
        with self._transaction(write=True) as connection:
            _watched(connection, engine, now, shift, unwatched)
            known = _observations(connection, engine)
            seen = fold(known)
            changed = {key: after for key, after in seen.items() if known.get(key) != after}
            connection.executemany(
                "INSERT OR REPLACE INTO observation VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", _rows(engine, changed)
            )
            connection.executemany(
                "DELETE FROM observation WHERE engine = ? AND kind = ? AND id = ?",
                [(engine, *key) for key in known.keys() - seen.keys()],
            )
        return seen

    def note(self, engine: str, now: float, notes: Notes, *, shift: Shift, unwatched: Shift | None = None) -> None:
        """Record the changes of events, in one transaction, and that the engine is watched now."""
        with self._transaction(write=True) as connection:
            _watched(connection, engine, now, shift, unwatched)
            connection.executemany(
                "DELETE FROM observation WHERE engine = ? AND kind = ? AND id = ?",
                [(engine, *key) for key in notes.gone],
            )
            connection.executemany(
                "INSERT OR IGNORE INTO observation VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", _rows(engine, notes.came)
            )
            connection.executemany(
                "UPDATE observation SET layers = ? WHERE engine = ? AND kind = ? AND id = ?",
                [(_text(layers), engine, *key) for key, layers in notes.layers.items()],
            )
            connection.executemany(
                "UPDATE observation SET pulled = 1 WHERE engine = ? AND kind = ? AND id = ?",
                [(engine, *key) for key in notes.pulled],
            )
            connection.executemany(
                "UPDATE observation SET dangling_since = CASE WHEN ? THEN coalesce(dangling_since, ?) END"
                " WHERE engine = ? AND kind = ? AND id = ?",
                [(dangling, now, engine, *key) for key, dangling in notes.dangling.items()],
            )
            _move_forward(connection, "last_used", engine, notes.used)
            _move_forward(connection, "arrived_at", engine, notes.arrived)
            _record_generations(connection, engine, notes.generations)
            record_references(connection, engine, notes.references)
            if notes.cursor is not None:
                connection.execute("UPDATE engine SET cursor = ? WHERE id = ?", (notes.cursor, engine))

    def arrivals(self, engine: str, *, since: float) -> list[tuple[str, tuple[str, ...]]]:
        """Return the ID and the layers of each image that arrived on an engine since a time."""
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT id, layers FROM observation"
                " WHERE engine = ? AND kind = 'image' AND arrived_at > ? AND layers IS NOT NULL",
                (engine, since),
            )
            return [(id_, tuple(layers.split())) for id_, layers in rows]

    def watched_until(self, engine: str) -> float | None:
        """Return when an engine was last watched; None: never."""
        with self._transaction() as connection:
            return _watched_until(connection, engine)

    def cursor(self, engine: str) -> str | None:
        """Return the last event that was noted, None if there is none."""
        with self._transaction() as connection:
            row = connection.execute("SELECT cursor FROM engine WHERE id = ?", (engine,)).fetchone()
            return row[0] if row else None

    def tasks_ran(self, engine: str, generations: Iterable[Generation]) -> None:
        """Record the images that tasks of Swarm services ran from."""
        with self._transaction(write=True) as connection:
            _record_generations(connection, engine, generations)

    def task_generations(self, engine: str) -> list[Generation]:
        """Return the images that `tasks_ran` recorded."""
        with self._transaction() as connection:
            rows = connection.execute("SELECT service, image, created FROM task_generation WHERE engine = ?", (engine,))
            return [Generation(*row) for row in rows]


def _observations(connection: sqlite3.Connection, engine: str) -> dict[Key, Observation]:
    rows = connection.execute(
        "SELECT kind, id, first_seen, arrived_at, last_used, dangling_since, layers, pulled FROM observation"
        " WHERE engine = ?",
        (engine,),
    )
    return {
        (kind, id_): Observation(first, arrived, used, dangling, _layers(layers), bool(pulled))
        for kind, id_, first, arrived, used, dangling, layers, pulled in rows
        if kind in _KINDS
    }


def _rows(engine: str, observations: Observations) -> list[tuple[object, ...]]:
    return [
        (engine, *key, of.first_seen, of.arrived_at, of.last_used, of.dangling_since, _text(of.layers), of.pulled)
        for key, of in observations.items()
    ]


def _layers(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(text.split())


def _text(layers: tuple[str, ...] | None) -> str | None:
    return None if layers is None else " ".join(layers)


def _watched_until(connection: sqlite3.Connection, engine: str) -> float | None:
    row = connection.execute("SELECT watched_until FROM engine WHERE id = ?", (engine,)).fetchone()
    return row[0] if row else None


def _watched(connection: sqlite3.Connection, engine: str, now: float, shift: Shift, unwatched: Shift | None) -> None:
    before = _watched_until(connection, engine)
    by = shift(before)
    record_watched(connection, engine, before, now, by if unwatched is None else unwatched(before))
    connection.execute(
        "INSERT INTO engine (id, watched_until) VALUES (?, ?)"
        " ON CONFLICT (id) DO UPDATE SET watched_until = excluded.watched_until",
        (engine, now),
    )
    if by:
        connection.execute(
            "UPDATE observation SET first_seen = min(first_seen + :by, :now), arrived_at = min(arrived_at + :by, :now),"
            " last_used = min(last_used + :by, :now), dangling_since = min(dangling_since + :by, :now)"
            " WHERE engine = :engine",
            {"by": by, "now": now, "engine": engine},
        )


def _move_forward(connection: sqlite3.Connection, column: str, engine: str, times: Mapping[Key, float]) -> None:
    connection.executemany(
        f"UPDATE observation SET {column} = max(coalesce({column}, 0), ?)"  # noqa: S608 - our own column
        " WHERE engine = ? AND kind = ? AND id = ?",
        [(at, engine, *key) for key, at in times.items()],
    )


def _record_generations(connection: sqlite3.Connection, engine: str, generations: Iterable[Generation]) -> None:
    connection.executemany(
        "INSERT INTO task_generation VALUES (?, ?, ?, ?) ON CONFLICT (engine, service, image) DO UPDATE"
        " SET created = max(created, excluded.created)",
        [(engine, *astuple(generation)) for generation in generations],
    )
