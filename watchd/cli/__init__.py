"""The command line. Results go to stdout, everything else to stderr.

Exit codes: 0 done, 1 error, 2 usage or configuration, 3 some removals failed, were refused or could not be judged.

Commands import what they need when they run: docker-py and the HTTP server alone take 20 MB that `config check` and a
shell's completion have no use for.
"""

from typing import Any

import click

from watchd import __version__
from watchd.cli.config import config
from watchd.cli.df import df
from watchd.cli.explain import explain
from watchd.cli.healthcheck import healthcheck
from watchd.cli.history import history
from watchd.cli.prune import prune
from watchd.cli.run import run
from watchd.cli.top import top
from watchd.errors import ConfigError, WatchdError


class _Commands(click.Group):
    """A group of commands whose errors are a sentence and an exit code."""

    def invoke(self, context: click.Context) -> Any:
        """Run a command, and end the process with what it raises."""
        try:
            return super().invoke(context)
        except ConfigError as error:
            click.echo("watchd: the configuration cannot be used:", err=True)
            for problem in error.problems:
                click.echo(f"  {problem}", err=True)
            context.exit(error.exit_code)
        except WatchdError as error:
            click.echo(f"watchd: {error}", err=True)
            context.exit(error.exit_code)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="watchd", message="%(prog)s %(version)s")
def main() -> None:
    """Watch a Docker host for Prometheus, and clean it by policies that can be seen before they act.

    Exit codes: 0 done (also: nothing to do), 1 error, 2 usage or configuration, 3 some removals failed, were refused,
    were left alone since something had changed, or could not be judged.
    """


for command in (run, prune, explain, history, top, df, healthcheck, config):
    main.add_command(command)
