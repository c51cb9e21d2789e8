"""`watchd df`: where the disk went, what of it is reclaimable, and by which policy."""

import json
import sys
from pathlib import Path

import click

from watchd.cli.options import INCOMPLETE, OptionsOnly, config_option, load_config
from watchd.cli.output import say
from watchd.cli.session import Session

# ruff: noqa: PLC0415 - see watchd/cli/__init__.py


@click.command(cls=OptionsOnly)
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def df(config_file: Path | None, *, as_json: bool) -> None:
    """Show what containers, images, volumes and the build cache take, and what policies would reclaim.

    The engine walks every writable layer and volume for it, which large hosts take minutes for. It is only read.
    """
    from watchd.prune import report
    from watchd.prune.account import take_stock

    session = Session(load_config(config_file), dry_run=True)
    images = session.image_usage()
    prepared = session.take_all(images)
    snapshot = prepared.snapshot
    accounts = take_stock(snapshot, images, prepared.plan)
    if as_json:
        click.echo(json.dumps(accounts.as_json(), indent=2))
    else:
        say(report.accounts(accounts))
    for listing, why in snapshot.failures.items():
        click.echo(f"Note: {listing.replace('_', ' ')}s could not be listed: {why}", err=True)
    sys.exit(INCOMPLETE if snapshot.failures else 0)
