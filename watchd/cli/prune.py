"""`watchd prune`: clean now, or show what would be cleaned."""

import json
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click

from watchd.cli.options import INCOMPLETE, OptionsOnly, config_option, load_config
from watchd.cli.output import say
from watchd.cli.session import Session
from watchd.config import Config
from watchd.errors import UsageError
from watchd.units import parse_duration, parse_time

# ruff: noqa: PLC0415 - see watchd/cli/__init__.py


@click.command(cls=OptionsOnly)
@config_option
@click.option("-n", "--dry-run", is_flag=True, help="Show the plan and stop. The engine is only read.")
@click.option(
    "--at",
    "later",
    metavar="TIME",
    help='With --dry-run: the plan as it will be in "+7d", or at an RFC 3339 time.',
)
@click.option(
    "--policy", "names", metavar="NAME", multiple=True, help="Judge only this policy. Can be given several times."
)
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before removing.")
def prune(  # noqa: PLR0913 - a parameter for each option
    config_file: Path | None, *, dry_run: bool, later: str | None, names: tuple[str, ...], as_json: bool, yes: bool
) -> None:
    """Clean now, by the policies that enforce; the others are only reported.

    Asks before it removes anything. Without a terminal to ask on, --yes is needed.
    """
    from watchd.cli.progress import GOOD
    from watchd.prune import report

    config = load_config(config_file)
    _check_policies(config, names)
    at = _later(later, dry_run=dry_run)
    if not dry_run and not yes and not (sys.stdin and sys.stdin.isatty()):  # None where it was closed
        raise UsageError("there is no terminal to ask on: add --yes to remove, or --dry-run to see what would be")
    session = Session(config, dry_run=dry_run)
    prepared = session.prepare(names, at)
    plan = prepared.plan
    code = INCOMPLETE if plan.incomplete else 0
    asks = bool(plan.in_force) and not dry_run and not yes
    if asks or not as_json:  # whoever is asked has to see what about
        kinds = {policy.kind for policy in config.cleanup.policies if policy.name in names} if names else None
        say(report.policies(config.cleanup, names or None), err=as_json)
        explain = "watchd explain NAME" + (f" -c {shlex.quote(str(config_file))}" if config_file else "")
        say(("", *report.plan(plan, dry_run=dry_run, kinds=kinds, explain=explain)), err=as_json)
    for line in session.notes(plan):
        click.echo(line, err=True)
    if dry_run or not plan.in_force:
        if as_json:
            click.echo(json.dumps(plan.as_json(None if dry_run else {}), indent=2))
        sys.exit(code)
    if asks and not click.confirm("Remove these?", err=as_json):
        click.echo("Nothing was removed.", err=as_json)
        if as_json:
            click.echo(json.dumps(plan.as_json({}), indent=2))
        sys.exit(code)
    outcomes = session.carry_out(prepared, quiet=as_json)
    if as_json:
        click.echo(json.dumps(plan.as_json(outcomes), indent=2))
    else:
        say([report.result(plan, outcomes)])
    all_good = len(outcomes) == len(plan.in_force) and all(outcome in GOOD for outcome in outcomes.values())
    sys.exit(code if all_good else INCOMPLETE)


def _later(text: str | None, *, dry_run: bool) -> Callable[[float], float] | None:
    """Return what tells from now which time is meant by "+7d" or an RFC 3339 time. Raise `UsageError`."""
    if text is None:
        return None
    if not dry_run:
        raise UsageError("--at shows the plan of a later time, by which nothing is removed now: add --dry-run")
    try:
        if text.startswith("+"):
            ahead = parse_duration(text[1:])
            return lambda now: now + ahead
        moment = parse_time(text)
    except ValueError:
        raise UsageError(
            f'--at: {text!r} is no time to come: write "+7d", or a time like "2027-01-31T04:00:00Z"'
        ) from None
    if moment < time.time():
        raise UsageError(f"--at: {text} is past: it shows the plan of a later time")
    return lambda now: max(now, moment)


def _check_policies(config: Config, names: tuple[str, ...]) -> None:
    known = [policy.name for policy in config.cleanup.policies]
    for name in names:
        if name not in known:
            raise UsageError(f"there is no policy {name!r}: there is {', '.join(known) or 'none at all'}")
