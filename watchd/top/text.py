"""Text in cells of a terminal: width, cutting, graphs, bars. Pure."""

import unicodedata
from collections.abc import Sequence

BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII_BLOCKS = " .,:;+*#@"
"""For terminals without Unicode."""

_BAR, _ASCII_BAR = ("█", "░", "│"), ("#", "-", "|")


def printable(text: str) -> str:
    """Replace control, direction and invisible characters by "?"."""
    return "".join(char if char.isprintable() else "?" for char in text)


def width(text: str) -> int:
    """Return how many cells a text takes: wide East Asian characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(_cells(char) for char in text)


def fit(text: str, cells: int, *, right: bool = False, middle: bool = False) -> str:
    """Pad a text with spaces, or cut its end or its middle, to exactly `cells` cells."""
    if width(text) > cells:
        mark = ("~" if text.isascii() else "…")[:cells]
        end = _start(text[::-1], (cells - 1) // 2)[::-1] if middle else ""
        text = _start(text, cells - len(mark) - width(end)) + mark + end
    space = " " * (cells - width(text))
    return space + text if right else text + space


def _start(text: str, cells: int) -> str:
    """Return the beginning of a text that takes at most `cells` cells."""
    taken = 0
    for index, char in enumerate(text):
        taken += _cells(char)
        if taken > cells:
            return text[:index]
    return text


def graph(values: Sequence[float | None], cells: int, highest: float, blocks: str = BLOCKS) -> str:
    """Return the last values as blocks, one per cell, scaled to `highest`. None is a space."""
    last = values[-cells:] if cells else []
    top = len(blocks) - 1
    line = "".join(
        " " if value is None else blocks[max(1, round(min(1.0, value / highest) * top))] if highest > 0 else blocks[1]
        for value in last
    )
    return line.rjust(cells)


def bar(share: float, cells: int, marks: Sequence[float] = (), *, ascii_only: bool = False) -> str:
    """Return a bar filled to `share` (0 to 1), with marks at other shares."""
    full, empty, mark = _ASCII_BAR if ascii_only else _BAR
    filled = round(min(1.0, max(0.0, share)) * cells)
    line = list(full * filled + empty * (cells - filled))
    for each in marks:
        line[min(cells - 1, max(0, int(each * cells)))] = mark
    return "".join(line)


def _cells(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
