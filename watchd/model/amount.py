"""Amounts of bytes of which a part may be unknown."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol


class Sized(Protocol):
    """Whatever has a size: `bytes` as far as they are known, `at_least` where a part is not."""

    @property
    def bytes(self) -> int:
        """The known bytes."""
        ...

    @property
    def at_least(self) -> bool:
        """Return whether it may be more."""
        ...


@dataclass(frozen=True, slots=True)
class Amount:
    """Bytes as far as they are known; with `at_least` it may be more."""

    bytes: int = 0
    at_least: bool = False


def total(parts: Iterable[Sized]) -> Amount:
    """Return the sum: one part of unknown size makes it "at least"."""
    size, at_least = 0, False
    for part in parts:
        size += part.bytes
        at_least = at_least or part.at_least
    return Amount(size, at_least)


def amount_as_json(of: Sized) -> dict[str, Any]:
    """Return the published form: `bytes` is null where nothing of the size is known."""
    return {"bytes": None if of.at_least and not of.bytes else of.bytes, "at_least": of.at_least}
