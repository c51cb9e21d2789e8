"""The timeline: lives of objects, what they were like, their uses and sizes; the disks; and which time was watched.

A text is kept once, by the first 63 bits of its SHA-256.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import assert_never, get_args

from watchd.model import Key, Kind
from watchd.model.history.timeline import (
    Appearance,
    Came,
    Changed,
    DiskMark,
    Left,
    Life,
    Open,
    Sized,
    Span,
    Step,
    Use,
    Used,
)
from watchd.store.database.connection import Database
from watchd.store.tables.texts import digest, intern, packed, unpacked
from watchd.store.tables.watched import watched_spans

_KINDS: tuple[Kind, ...] = get_args(Kind)
_OF_LIFE = (
    "SELECT seq FROM life WHERE engine = :engine AND kind = :kind AND id = :id AND gone IS NULL"
    " ORDER BY seq DESC LIMIT 1"
)
# Containers of many texts have one image; runs that follow each other within a pause are put together.
_IMAGE_RUNS = """
WITH image AS MATERIALIZED (
    SELECT id, json_extract(value, '$.image_id') AS image FROM timeline_text
    WHERE id IN (SELECT text FROM life WHERE engine = :engine AND kind = :container)
), run AS (
    SELECT image, first, coalesce(last, :now) AS last FROM life_use JOIN life ON life.seq = life
    JOIN image ON image.id = life.text
    WHERE engine = :engine AND kind = :container AND image != '' AND coalesce(last, :now) >= :since
), marked AS (
    SELECT image, first, last, first - max(last) OVER (
        PARTITION BY image ORDER BY first ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) > :pause AS begins FROM run
), numbered AS (
    SELECT image, first, last, sum(coalesce(begins, 0)) OVER (PARTITION BY image ORDER BY first) AS number FROM marked
)
SELECT image, min(first), max(last) FROM numbered GROUP BY image, number ORDER BY min(first)
"""
_BY = (
    "SELECT CASE trigger WHEN 'manual' THEN 'watchd prune' ELSE policy END FROM removal"
    " WHERE engine = :name AND kind = :of AND id = :object AND action = 'remove' AND mode = 'enforce'"
    " AND time >= life.arrived AND (outcome IS NULL OR outcome IN ('removed', 'already_gone'))"
    " ORDER BY seq DESC LIMIT 1"
)


class TimelineTables(Database):
    """Tables `life`, `life_appearance`, `life_use`, `life_size`, `disk_mark` and `timeline_text`."""

    def has_timeline(self, engine: str) -> bool:
        """Return whether anything of an engine's timeline is on record."""
        with self._transaction() as connection:
            found = connection.execute("SELECT 1 FROM life WHERE engine = ? LIMIT 1", (digest(engine),)).fetchone()
            return found is not None

    def engines_with_timeline(self) -> list[str]:
        """Return the engines with a timeline, the one watched last first."""
        with self._transaction() as connection:
            rows = connection.execute("SELECT id FROM engine ORDER BY watched_until DESC")
            engines = [id_ for (id_,) in rows]
        return [id_ for id_ in engines if self.has_timeline(id_)]

    def open_lives(self, engine: str) -> dict[Key, Open]:
        """Return the lives without an end."""
        with self._transaction() as connection:
            return {
                life.key: Open(
                    life.appearances[-1].text,
                    life.appearances[-1].name,
                    life.uses[-1] if life.uses else None,
                    life.sizes[-1][1] if life.sizes else None,
                )
                for life in _lives(connection, engine, "gone IS NULL")
            }

    def lives(self, engine: str, *, since: float = 0.0, kinds: Iterable[Kind] = _KINDS) -> list[Life]:
        """Return the lives of these kinds that had not ended by a time, the oldest arrival first."""
        numbers = ", ".join(str(_KINDS.index(kind)) for kind in kinds)
        which = f"(gone IS NULL OR gone >= ?) AND kind IN ({numbers})"
        with self._transaction() as connection:
            return sorted(_lives(connection, engine, which, since), key=lambda life: life.arrived)

    def image_runs(self, engine: str, *, since: float, now: float, pause: float) -> dict[Key, list[Span]]:
        """Return when containers ran from each image, the oldest first, those with no longer pauses as one."""
        names = {"engine": digest(engine), "container": _KINDS.index("container"), "since": since, "now": now}
        runs: defaultdict[Key, list[Span]] = defaultdict(list)
        with self._transaction() as connection:
            for image, first, last in connection.execute(_IMAGE_RUNS, {**names, "pause": pause}):
                runs["image", image].append((first, last))
        return dict(runs)

    def record_steps(self, engine: str, steps: Sequence[Step]) -> None:
        """Record steps of the timeline, in their order, in one transaction."""

        def write(connection: sqlite3.Connection) -> None:
            number = intern(connection, engine)
            for step in steps:
                kind, id_ = step.key
                names = {"engine": number, "kind": _KINDS.index(kind), "id": packed(kind, id_)}
                row = connection.execute(_OF_LIFE, names).fetchone()
                if row is not None and isinstance(step, Came | Left):
                    by = {"name": engine, "of": kind, "object": id_.partition(" ")[0] if kind == "volume" else id_}
                    _end(connection, row[0], step.at, by)
                if isinstance(step, Came):
                    connection.execute(
                        "INSERT INTO life (engine, kind, id, name, arrived, how, text)"
                        " VALUES (:engine, :kind, :id, :name, :at, :how, :text)",
                        {
                            **names,
                            "name": step.name or None,
                            "at": step.at,
                            "how": step.how,
                            "text": intern(connection, step.text),
                        },
                    )
                elif row is not None:
                    _record(connection, row[0], step)

        self._write(write)

    def record_disks(self, engine: str, marks: Iterable[DiskMark]) -> None:
        """Record how full disks are."""

        def write(connection: sqlite3.Connection) -> None:
            number = intern(connection, engine)
            for mark in marks:
                path = intern(connection, mark.path)
                connection.execute(
                    "INSERT OR REPLACE INTO disk_mark VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        number,
                        mark.at,
                        path,
                        " ".join(mark.kinds),
                        mark.used,
                        mark.available,
                        mark.inodes_used,
                        mark.inodes,
                    ),
                )

        self._write(write)

    def disk_marks(self, engine: str, *, since: float = 0.0) -> list[DiskMark]:
        """Return how full disks were, the oldest first."""
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT at, value, kinds, used, available, inodes_used, inodes FROM disk_mark"
                " JOIN timeline_text ON timeline_text.id = path WHERE engine = ? AND at >= ? ORDER BY at",
                (digest(engine), since),
            )
            return [DiskMark(at, path, tuple(kinds.split()), *rest) for at, path, kinds, *rest in rows]

    def watched_spans(self, engine: str) -> list[tuple[float, float]]:
        """Return when an engine was watched, from and to, the oldest first."""
        with self._transaction() as connection:
            return watched_spans(connection, engine)


