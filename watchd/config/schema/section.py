"""Building blocks of the configuration's tables: plain frozen dataclasses, and how their values are written.

The annotations say how a value is checked: `models` makes them those of pydantic, in the process that checks the file.
The daemon imports no pydantic, which takes 11 MiB.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any

Problem = tuple[tuple[str | int, ...], str]  # path of the key below the table, and what is wrong


class Problems(ValueError):
    """Errors in single elements of a value. A plain ValueError is about all of it."""

    def __init__(self, found: Iterable[Problem]) -> None:
        super().__init__()
        self.found = list(found)


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """Check of a value of the annotated type: return it, normalised, or raise ValueError with the text to show."""

    check: Callable[[Any], Any]
    schema: Mapping[str, Any] | None = None  # JSON Schema, where that of the type is not enough
    secret: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """A value that the file has in another form than watchd: how it is read, and written again."""

    parse: Callable[[Any], Any]  # raises ValueError with the text to show
    format: Callable[[Any], Any]
    schema: Mapping[str, Any]


class Section:
    """A table of the file: unknown keys are errors; immutable after loading."""

    def problems(self) -> Iterable[Problem]:
        """Return the errors between several keys."""
        return ()

    def given(self) -> dict[str, Any]:
        """Return the keys that have another value than by default, as the file has them."""
        found = {}
        for field in fields(self):  # type: ignore[arg-type] # each table is a dataclass
            value = getattr(self, field.name)
            if value != default_of(field):
                found[key_of(field.name)] = value.given() if isinstance(value, Section) else value
        return found


def default_of(field: Field[Any]) -> Any:
    """Return the default of a field, MISSING if it has none."""
    return field.default if field.default_factory is MISSING else field.default_factory()


def key_of(field: str) -> str:
    """Return the key of a field: "class" of `class_`, which is a word of Python."""
    return field.removesuffix("_")
