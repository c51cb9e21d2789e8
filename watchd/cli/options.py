"""What several commands share: the option that names the configuration, and loading it."""

from pathlib import Path

import click

from watchd import log
from watchd.config import Config, find_file, load

INCOMPLETE = 3  # the exit code where some removals failed, were refused or could not be judged

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
