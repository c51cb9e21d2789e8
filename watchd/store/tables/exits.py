"""Exits of containers."""

from collections.abc import Iterable
from dataclasses import astuple

from watchd.model import Exit
from watchd.store.database.connection import Database


class ExitTable(Database):
    """Table `exit`."""

    def record_exits(self, engine: str, exits: Iterable[Exit]) -> None:
        """Record exits of an engine's containers."""
        with self._transaction(write=True) as connection:
            connection.executemany(
                "INSERT INTO exit (engine, container_id, name, image, project, service, started, ended, exit_code, cpu,"
                " memory_peak) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(engine, *astuple(exit_)) for exit_ in exits],
            )

    def exits(self, engine: str, *, since: float = 0.0, container_id: str | None = None, most: int = -1) -> list[Exit]:
        """Return the exits of an engine's containers, or of one of them, the newest first."""
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT container_id, name, image, project, service, started, ended, exit_code, cpu, memory_peak"
                " FROM exit WHERE engine = :engine AND ended >= :since"
                " AND (:container_id IS NULL OR container_id = :container_id)"
                " ORDER BY ended DESC, seq DESC LIMIT :most",
                {"engine": engine, "since": since, "container_id": container_id, "most": most},
            )
            return [Exit(*row) for row in rows]
