"""Output with colours on terminals, unless NO_COLOR is set (no-color.org)."""

import os
import sys
from collections.abc import Iterable
from typing import Any

import click

from watchd.cells import wrapped

# By the tone of a line (watchd/cleanup/report/words.py).
_STYLES: dict[str, dict[str, Any]] = {
    "heading": {"bold": True},
    "goes": {"fg": "red"},
    "reported": {"fg": "yellow"},
    "removed": {"fg": "green"},
    "trouble": {"fg": "red", "bold": True},
    "total": {"bold": True},
}


def print_lines(lines: Iterable[str], *, err: bool = False, wrap: bool = False) -> None:
    """Print lines, with colours on a terminal. With `wrap` a long one goes on below, indented."""
    cells = terminal_cells(err=err) if wrap else None
    for line in lines:
        style = _STYLES.get(getattr(line, "tone", ""))
        for part in wrapped(line, cells) if cells else [line]:
            click.echo(click.style(part, **style) if style and wants_colours() else part, err=err)


def print_note(text: str) -> None:
    """Print a note to stderr."""
    print_lines([f"Note: {text}"], err=True, wrap=True)


def terminal_cells(*, err: bool = False) -> int | None:
    """Return the width of the terminal that is written to; None where it is a file or a pipe: these get whole lines."""
    try:
        return os.get_terminal_size((sys.stderr if err else sys.stdout).fileno()).columns or None
    except (AttributeError, OSError, ValueError):  # closed, or no terminal
        return None


def wants_colours() -> bool:
    """Return whether the user accepts colours. Click drops them if the output is no terminal."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
