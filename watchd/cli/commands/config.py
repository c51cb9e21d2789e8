"""`watchd config`: check and show the configuration."""

import json
import sys
from contextlib import closing
from pathlib import Path

import click

from watchd.cli.options import INCOMPLETE, OptionsOnly, config_option
from watchd.cli.output import print_lines, print_note
from watchd.config import Config
from watchd.config.file import find_file

# ruff: noqa: PLC0415 - see watchd/cli/__init__.py


@click.group()
def config() -> None:
    """Check and show the configuration."""


@config.command(cls=OptionsOnly)
@config_option
@click.option(
    "--engine",
    "against_engine",
    is_flag=True,
    help="Ask the engine, too: how many objects each policy selects, and which patterns match nothing.",
)
def check(config_file: Path | None, *, against_engine: bool) -> None:
    """Check the configuration and list all problems."""
    from watchd.config.load import load
    from watchd.errors import ConfigError, WatchdError
    from watchd.http import listening
    from watchd.http.access import read_access
    from watchd.metrics.sources.choice import find_hierarchy
    from watchd.notify.notifier import rejected

    file = find_file(config_file)
    config = load(file)
    read_access(config.http)  # checks the files of [http], too
    found = list(listening.problems(config.http.addresses))
    try:
        find_hierarchy(config.metrics, *config.metrics.roots())
    except WatchdError as error:
        found.append(str(error) if str(error).startswith("metrics.") else f"metrics.source: {error}")
    found += rejected(config.notify.urls)
    if found:
        raise ConfigError(found)
    click.echo(f"{file or 'the built-in defaults'}: good")
    if against_engine:
        _check_against_engine(config)


def _check_against_engine(config: Config) -> None:
    """Print what policies and patterns match. Raise `EngineError`."""
    from watchd.cleanup import report
    from watchd.cleanup.plan.rules.watermarks import without_pressure
    from watchd.engine import fresh_view
    from watchd.engine.client import EngineClient
    from watchd.engine.own_container import find_own

    with closing(EngineClient(config.engine, read_only=True)) as client:
        view = fresh_view.take(client, find_own(), quick=True)
    print_lines(report.selections(view, config.cleanup), wrap=True)
    for line in (*report.void_patterns(view, config.cleanup), *report.missing_policies(view, config.cleanup)):
        print_note(line)
    for line in report.without_pressure(without_pressure(config.cleanup.policies, view.unmeasured)):
        print_note(line)
    for listing, error in view.failures.items():
        print_note(f"{listing.replace('_', ' ')}s could not be listed: {error}")
    if view.failures:
        sys.exit(INCOMPLETE)


@config.command(cls=OptionsOnly)
@config_option
def show(config_file: Path | None) -> None:
    """Print the configuration in force as TOML. It includes defaults and environment variables."""
    import tomli_w

    from watchd.config.load import checked, engine_source

    file = find_file(config_file)
    in_force = checked(file).model_dump(mode="json", by_alias=True, exclude_none=True)
    click.echo(f"# In force: {file or 'built-in defaults'}, then WATCHD_* variables.")
    click.echo(f"# engine.host: from {engine_source(file)}.")
    click.echo(tomli_w.dumps(in_force), nl=False)


@config.command()
def schema() -> None:
    """Print the JSON Schema of the configuration file, for editors."""
    from watchd.config.validation.models import model_of

    click.echo(json.dumps(model_of(Config).model_json_schema(), indent=2))
