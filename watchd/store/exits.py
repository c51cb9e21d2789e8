"""Exits of containers."""

from collections.abc import Iterable
from dataclasses import astuple

from watchd.model import Exit
from watchd.store.connection import Database


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

    def exits(self, engine: str, *, since: float = 0.0) -> list[Exit]:
        """Return the exits of an engine's containers, the newest first."""
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT container_id, name, image, project, service, started, ended, exit_code, cpu, memory_peak"
                " FROM exit WHERE engine = ? AND ended >= ? ORDER BY ended DESC, seq DESC",
                (engine, since),
            )
            return [Exit(*row) for row in rows]
