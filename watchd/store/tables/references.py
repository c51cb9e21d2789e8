"""References of images: those that they have, and those that they lost."""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Mapping

from watchd.model import References
from watchd.store.database.connection import Database


class ReferenceTable(Database):
    """Table `image_reference`. Its rows go with the observations of their images."""

    def references(self, engine: str) -> References:
        """Return the references of an engine's images."""
        with self._transaction() as connection:
            return _references(connection, engine)

    def replace_references(self, engine: str, fold: Callable[[References], References]) -> None:
        """Replace the references of an engine's images by what `fold` returns, in one transaction."""
        with self._transaction(write=True) as connection:
            known = _references(connection, engine)
            seen = fold(known)
            changed = {image: references for image, references in seen.items() if known.get(image, {}) != references}
            record_references(connection, engine, {**{image: {} for image in known.keys() - seen.keys()}, **changed})


def record_references(
    connection: sqlite3.Connection, engine: str, references: Mapping[str, Mapping[str, float | None]]
) -> None:
    """Replace the references of these images."""
    connection.executemany(
        "DELETE FROM image_reference WHERE engine = ? AND image = ?", [(engine, image) for image in references]
    )
    connection.executemany(
        "INSERT INTO image_reference VALUES (?, ?, ?, ?)",
        [(engine, image, *row) for image, of_image in references.items() for row in of_image.items()],
    )


def _references(connection: sqlite3.Connection, engine: str) -> dict[str, dict[str, float | None]]:
    rows = connection.execute("SELECT image, reference, until FROM image_reference WHERE engine = ?", (engine,))
    references: dict[str, dict[str, float | None]] = defaultdict(dict)
    for image, reference, until in rows:
        references[image][reference] = until
    return dict(references)
