"""`watchd run`: the daemon."""

import sys
from pathlib import Path

import click

from watchd.cli.options import config_option, load_config

# ruff: noqa: PLC0415 - see watchd/cli/__init__.py


@click.command()
@config_option
def run(config_file: Path | None) -> None:
    """Run the daemon: watch, serve metrics, clean on schedule. SIGTERM and SIGINT end it."""
    from watchd import daemon

    config = load_config(config_file)
    sys.exit(daemon.run(config))
