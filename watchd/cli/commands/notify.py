"""`watchd notify`: the receivers of notifications."""

import sys
from pathlib import Path

import click

from watchd.cli.options import INCOMPLETE, OptionsOnly, config_option, load_config
from watchd.cli.output import print_lines
from watchd.errors import UsageError

# ruff: noqa: PLC0415 - see watchd/cli/__init__.py


@click.group()
def notify() -> None:
    """Try the receivers of notifications."""


@notify.command(cls=OptionsOnly)
@config_option
def test(config_file: Path | None) -> None:
    """Send a test message to each receiver of [notify] urls. Print which of them accepted it."""
    from watchd.notify.notifier import Message, deliver

    urls = load_config(config_file).notify.urls
    if not urls:
        raise UsageError("there is no receiver: add [notify] urls to the configuration")
    deliveries = deliver(Message("watchd test", "This is a test message of `watchd notify test`."), urls)
    for number, delivery in enumerate(deliveries):
        print_lines([f"notify.urls[{number}] ({delivery.receiver}): {delivery.error or 'accepted'}"], wrap=True)
    if any(delivery.error for delivery in deliveries):
        sys.exit(INCOMPLETE)
