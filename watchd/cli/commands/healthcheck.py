"""`watchd healthcheck`: check the daemon, for Docker's HEALTHCHECK and scripts."""

import sys
from pathlib import Path

import click

from watchd.cli.options import OptionsOnly, config_option
from watchd.config.file import find_file

# ruff: noqa: PLC0415 - see watchd/cli/__init__.py


@click.command(cls=OptionsOnly)
@config_option
def healthcheck(config_file: Path | None) -> None:
    """Exit with 0 if the daemon answers, else with 1.

    The daemon is the one on the state directory of the configuration. Nothing else is read from that, so an invalid
    file does not fail the check. An engine that cannot be reached is reported and does not fail it either: to restart
    watchd would not help.
    """
    from watchd.config.state_directory import state_directory
    from watchd.http import private

    directory = state_directory(find_file(config_file))
    status, body = private.get(directory, "/healthz")
    if status != 200:
        click.echo(f"unhealthy: {body.decode(errors='replace').strip()}")
        sys.exit(1)
    status, body = private.get(directory, "/readyz")
    click.echo("healthy" if status == 200 else f"healthy, but not ready: {body.decode(errors='replace').strip()}")
