"""A store for tests with many examples: it is made once, and does not wait for the disk."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from watchd.store import Store


@contextmanager
def fast_store() -> Iterator[Store]:
    """Open a store in a directory of its own."""
    with TemporaryDirectory() as directory, closing(Store.open(Path(directory))) as store:
        with store._autocommit() as connection:
            connection.execute("PRAGMA synchronous = OFF")
        yield store


def empty(store: Store) -> None:
    """Delete all rows, for the next example."""
    with store._transaction(write=True) as connection:
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
        for (name,) in tables.fetchall():
            connection.execute(f"DELETE FROM {name}")  # noqa: S608 - its own names
