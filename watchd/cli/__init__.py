"""The command line. Results go to stdout, everything else to stderr.

Exit codes: 0 done, 1 error, 2 usage or configuration, 3 some objects could not be removed or judged.

Commands are imported when they run, and import what they need then: the daemon would keep all of it in memory.
"""

from importlib import import_module
from typing import Any

import click

from watchd import __version__
from watchd.cli.output import print_lines
from watchd.config.suggestions import suggest
from watchd.errors import ConfigError, WatchdError

_COMMANDS = (
    "run", "prune", "explain", "history", "backtest", "advise", "top", "df", "notify", "healthcheck", "config",
)  # fmt: skip


class _Commands(click.Group):
    """Group of the commands, which prints a `WatchdError` as a sentence and exits with its code."""

    def list_commands(self, context: click.Context) -> list[str]:  # noqa: ARG002 - click's
        """Return their names."""
        return sorted(_COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:  # noqa: ARG002 - click's
        """Import one: the module of its name has it."""
        if name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"watchd.cli.commands.{name}"), name)
        return command

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of the arguments; name the nearest one where there is none."""
        try:
            return super().resolve_command(context, arguments)
        except click.UsageError as error:
            raise click.UsageError(error.message + suggest(arguments[0], _COMMANDS), context) from None

    def invoke(self, context: click.Context) -> Any:
        """Run a command and report its `WatchdError`."""
        try:
            return super().invoke(context)
        except ConfigError as error:
            problems = (f"  {problem}" for problem in error.problems)
            print_lines(["watchd: the configuration is invalid:", *problems], err=True, wrap=True)
            context.exit(error.exit_code)
        except WatchdError as error:
            print_lines(f"watchd: {error}".splitlines(), err=True, wrap=True)
            context.exit(error.exit_code)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="watchd", message="%(prog)s %(version)s")
def main() -> None:
    """Export metrics of a Docker host to Prometheus, and clean the host by policies that you can preview.

    Exit codes: 0 done (also: nothing to do), 1 error, 2 usage or configuration, 3 some objects could not be judged, or
    not be removed (failed, refused by the engine, or changed since the plan).
    """
