"""Words and lines: plurals, lists, clocks."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, Self

from watchd.cleanup.plan.plan import Item
from watchd.units import format_duration, parse_time, short_duration

Tone = Literal["", "heading", "goes", "reported", "removed", "trouble", "total"]


class Line(str):
    """A line of text with a tone, which a terminal may show as a colour."""

    __slots__ = ("tone",)
    tone: Tone

    def __new__(cls, text: str, tone: Tone) -> Self:
        """Make a line of a text."""
        line = super().__new__(cls, text)
        line.tone = tone
        return line


def plural(kind: str, count: int) -> str:
    """Return the name of a kind, in the plural unless `count` is 1."""
    name = {"build_cache": "build cache record", "builder": "builder cache"}.get(kind, kind)
    return name if count == 1 else f"{name}s"


def counted(kind: str, count: int) -> str:
    """Return a count with its noun: "2 images"."""
    return f"{count} {plural(kind, count)}"


def joined(parts: Iterable[str], word: str = "and") -> str:
    """Join parts as in a sentence: "a, b and c"."""
    *first, last = list(parts) or [""]
    return f"{', '.join(first)} {word} {last}" if first else last


def full_name(name: str, facts: Mapping[str, Any], now: float | None = None) -> str:
    """Return a name; of an image without one also what it was called last: "<none>, was web:1 until 3d 2h ago"."""
    former = facts.get("former_references")
    if not former:
        return name
    further = f" and {len(former) - 1} more" if len(former) > 1 else ""
    until = "" if now is None else f" until {short_duration(now - parse_time(former[0]['until']))} ago"
    return f"{name}, was {former[0]['reference']}{further}{until}"


def short_id(item: Item) -> str:
    """Return the first 12 digits of an ID, as Docker's commands show them."""
    return item.id.removeprefix("sha256:")[:12]


def id_in_brackets(item: Item) -> str:
    """Return the short ID in brackets, after a space; empty for a volume, whose name is its ID."""
    return "" if item.id == item.name else f" ({short_id(item)})"


def clock(name: str, reading: Mapping[str, Any]) -> str:
    """Return the reading of a clock and the threshold of its condition."""
    elapsed = reading["elapsed"]
    without = "stands still" if reading.get("stopped") else "is unknown"
    shows = without if elapsed is None else short_duration(elapsed)
    return f"{name} {shows}, needs {format_duration(reading['needs'])}"


def clocks(item: Item) -> str:
    """Return the readings behind a decision in brackets, empty if there are none."""
    shown = [clock(*each) for each in item.facts.get("clocks", {}).items() if each[1]["elapsed"] is not None]
    return f" ({', '.join(shown)})" if shown else ""
