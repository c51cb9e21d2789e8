"""`watchd top`: containers and their use of resources, live."""

import json
import logging
import sys
import time
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING

import click

from watchd.cli.options import OptionsOnly, config_option, load_config
from watchd.cli.output import print_note, wants_colours
from watchd.errors import UsageError

if TYPE_CHECKING:
    from watchd.top.columns import Snapshot, Style
    from watchd.top.feed import Feed

# ruff: noqa: PLC0415 - see watchd/cli/__init__.py


@click.command(cls=OptionsOnly)
@config_option
@click.option("--once", is_flag=True, help="Print the table once and exit.")
@click.option("--json", "as_json", is_flag=True, help="Print all data once, as JSON.")
def top(config_file: Path | None, *, once: bool, as_json: bool) -> None:
    """Show what containers use now. Press `?` for the keys.

    The data comes from the daemon on this state directory; if none runs, watchd reads it itself. Nothing is changed.
    """
    from watchd.top import feed

    config = load_config(config_file)
    logging.getLogger("watchd").setLevel(logging.WARNING)  # the daemon's modules log at INFO
    if not (once or as_json):
        if not (sys.stdout.isatty() and sys.stdin and sys.stdin.isatty()):
            raise UsageError("there is no terminal: add --once or --json")
        from watchd.top import screen  # not every Python has curses

        screen.check()
    source = feed.open_feed(config)
    try:
        if once or as_json:
            snapshot = feed.read_once(source)
            if snapshot.error:
                print_note(snapshot.error)
            _print(snapshot, as_json=as_json)
        else:
            _show(source)
    finally:
        source.close()


def _show(feed: "Feed") -> None:
    from watchd.top import screen
    from watchd.top.poller import Poller

    last_warning = screen.LastWarning()
    logging.getLogger().handlers = [last_warning]
    poller = Poller(feed)
    poller.start()
    try:
        screen.run(poller, last_warning)
    finally:
        poller.stop()


def _print(snapshot: "Snapshot", *, as_json: bool) -> None:
    from watchd.top.columns import Display
    from watchd.top.drawing import printout

    assert snapshot.containers is not None  # noqa: S101 - `read_once` has asked for them
    if as_json:
        click.echo(json.dumps({**snapshot.containers, "disks": snapshot.disks, "next": snapshot.next_run}, indent=2))
        return
    is_terminal = sys.stdout.isatty()
    ascii_only = "utf" not in (sys.stdout.encoding or "").lower()
    display = Display(time.time(), get_terminal_size().columns if is_terminal else None, ascii_only=ascii_only)
    for line in printout(snapshot, display):
        text = "".join(_styled(text, style, colour=is_terminal) for text, style in line)
        click.echo(text if is_terminal else text.rstrip())


def _styled(text: str, style: "Style", *, colour: bool) -> str:
    """Return a text in the colour of its style, if colours are wanted."""
    colours = {"good": "green", "warn": "yellow", "bad": "red"}
    if not colour or style not in colours or not wants_colours():
        return text
    return click.style(text, fg=colours[style])
