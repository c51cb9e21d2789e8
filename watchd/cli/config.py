"""`watchd config`: check and show the configuration."""

import json
from pathlib import Path

import click

from watchd.cli.options import OptionsOnly, config_option
from watchd.config import Config, find_file, load

# ruff: noqa: PLC0415 - see watchd/cli/__init__.py


@click.group()
def config() -> None:
    """Check and show the configuration."""


@config.command(cls=OptionsOnly)
@config_option
def check(config_file: Path | None) -> None:
    """Tell everything that is wrong with the configuration, all at once."""
    from watchd.web.access import Access

    file = find_file(config_file)
    Access(load(file).http)  # which reads the files that it names
    click.echo(f"{file or 'the built-in defaults'}: good")


@config.command(cls=OptionsOnly)
@config_option
def show(config_file: Path | None) -> None:
    """Print the configuration in force, defaults and environment included, as TOML."""
    import tomli_w

    file = find_file(config_file)
    in_force = load(file)
    click.echo(f"# In force: {file or 'built-in defaults'}, then WATCHD_* variables.")
    click.echo(tomli_w.dumps(in_force.model_dump(mode="json", exclude_none=True)), nl=False)


@config.command()
def schema() -> None:
    """Print the JSON Schema of the configuration file, for editors."""
    click.echo(json.dumps(Config.model_json_schema(), indent=2))
