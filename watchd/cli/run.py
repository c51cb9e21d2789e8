"""`watchd run`: the daemon."""

import signal
from pathlib import Path

import click

from watchd.cli.options import OptionsOnly, config_option, load_config
from watchd.config import find_file, load

# ruff: noqa: PLC0415 - see watchd/cli/__init__.py


@click.command(cls=OptionsOnly)
@config_option
def run(config_file: Path | None) -> None:
    """Run the daemon: watch, serve metrics, clean on schedule.

    SIGTERM and SIGINT stop it. SIGHUP reloads the configuration; an invalid one is logged, and the old one stays.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the daemon handles it: its default is to end the process
    from watchd import daemon

    daemon.run(load_config(config_file), lambda: load(find_file(config_file)))
