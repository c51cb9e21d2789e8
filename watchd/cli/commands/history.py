"""`watchd history`: list removals with time, reason and bytes freed."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from watchd.cli.options import OptionsOnly, config_option, load_config
from watchd.cli.output import print_lines, terminal_cells
from watchd.errors import UsageError
from watchd.model import Kind, total
from watchd.units import (
    format_about,
    format_amount,
    format_duration,
    format_local_time,
    format_time,
    parse_past,
    short_duration,
)

if TYPE_CHECKING:
    from watchd.store import Recorded, Tally

_MOST_RUNS = 10  # whose disks are told

# ruff: noqa: PLC0415 - see watchd/cli/__init__.py


@click.command(cls=OptionsOnly)
@config_option
@click.option(
    "--since",
    metavar="7d",
    help="Only removals since then: a duration, a date (its midnight in cleanup.timezone), or an RFC 3339 time.",
)
@click.option("--kind", type=click.Choice(get_args(Kind)), help="Only removals of this kind.")
@click.option("--regretted", is_flag=True, help="Only what was needed again, also what would have been removed.")
@click.option("--json", "as_json", is_flag=True, help="Print an array of rows as JSON, with times in UTC.")
@click.option("--utc", is_flag=True, help="Show times in UTC. Default: this machine's time zone.")
def history(  # noqa: PLR0913 - its options
    config_file: Path | None, *, since: str | None, kind: Kind | None, regretted: bool, as_json: bool, utc: bool
) -> None:
    """List what was removed, when, by what and why. This reads only the state, also while a daemon runs."""
    from watchd.store import Store

    config = load_config(config_file)
    try:
        begin = parse_past(since, time.time(), config.cleanup.timezone) if since is not None else 0.0
    except ValueError as error:
        raise UsageError(f"--since: {error}") from None
    store = Store.open_read_only(config.state.resolve())
    rows: list[Recorded] = []
    tally: Tally | None = None
    if store is not None:
        try:
            rows = store.removals(since=begin, kind=kind, regretted=regretted)
            tally = store.tally(config.cleanup.regret_window, since=begin, kind=kind) if regretted else None
        finally:
            store.close()
    if as_json:
        click.echo(json.dumps([row.as_json() for row in rows], indent=2))
    else:
        shown = format_time if utc else format_local_time
        lines = (
            _regrets(rows, shown) + _decided(tally, config.cleanup.regret_window)
            if regretted
            else _lines(rows, time.time(), shown, of_kind=kind is not None)
        )
        print_lines(lines)


def _lines(rows: "list[Recorded]", now: float, shown: Callable[[float], str], *, of_kind: bool) -> list[str]:
    from watchd.cleanup.report import Fitting, Line, full_name, table

    def cells(row: "Recorded") -> tuple[str, ...]:
        removal = row.removal
        kind = "tag" if removal.action == "untag" else removal.kind
        size = format_amount(removal.bytes, at_least=removal.at_least) if removal.action == "remove" else ""
        outcome = row.ending + (f": {row.detail}" if row.detail else "")
        short = removal.id.removeprefix("sha256:")[:12]
        name = full_name(removal.name, removal.facts, now)
        by = removal.trigger or "unknown"
        again = "" if row.regretted_at is None else f"after {short_duration(row.regretted_at - removal.time)}"
        return (shown(removal.time), kind, short, name, size, by, removal.policy, removal.reason, outcome, again)

    if not rows:
        return ["Nothing was removed."]
    heading = ("TIME", "KIND", "ID", "NAME", "SIZE", "TRIGGER", "POLICY", "REASON", "OUTCOME", "NEEDED AGAIN")
    room = terminal_cells()
    first_to_go = () if any(row.regretted_at for row in rows) else (9,)  # a column without a text
    fitting = None if room is None else Fitting(room, name=3, drop=(*first_to_go, 2, 5, 6, 1))
    first, *lines = table([heading, *map(cells, rows)], fitting)
    tried = [row for row in rows if row.removal.action == "remove"]  # removing a tag frees nothing
    removed = [row.removal for row in tried if row.outcome == "removed"]
    freed = total(removed)
    about = format_about(freed.bytes, at_least=freed.at_least)
    last = Line(f"Removed {len(removed)} of {len(tried)} tried, {about}.", "total")
    return [Line(first, "heading"), *lines, "", last, *([] if of_kind else _measured(rows, shown))]


def _regrets(rows: "list[Recorded]", shown: Callable[[float], str]) -> list[str]:
    """Return what was needed again, and why."""
    from watchd.cleanup.report import Fitting, Line, full_name, table

    def cells(row: "Recorded") -> tuple[str, ...]:
        removal = row.removal
        size = format_amount(removal.bytes, at_least=removal.at_least)
        after = short_duration((row.regretted_at or removal.time) - removal.time)
        name = full_name(removal.name, removal.facts)
        return (shown(removal.time), removal.kind, name, size, removal.policy, removal.mode, after, row.needed_for)

    if not rows:
        return ["Nothing was needed again."]
    heading = ("TIME", "KIND", "NAME", "SIZE", "POLICY", "MODE", "AFTER", "WHY")
    room = terminal_cells()
    fitting = None if room is None else Fitting(room, name=2, drop=(5, 1))
    first, *lines = table([heading, *map(cells, rows)], fitting)
    again = total(row.removal for row in rows)
    about = format_about(again.bytes, at_least=again.at_least)
    return [Line(first, "heading"), *lines, "", Line(f"Needed again: {len(rows)}, {about}.", "total")]


def _decided(tally: "Tally | None", window: float) -> list[str]:
    """Return how many removals were not needed again, and of how many that is not known yet."""
    if tally is None or not tally.not_regretted + tally.undecided:
        return []
    undecided = f"undecided: {tally.undecided}, with less than {format_duration(window)} of watched time after them"
    return [f"Not needed again: {tally.not_regretted}; {undecided}."]


def _measured(rows: "list[Recorded]", shown: Callable[[float], str]) -> list[str]:
    """Return what the last runs that measured it got back, beside what they had estimated."""
    from watchd.cleanup import report

    runs: dict[str, list[Recorded]] = {}
    for row in rows:
        runs.setdefault(row.removal.plan_id, []).append(row)
    lines = []
    for of_run in runs.values():
        freed = total(row.removal for row in of_run if row.outcome == "removed")
        if gain := report.disk_gain(freed.bytes, of_run[0].disk_freed):
            about = format_about(freed.bytes, at_least=freed.at_least)
            lines.append(f"Run of {shown(of_run[0].removal.time)}: {about}.{gain}")
    return lines[-_MOST_RUNS:]
