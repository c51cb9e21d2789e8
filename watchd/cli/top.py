"""`watchd top`: containers and what they use, as it changes."""

import json
import logging
import sys
import time
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING

import click

from watchd.cli.options import OptionsOnly, config_option, load_config
from watchd.cli.output import has_colours
from watchd.errors import UsageError

if TYPE_CHECKING:
    from watchd.top.columns import Known, Style
    from watchd.top.feed import Feed

# ruff: noqa: PLC0415 - see watchd/cli/__init__.py


@click.command(cls=OptionsOnly)
@config_option
@click.option("--once", is_flag=True, help="Print the table once, and end.")
@click.option("--json", "as_json", is_flag=True, help="Print all of it once, as JSON.")
def top(config_file: Path | None, *, once: bool, as_json: bool) -> None:
    """Show containers and what they use, live. `?` tells the keys.

    The daemon on this state directory is asked. Where none runs, watchd reads it all itself. Nothing is changed.
    """
    from watchd.top import feed

    config = load_config(config_file)
    logging.getLogger("watchd").setLevel(logging.WARNING)  # what the daemon's parts tell of themselves is for its log
    if not (once or as_json):
        if not (sys.stdout.isatty() and sys.stdin and sys.stdin.isatty()):
            raise UsageError("there is no terminal to show it on: add --once or --json")
        from watchd.top import screen  # not every Python has curses

        screen.check()
    source = feed.feed_for(config)
    try:
        if once or as_json:
            known = feed.once(source)
            if known.trouble:
                click.echo(f"Note: {known.trouble}", err=True)
            _print(known, as_json=as_json)
        else:
            _show(source)
    finally:
        source.close()


def _show(feed: "Feed") -> None:
    from watchd.top import screen
    from watchd.top.feed import Follower

    last_words = screen.LastWords()
    logging.getLogger().handlers = [last_words]
    follower = Follower(feed)
    follower.start()
    try:
        screen.run(follower, last_words)
    finally:
        follower.stop()


def _print(known: "Known", *, as_json: bool) -> None:
    from watchd.top.columns import Looks
    from watchd.top.drawing import printed

    assert known.containers is not None  # noqa: S101 - `once` has asked for them
    if as_json:
        click.echo(json.dumps({**known.containers, "disks": known.disks, "next": known.next_run}, indent=2))
        return
    is_terminal = sys.stdout.isatty()
    ascii_only = "utf" not in (sys.stdout.encoding or "").lower()
    looks = Looks(time.time(), get_terminal_size().columns if is_terminal else None, ascii_only=ascii_only)
    for line in printed(known, looks):
        text = "".join(_styled(text, style, colour=is_terminal) for text, style in line)
        click.echo(text if is_terminal else text.rstrip())


def _styled(text: str, style: "Style", *, colour: bool) -> str:
    """Return a text in its colour, on terminals of those who did not say NO_COLOR."""
    colours = {"good": "green", "warn": "yellow", "bad": "red"}
    if not colour or style not in colours or not has_colours():
        return text
    return click.style(text, fg=colours[style])
