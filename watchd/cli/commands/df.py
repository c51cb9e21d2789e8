"""`watchd df`: disk usage by kind, and what is reclaimable by which policy."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from watchd.cli.options import INCOMPLETE, OptionsOnly, config_option, load_config
from watchd.cli.output import print_lines, print_note
from watchd.cli.session import Session
from watchd.errors import EngineError

if TYPE_CHECKING:
    from watchd.config import Config
    from watchd.model import ImageUsage

# ruff: noqa: PLC0415 - see watchd/cli/__init__.py


@click.command(cls=OptionsOnly)
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--deep",
    is_flag=True,
    help="Walk the engine's data, and show who holds it. Needs root. The page shows the last result.",
)
def df(config_file: Path | None, *, as_json: bool, deep: bool) -> None:
    """Show what takes the disk, and what policies would free.

    The engine walks every writable layer and every volume for this, which takes minutes on a large host. Nothing is
    changed.
    """
    if deep:
        _deep(load_config(config_file), as_json=as_json)
        return
    from watchd.cleanup import report
    from watchd.cleanup.report.disk.usage import usage_report
    from watchd.cleanup.run.planning import observe_and_plan, take_full_view

    with Session(load_config(config_file), read_only=True) as session:
        images, problem = _image_usage(session)
        view = take_full_view(session.client, session.observer, images)
        prepared = observe_and_plan(view, session.cleanup, session.observer)
    usage = usage_report(view, images, prepared.plan)
    if as_json:
        click.echo(json.dumps(usage.as_json(), indent=2))
    else:
        print_lines(report.usage_table(usage), wrap=True)
    if problem:
        print_note(problem)
    for note in report.watched_note(prepared.watched, prepared.cleanup):
        print_note(note)
    failures = prepared.view.failures
    for listing, why in failures.items():
        print_note(f"{listing.replace('_', ' ')}s could not be listed or judged: {why}")
    if view.logs.unknown:
        print_note(view.logs.unknown)
    sys.exit(INCOMPLETE if failures or images is None else 0)


def _deep(config: "Config", *, as_json: bool) -> None:
    from watchd.cleanup.report.disk.deep import deep_as_json, deep_table
    from watchd.cli.progress import walking_progress
    from watchd.engine.client import EngineClient
    from watchd.engine.deep import look
    from watchd.errors import StateError
    from watchd.store import last_walk

    client = EngineClient(config.engine, read_only=True)
    try:
        usage = look.take(client, config.engine.data_roots, walking_progress)
    finally:
        client.close()
    if as_json:
        click.echo(json.dumps(deep_as_json(usage), indent=2))
    else:
        print_lines(deep_table(usage), wrap=True)
    try:
        last_walk.save(config.state.resolve(), deep_as_json(usage))
    except StateError as error:
        print_note(f"the page does not show it: {error}")
    sys.exit(INCOMPLETE if usage.notes else 0)


def _image_usage(session: Session) -> tuple["ImageUsage | None", str]:
    """Return the sizes of image layers, or None and why the engine does not report them."""
    try:
        return session.client.image_usage(), ""
    except EngineError as error:
        return None, f"what images take is not known: {error}"
