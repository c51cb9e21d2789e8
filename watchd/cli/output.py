"""Output with colours on terminals, unless NO_COLOR is set (no-color.org)."""

import os
import sys
from collections.abc import Iterable
from typing import Any

import click

# By the tone of a line (watchd/cleanup/report/words.py).
_STYLES: dict[str, dict[str, Any]] = {
    "heading": {"bold": True},
    "goes": {"fg": "red"},
    "reported": {"fg": "yellow"},
    "removed": {"fg": "green"},
    "trouble": {"fg": "red", "bold": True},
    "total": {"bold": True},
}


def print_lines(lines: Iterable[str], *, err: bool = False) -> None:
    """Print lines, with colours on a terminal."""
    for line in lines:
        style = _STYLES.get(getattr(line, "tone", ""))
        click.echo(click.style(line, **style) if style and wants_colours() else line, err=err)


def terminal_cells(*, err: bool = False) -> int | None:
    """Return the width of the terminal that is written to; None where it is a file or a pipe: these get whole lines."""
    try:
        return os.get_terminal_size((sys.stderr if err else sys.stdout).fileno()).columns or None
    except (AttributeError, OSError, ValueError):  # closed, or no terminal
        return None


def wants_colours() -> bool:
    """Return whether the user accepts colours. Click drops them if the output is no terminal."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
