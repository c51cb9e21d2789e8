"""`watchd healthcheck`: whether the daemon is alive, for Docker's HEALTHCHECK and for scripts."""

import sys
from pathlib import Path

import click

from watchd.cli.options import OptionsOnly, config_option
from watchd.config import find_file, state_directory

# ruff: noqa: PLC0415 - see watchd/cli/__init__.py


@click.command(cls=OptionsOnly)
@config_option
def healthcheck(config_file: Path | None) -> None:
    """Exit with 0 when the daemon on this state directory answers, with 1 when it does not.

    Of the configuration it asks nothing but where that is: a file that is not good says nothing of the daemon. An
    engine that cannot be reached is told of, and is no failure: to start watchd again would not mend it.
    """
    from watchd.web import private

    directory = state_directory(find_file(config_file))
    status, body = private.ask(directory, "/healthz")
    if status != 200:
        click.echo(f"unhealthy: {body.decode(errors='replace').strip()}")
        sys.exit(1)
    status, body = private.ask(directory, "/readyz")
    click.echo("healthy" if status == 200 else f"healthy, but not ready: {body.decode(errors='replace').strip()}")
