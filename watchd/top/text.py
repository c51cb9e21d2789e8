"""Text in cells of a terminal: how wide it is, and what of it may get there. Pure."""

import unicodedata
from collections.abc import Sequence

BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII_BLOCKS = " .,:;+*#@"
"""For terminals that show nothing but ASCII."""

_BAR, _ASCII_BAR = ("█", "░", "│"), ("#", "-", "|")


def harmless(text: str) -> str:
    """Return a name without what would move the cursor, turn the direction of text or is not seen at all."""
    return "".join(char if char.isprintable() else "?" for char in text)


def width(text: str) -> int:
    """Return how many cells a text takes: East Asian characters take two, accents that stand by themselves none."""
    if text.isascii():
        return len(text)
    return sum(_cells(char) for char in text)


def fitted(text: str, cells: int, *, right: bool = False) -> str:
    """Return a text that takes so many cells: cut at its end, or filled up with spaces."""
    taken = width(text)
    if taken > cells:
        end = "~" if text.isascii() else "…"
        taken, kept = 0, ""
        for char in text:
            if taken + _cells(char) > cells - 1:
                break
            taken += _cells(char)
            kept += char
        text = kept + end if cells else ""
        taken = min(cells, taken + 1)
    space = " " * (cells - taken)
    return space + text if right else text + space


def graph(values: Sequence[float | None], cells: int, highest: float, blocks: str = BLOCKS) -> str:
    """Return the last values as a line of blocks, one a cell, from 0 to `highest`. What is not known is a space."""
    last = values[-cells:] if cells else []
    top = len(blocks) - 1
    line = "".join(
        " " if value is None else blocks[max(1, round(min(1.0, value / highest) * top))] if highest > 0 else blocks[1]
        for value in last
    )
    return line.rjust(cells)


def bar(share: float, cells: int, marks: Sequence[float] = (), *, ascii_only: bool = False) -> str:
    """Return a bar that is filled by a share from 0 to 1, with marks at others."""
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
