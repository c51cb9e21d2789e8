"""How things are said: numbers with their nouns, lists, aligned tables, and what a line is like."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, Self

from watchd.prune.plan import Item
from watchd.units import about, format_duration

Tone = Literal["", "heading", "goes", "reported", "removed", "trouble", "total"]


class Line(str):
    """A line of text, with what it is like: a terminal may show that in colour. Whoever else prints it has the text."""

    __slots__ = ("tone",)
    tone: Tone

    def __new__(cls, text: str, tone: Tone) -> Self:
        """Make a line of a text."""
        line = super().__new__(cls, text)
        line.tone = tone
        return line


def plural(kind: str, count: int) -> str:
    """Return what one or several of a kind are called."""
    name = "build cache record" if kind == "build_cache" else kind
    return name if count == 1 else f"{name}s"


def counted(kind: str, count: int) -> str:
    """Return a number with what it counts: "2 images"."""
    return f"{count} {plural(kind, count)}"


def joined(parts: Iterable[str], word: str = "and") -> str:
    """Return the parts of a list as a sentence has them: "a, b and c"."""
    *first, last = list(parts) or [""]
    return f"{', '.join(first)} {word} {last}" if first else last


def short_id(item: Item) -> str:
    """Return the first 12 digits of an ID, as Docker's commands show it."""
    return item.id.removeprefix("sha256:")[:12]


def clock(name: str, reading: Mapping[str, Any]) -> str:
    """Return what a clock shows and what a condition needs of it."""
    elapsed = reading["elapsed"]
    without = "stands still" if reading.get("stopped") else "is unknown"
    shows = without if elapsed is None else about(elapsed)
    return f"{name} {shows}, needs {format_duration(reading['needs'])}"


def clocks(item: Item) -> str:
    """Return what the clocks of a decision show, in brackets; nothing where it rests on none."""
    shown = [clock(*each) for each in item.facts.get("clocks", {}).items() if each[1]["elapsed"] is not None]
    return f" ({', '.join(shown)})" if shown else ""


def table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield rows with their columns aligned."""
    rows = list(rows)
    if not rows:
        return
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
