"""Graphs and bars of characters. Pure."""

from collections.abc import Sequence

BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII_BLOCKS = " .,:;+*#@"
"""For terminals without Unicode."""

_BAR, _ASCII_BAR = ("█", "░", "│"), ("#", "-", "|")


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
