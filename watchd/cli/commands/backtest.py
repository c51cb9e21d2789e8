"""`watchd backtest`: what policies would have done in the recorded past."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from watchd.cli.options import OptionsOnly, config_option, load_config
from watchd.cli.output import print_lines
from watchd.cli.past import Looked, load_past
from watchd.cli.progress import replay_progress
from watchd.errors import UsageError

if TYPE_CHECKING:
    from watchd.cleanup.past.result import Outcome
    from watchd.config import Cleanup

# ruff: noqa: PLC0415 - see watchd/cli/__init__.py


@click.command(cls=OptionsOnly)
@config_option
@click.option(
    "--since",
    default="30d",
    metavar="30d",
    help="Begin then: a duration, a date (its midnight in cleanup.timezone), or an RFC 3339 time. Default: 30d.",
)
@click.option(
    "--policy",
    "policies",
    multiple=True,
    metavar="NAME",
    help="Judge only this policy, the others do as configured. May be given several times. Default: all.",
)
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Do the same with the [cleanup] of another configuration file, and show both side by side.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with times in UTC.")
def backtest(
    config_file: Path | None, *, since: str, policies: tuple[str, ...], against: Path | None, as_json: bool
) -> None:
    """Show what policies would have removed in the past.

    It also tells what of that was needed again. The policies judged count as enforced. This reads only the state: no
    engine is asked, and nothing is written.
    """
    from watchd.cleanup.report.past.backtest import backtest_report

    config = load_config(config_file)
    cleanups = [config.cleanup, *([load_config(against).cleanup] if against is not None else [])]
    known = {policy.name for cleanup in cleanups for policy in cleanup.policies}
    for name in policies:
        if name not in known:
            raise UsageError(f"--policy: there is no policy {name!r}; the policies are {', '.join(sorted(known))}")
    looked = load_past(config, since, cleanups)
    outcomes = [_replay(looked, cleanup, policies) for cleanup in cleanups]
    if as_json:
        found = [outcome.as_json() for outcome in outcomes]
        click.echo(json.dumps(found if against is not None else found[0], indent=2))
    else:
        labels = [str(config_file or "these settings"), str(against)]
        print_lines(backtest_report(list(zip(labels, outcomes, cleanups, strict=False)), judged=policies), wrap=True)


def _replay(looked: Looked, cleanup: "Cleanup", policies: tuple[str, ...]) -> "Outcome":
    from watchd.cleanup.past.replay import replay
    from watchd.runtime.gc import gc_paused

    with replay_progress("Replaying") as on_progress, gc_paused():
        return replay(
            looked.past,
            cleanup,
            judged=policies or None,
            since=looked.since,
            until=looked.until,
            on_progress=on_progress,
        )
