"""Options shared by several commands, and loading of the configuration."""

import shlex
from pathlib import Path

import click

from watchd.config import Config
from watchd.config.file import find_file
from watchd.runtime import log

INCOMPLETE = 3  # exit code: some objects could not be removed or judged


class OptionsOnly(click.Command):
    """Command without arguments. Given one, its error explains how to name a configuration file."""

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        """Parse the options. Raise a usage error at an argument."""
        context.allow_extra_args = True  # click's own error does not suggest -c
        extra = super().parse_args(context, arguments)
        if extra and not context.resilient_parsing:
            named = f"{context.command_path} -c {shlex.quote(extra[0])}"
            context.fail(f"{extra[0]!r} is not an option. If it is the configuration file: {named}")
        return extra


config_option = click.option(
    "-c",
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Configuration file. Default: $WATCHD_CONFIG, else /etc/watchd/config.toml if it exists, else built-in"
    " defaults that only watch and report.",
)


def load_config(file: Path | None) -> Config:
    """Load the configuration and set up logging. Raise `ConfigError`."""
    from watchd.config.load import load  # noqa: PLC0415 - see watchd/cli/__init__.py

    config = load(find_file(file))
    log.set_up(config.log.level, config.log.format)
    return config
