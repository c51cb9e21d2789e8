"""The command line. Results go to stdout, everything else to stderr.

Exit codes: 0 done, 1 error, 2 usage or configuration, 3 some objects could not be removed or judged.

Commands import their modules when they run: docker-py and the HTTP server take 20 MB, which `config check` and shell
completion do not need.
"""

from typing import Any

import click

from watchd import __version__
from watchd.cli.commands.advise import advise
from watchd.cli.commands.backtest import backtest
from watchd.cli.commands.config import config
from watchd.cli.commands.df import df
from watchd.cli.commands.explain import explain
from watchd.cli.commands.healthcheck import healthcheck
from watchd.cli.commands.history import history
from watchd.cli.commands.notify import notify
from watchd.cli.commands.prune import prune
from watchd.cli.commands.run import run
from watchd.cli.commands.top import top
from watchd.errors import ConfigError, WatchdError


class _Commands(click.Group):
    """Command group that prints a `WatchdError` as a sentence and exits with its code."""

    def invoke(self, context: click.Context) -> Any:
        """Run a command and report its `WatchdError`."""
        try:
            return super().invoke(context)
        except ConfigError as error:
            click.echo("watchd: the configuration is invalid:", err=True)
            for problem in error.problems:
                click.echo(f"  {problem}", err=True)
            context.exit(error.exit_code)
        except WatchdError as error:
            click.echo(f"watchd: {error}", err=True)
            context.exit(error.exit_code)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="watchd", message="%(prog)s %(version)s")
def main() -> None:
    """Export metrics of a Docker host to Prometheus, and clean the host by policies that you can preview.

    Exit codes: 0 done (also: nothing to do), 1 error, 2 usage or configuration, 3 some objects could not be judged, or
    not be removed (failed, refused by the engine, or changed since the plan).
    """


for command in (run, prune, explain, history, backtest, advise, top, df, notify, healthcheck, config):
    main.add_command(command)
