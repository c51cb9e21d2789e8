"""What goes to a terminal: colour where there is one, and nowhere else. NO_COLOR (no-color.org) switches it off."""

import os
from collections.abc import Iterable
from typing import Any

import click

# By the tone of a line (watchd/prune/report/words.py).
_STYLES: dict[str, dict[str, Any]] = {
    "heading": {"bold": True},
    "goes": {"fg": "red"},
    "reported": {"fg": "yellow"},
    "removed": {"fg": "green"},
    "trouble": {"fg": "red", "bold": True},
    "total": {"bold": True},
}


def say(lines: Iterable[str], *, err: bool = False) -> None:
    """Print lines, in colour on a terminal."""
    for line in lines:
        style = _STYLES.get(getattr(line, "tone", ""))
        click.echo(click.style(line, **style) if style and has_colours() else line, err=err)


def has_colours() -> bool:
    """Whether whoever sits there wants colours. That it is a terminal at all click sees to."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
