"""`watchd prune`: clean now, or show what would be cleaned."""

import json
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from watchd.cli.options import INCOMPLETE, config_option, load_config
from watchd.config import Config
from watchd.errors import StateError, UsageError
from watchd.units import parse_duration, parse_time

if TYPE_CHECKING:
    from watchd.prune.plan import Item, Outcome, Outcomes, Plan
    from watchd.prune.run import Prepared

# ruff: noqa: PLC0415 - see watchd/cli/__init__.py


@click.command()
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
    from watchd.prune import report
    from watchd.prune.plan import Outcome

    config = load_config(config_file)
    _check_policies(config, names)
    at = _later(later, dry_run=dry_run)
    if not dry_run and not yes and not (sys.stdin and sys.stdin.isatty()):  # None where it was closed
        raise UsageError("there is no terminal to ask on: add --yes to remove, or --dry-run to see what would be")
    session = _Session(config, dry_run=dry_run)
    prepared = session.prepare(names, at)
    plan = prepared.plan
    code = INCOMPLETE if plan.incomplete else 0
    asks = bool(plan.in_force) and not dry_run and not yes
    if asks or not as_json:  # whoever is asked has to see what about
        for line in (*report.policies(config.cleanup, names or None), "", *report.plan(plan, dry_run=dry_run)):
            click.echo(line, err=as_json)
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
        click.echo(report.result(plan, outcomes))
    good = (Outcome.REMOVED, Outcome.ALREADY_GONE)
    all_good = len(outcomes) == len(plan.in_force) and all(outcome in good for outcome in outcomes.values())
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
    except ValueError as error:
        raise UsageError(f'--at: {error}: write "+7d", or a time like "2027-01-31T04:00:00Z"') from None
    return lambda now: max(now, moment)


class _Session:
    """The connection and the state of one `watchd prune`."""

    def __init__(self, config: Config, *, dry_run: bool) -> None:
        from watchd.engine.client import EngineClient
        from watchd.prune.usage import Usage
        from watchd.store import Store

        self._config = config
        self._trouble: StateError | None = None
        self._client = EngineClient(config.engine, read_only=dry_run)
        directory = config.state.resolve()
        self._store: Store | None = None
        try:
            self._store = Store.open(directory)
        except StateError as error:
            if not dry_run:
                raise
            self._trouble = error
            with suppress(StateError):  # not even to be read: then everything has only just come
                self._store = Store.open_read_only(directory)
        self._usage = Usage(self._store, writable=self._trouble is None, count_unwatched=config.cleanup.count_unwatched)

    def prepare(self, names: tuple[str, ...], at: Callable[[float], float] | None) -> "Prepared":
        from watchd.prune.run import prepare

        return prepare(self._client, self._config.cleanup, self._usage, due=names or None, at=at)

    def carry_out(self, prepared: "Prepared", *, quiet: bool) -> "Outcomes":
        from watchd.prune import report
        from watchd.prune.run import carry_out

        stop = threading.Event()

        def interrupted(number: int, _frame: FrameType | None) -> None:
            stop.set()
            signal.signal(number, signal.SIG_DFL)  # who asks twice does not want to wait

        def done(item: "Item", outcome: "Outcome", detail: str) -> None:
            with suppress(OSError):  # a reader that went away ends no run
                click.echo(report.outcome(item, outcome, detail), err=quiet)

        assert self._store is not None  # noqa: S101 - without one only a dry run gets this far
        for number in (signal.SIGINT, signal.SIGTERM):  # the item in hand is finished and recorded
            signal.signal(number, interrupted)
        return carry_out(prepared, self._client, self._store, stop=stop, done=done)

    def notes(self, plan: "Plan") -> list[str]:
        """Return what to tell beside the plan."""
        notes = []
        if self._trouble is not None:
            notes.append(f"Note: clocks were not recorded: {self._trouble}")
        for kind, error in plan.incomplete.items():
            notes.append(f"Note: {kind}s could not be judged, nor what rests on them: {error}")
        notes += [
            f"Note: {item.kind} {item.name}: {item.facts['warning']}" for item in plan.items if "warning" in item.facts
        ]
        reported = sorted(
            {str(item.policy) for item in plan.items if item.action == "remove" and item.mode == "report"}
        )
        if reported:
            notes.append(
                f"Note: in report mode, so nothing of it goes: {', '.join(reported)}. To have a policy remove, set"
                ' mode = "enforce" in it, or in [cleanup] for all.'
            )
        return notes


def _check_policies(config: Config, names: tuple[str, ...]) -> None:
    known = [policy.name for policy in config.cleanup.policies]
    for name in names:
        if name not in known:
            raise UsageError(f"there is no policy {name!r}: there is {', '.join(known) or 'none at all'}")
