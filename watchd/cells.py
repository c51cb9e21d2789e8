"""Text in the cells of a terminal: width, padding, cutting. Pure."""

import re
import unicodedata
from collections.abc import Iterator


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


def wrapped(text: str, cells: int, indent: int = 2) -> Iterator[str]:
    """Yield a text in lines of at most `cells` cells, further ones indented by `indent` more. No word is cut."""
    if width(text) <= cells:
        yield text
        return
    start, *words = re.findall(r"\s*\S+", text) or [""]
    further = " " * (len(start) - len(start.lstrip()) + indent)
    line = start
    for word in words:
        if width(line) + width(word) > cells:
            yield line
            line = further + word.lstrip()
        else:
            line += word
    yield line


def _start(text: str, cells: int) -> str:
    """Return the beginning of a text that takes at most `cells` cells."""
    taken = 0
    for index, char in enumerate(text):
        taken += _cells(char)
        if taken > cells:
            return text[:index]
    return text


def _cells(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
