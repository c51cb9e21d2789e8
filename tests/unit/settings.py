"""Tables of the configuration from what a file has, checked."""

from typing import Any, TypeVar

from watchd.config.handover import build
from watchd.config.schema.section import Section
from watchd.config.validation.models import model_of

T = TypeVar("T", bound=Section)


def checked(table: type[T], written: Any) -> T:
    """Return a table of this content."""
    return build(table, model_of(table).model_validate(written).model_dump(by_alias=True))