def _record(connection: sqlite3.Connection, life: int, step: Changed | Used | Sized | Left) -> None:
    match step:
        case Changed():
            row = (life, step.at, intern(connection, step.text), step.name or None, step.how)
            connection.execute("INSERT OR REPLACE INTO life_appearance VALUES (?, ?, ?, ?, ?)", row)
        case Used():
            use = step.use
            connection.execute(
                "INSERT OR REPLACE INTO life_use VALUES (?, ?, ?, ?, ?, ?)",
                (life, use.first, use.last, use.count, use.longest_gap or None, use.exit_code),
            )
        case Sized():
            connection.execute("INSERT OR REPLACE INTO life_size VALUES (?, ?, ?)", (life, step.at, step.size))
        case Left():
            pass
        case _:
            assert_never(step)


def _end(connection: sqlite3.Connection, life: int, at: float, by: dict[str, str]) -> None:
    """End a life, and the use that it was in."""
    connection.execute(
        f"UPDATE life SET gone = max(:at, arrived), by = coalesce(({_BY}), '') WHERE seq = :life",  # noqa: S608 - our own SQL
        {"at": at, "life": life, **by},
    )
    connection.execute("UPDATE life_use SET last = max(?, first) WHERE life = ? AND last IS NULL", (at, life))


def _lives(connection: sqlite3.Connection, engine: str, which: str, *values: float) -> list[Life]:
    chosen = f"engine = {digest(engine)} AND {which}"
    of = f"JOIN life ON life.seq = life WHERE {chosen}"
    appearances: defaultdict[int, list[Appearance]] = defaultdict(list)
    uses: defaultdict[int, list[Use]] = defaultdict(list)
    sizes: defaultdict[int, list[tuple[float, int]]] = defaultdict(list)
    for life, since, text, name, how in connection.execute(
        "SELECT life, since, value, life_appearance.name, life_appearance.how FROM life_appearance"  # noqa: S608 - our own SQL
        f" JOIN timeline_text ON timeline_text.id = life_appearance.text {of} ORDER BY since",
        values,
    ):
        appearances[life].append(Appearance(since, text, name or "", how))
    for life, first, last, count, gap, code in connection.execute(
        f"SELECT life, first, last, count, longest_gap, exit_code FROM life_use {of} ORDER BY first",  # noqa: S608 - our own SQL
        values,
    ):
        uses[life].append(Use(first, last, count, gap or 0.0, code))
    for life, at, size in connection.execute(f"SELECT life, at, size FROM life_size {of} ORDER BY at", values):  # noqa: S608 - our own SQL
        sizes[life].append((at, size))
    rows = connection.execute(
        "SELECT seq, kind, life.id, name, arrived, how, value, gone, by FROM life"  # noqa: S608 - our own SQL
        " JOIN timeline_text ON timeline_text.id = life.text"
        f" WHERE {chosen}",
        values,
    )
    return [
        Life(
            key=(_KINDS[kind], unpacked(_KINDS[kind], id_)),
            arrived=arrived,
            how=how,
            appearances=(Appearance(arrived, text, name or ""), *appearances[seq]),
            left=gone,
            by=by or "",
            uses=tuple(uses[seq]),
            sizes=tuple(sizes[seq]),
        )
        for seq, kind, id_, name, arrived, how, text, gone, by in rows
    ]
