"""`watchd advise`: thresholds from the recorded past, with the evidence."""

import json
from pathlib import Path

import click

from watchd.cli.options import OptionsOnly, config_option, load_config
from watchd.cli.output import print_lines
from watchd.cli.parallel import each
from watchd.cli.past import load_past
from watchd.cli.progress import replay_progress
from watchd.model import Kind

# ruff: noqa: PLC0415 - see watchd/cli/__init__.py


@click.command(cls=OptionsOnly)
@config_option
@click.option(
    "--kind", type=click.Choice(["container", "image", "network", "volume"]), help="Only this kind. Default: all."
)
@click.option("--regrets", default=0, type=click.IntRange(min=0), help="Accept so many regrets. Default: 0.")
@click.option(
    "--since",
    default="30d",
    metavar="30d",
    help="Begin then: a duration, a date (its midnight in cleanup.timezone), or an RFC 3339 time. Default: 30d.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with times in UTC.")
def advise(config_file: Path | None, *, kind: Kind | None, regrets: int, since: str, as_json: bool) -> None:
    """Recommend how long to keep what nobody uses, by the past.

    For each threshold this shows what would have gone, and what of it was needed again. It recommends the smallest one
    with at most so many regrets, as a policy to paste. This reads only the state: no engine is asked, and nothing is
    written.
    """
    from watchd.cleanup.past import advice
    from watchd.cleanup.report.past.advice import advice_as_json, advice_report
    from watchd.runtime.gc import gc_paused

    config = load_config(config_file)
    kinds = advice.KINDS if kind is None else (kind,)
    longest = advice.with_threshold(config.cleanup, kinds, max(advice.THRESHOLDS))
    looked = load_past(config, since, [longest])
    with replay_progress("Replaying") as on_progress, gc_paused():
        found = advice.advise(
            looked.past,
            config.cleanup,
            kinds=kinds,
            most_regrets=regrets,
            since=looked.since,
            until=looked.until,
            each=each,
            on_progress=on_progress,
        )
    if as_json:
        click.echo(json.dumps(advice_as_json(found), indent=2))
    else:
        print_lines(advice_report(found))
