"""What several commands share: the option that names the configuration, and loading it."""

import shlex
from pathlib import Path

import click

from watchd import log
from watchd.config import Config, find_file, load

INCOMPLETE = 3  # the exit code where some removals failed, were refused or could not be judged


class OptionsOnly(click.Command):
    """A command that takes no argument, and tells whoever gives it the configuration file as one how to name it."""

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        """Parse the arguments. End in a usage error where one is not an option's."""
        context.allow_extra_args = True  # click's own error would not say what to write instead
        extra = super().parse_args(context, arguments)
        if extra and not context.resilient_parsing:
            named = f"{context.command_path} -c {shlex.quote(extra[0])}"
            context.fail(f"{extra[0]!r} is no option. If it is the configuration file: {named}")
        return extra


config_option = click.option(
    "-c",
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Configuration file. Default: $WATCHD_CONFIG, else /etc/watchd/config.toml if it exists, else defaults that"
    " watch, and report without removing anything.",
)


def load_config(file: Path | None) -> Config:
    """Return the configuration in force, and log as it says. Raise `ConfigError`."""
    config = load(find_file(file))
    log.set_up(config.log.level, config.log.format)
    return config
