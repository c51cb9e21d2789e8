"""Typed access to the fields of the Engine API's JSON. Pure.

Every function raises `MalformedReply`, and nothing else, whatever it is given. A field that is missing or null has the
value that Docker's documentation gives it; those that a decision rests on are named to `present` first.
"""

from collections.abc import Mapping
from typing import Any

from watchd.errors import EngineError
from watchd.units import parse_time


class MalformedReply(EngineError):
    """A reply that is not as the engine's API says."""


def present(raw: Any, *keys: str) -> None:
    """Raise MalformedReply where a field is missing. Null passes, which Go writes for what is empty.

    A newer engine, or a proxy, that leaves a field out says nothing about it: read as empty, it would protect nothing.
    """
    for key in keys:
        if not isinstance(raw, dict):
            raise MalformedReply(f"an object with {key} was expected, not {shown(raw)}")
        if key not in raw:
            raise MalformedReply(f"{key} is missing in {shown(raw)}")


def required(raw: Any, key: str) -> str:
    """Return a text that must not be missing or empty."""
    value: str = _get(raw, key, str, "")
    if not value:
        raise MalformedReply(f"{key} is missing in {shown(raw)}")
    return value


def text(raw: Any, key: str) -> str:
    """Return a text."""
    value: str = _get(raw, key, str, "")
    return value


def integer(raw: Any, key: str, default: int = 0) -> int:
    """Return an integer of at most 64 bits."""
    value: int = _get(raw, key, int, default)
    if not -(2**63) <= value < 2**64:
        raise MalformedReply(f"{key}: {value} is beyond 64 bits")
    return value


def time_of(raw: Any, key: str) -> float | None:
    """Return a time, or None where the engine writes the year 1 or nothing: it has not happened."""
    written = text(raw, key)
    if not written or written.startswith("0001-"):
        return None
    try:
        return parse_time(written)
    except (ValueError, OverflowError):
        raise MalformedReply(f"{key}: {shown(written)} is not a time") from None


def table(raw: Any, key: str) -> Mapping[str, Any]:
    """Return an object."""
    value: Mapping[str, Any] = _get(raw, key, dict, {})
    return value


def tables(raw: Any, key: str) -> list[Mapping[str, Any]]:
    """Return the objects in a list."""
    return [value for value in list_of(raw, key) if isinstance(value, dict)]


def list_of(raw: Any, key: str) -> list[Any]:
    """Return a list."""
    value: list[Any] = _get(raw, key, list, [])
    return value


def strings(raw: Any, key: str) -> dict[str, str]:
    """Return a map of labels or attributes; what is no text in it is written as text."""
    return {str(name): str(value) for name, value in table(raw, key).items()}


def shown(value: object) -> str:
    """Return a value for an error message, cut short."""
    written = repr(value)
    return written if len(written) <= 80 else written[:77] + "..."


def _get(raw: Any, key: str, type_: type, default: Any) -> Any:
    if not isinstance(raw, dict):
        raise MalformedReply(f"an object with {key} was expected, not {shown(raw)}")
    value = raw.get(key)
    if value is None:  # Go writes null for what is empty
        return default
    if not isinstance(value, type_) or (type_ is int and isinstance(value, bool)):
        raise MalformedReply(f"{key}: {shown(value)} is not of the type {type_.__name__}")
    return value
