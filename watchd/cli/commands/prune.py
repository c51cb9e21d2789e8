"""`watchd prune`: clean now, or show what would be cleaned."""

import json
import shlex
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from watchd.cli.options import INCOMPLETE, OptionsOnly, config_option, load_config
from watchd.cli.session import Session
from watchd.config import Config
from watchd.errors import StateError, UsageError
from watchd.units import parse_future

if TYPE_CHECKING:
    from watchd.cleanup.run.run import RunResult
    from watchd.cli.prune_run import Options

# ruff: noqa: PLC0415 - see watchd/cli/__init__.py


@click.command(cls=OptionsOnly)
@config_option
@click.option("-n", "--dry-run", is_flag=True, help="Show the plan and stop. The engine is only read.")
@click.option(
    "--at",
    "later",
    metavar="+7d",
    help="With --dry-run: show the plan for a later time. It is a duration from now, a date (its midnight in"
    " cleanup.timezone), or an RFC 3339 time.",
)
@click.option(
    "--policy", "names", metavar="NAME", multiple=True, help="Judge only this policy. Can be given several times."
)
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before removing.")
@click.option("-q", "--quiet", is_flag=True, help="Print removals and failures only.")
def prune(  # noqa: PLR0913 - a parameter for each option
    config_file: Path | None,
    *,
    dry_run: bool,
    later: str | None,
    names: tuple[str, ...],
    as_json: bool,
    yes: bool,
    quiet: bool,
) -> None:
    """Clean now by the policies that enforce. Policies in report mode only report.

    It asks before it removes anything. Without a terminal to ask on, it needs --yes.
    """
    config = load_config(config_file)
    _check_policies(config, names)
    at = _parse_at(later, config.cleanup.timezone, dry_run=dry_run)
    if quiet and dry_run:
        raise UsageError("--quiet prints removals and failures, and a dry run has none: leave one of them out")
    if not dry_run and not yes and not (sys.stdin and sys.stdin.isatty()):  # None if it was closed
        raise UsageError("there is no terminal to ask on: add --yes to remove, or --dry-run to see what would be")
    from watchd.cli.prune_run import Options

    explain = "watchd explain NAME" + (f" -c {shlex.quote(str(config_file))}" if config_file else "")
    options = Options(names, explain, dry_run=dry_run, as_json=as_json, yes=yes, quiet=quiet)
    result = _run(config, options, at)
    if as_json:
        outcomes = None if dry_run else result.outcomes or {}
        click.echo(json.dumps(result.prepared.plan.as_json(outcomes), indent=2))
    sys.exit(0 if result.succeeded else INCOMPLETE)


def _run(config: Config, options: "Options", at: Callable[[float], float] | None) -> "RunResult":
    """Run, or only plan in a dry run."""
    from watchd.cleanup.plan.planner import Trigger
    from watchd.cleanup.run.planning import observe_and_plan, take_view
    from watchd.cleanup.run.run import RunContext, RunResult, run_cleanup
    from watchd.cli.prune_run import PruneRun

    trigger = Trigger(due=options.names or None)
    with (
        Session(config, read_only=options.dry_run) as session,
        closing(PruneRun(config.cleanup, options, session.state_error)) as run,
    ):
        if options.dry_run or session.store is None:
            view = take_view(session.client, config.cleanup, session.observer, trigger)
            prepared = observe_and_plan(view, config.cleanup, session.observer, trigger=trigger, at=at)
            run.on_plan(prepared)
            return RunResult(prepared, None)
        result = run_cleanup(RunContext(session.client, session.store, session.observer, config.cleanup), run, trigger)
        run.show_result(result)
        with suppress(StateError):  # without a daemon nothing else trims the state
            before = time.time() - config.state.keep_history
            session.store.trim(before=before, most=config.state.max_size)
        return result


def _parse_at(text: str | None, timezone: str, *, dry_run: bool) -> Callable[[float], float] | None:
    """Parse a time to come into a function of now. Raise `UsageError`."""
    if text is None:
        return None
    if not dry_run:
        raise UsageError("--at shows the plan of a later time, by which nothing is removed now: add --dry-run")
    try:
        moment = parse_future(text, time.time(), timezone)
    except ValueError as error:
        raise UsageError(f"--at: {error}") from None
    if moment < time.time():
        raise UsageError(f"--at: {text} is past: it shows the plan of a later time")
    return lambda now: max(now, moment)


def _check_policies(config: Config, names: tuple[str, ...]) -> None:
    known = [policy.name for policy in config.cleanup.policies]
    for name in names:
        if name not in known:
            raise UsageError(f"--policy: there is no policy {name!r}; the policies are {', '.join(known)}")
