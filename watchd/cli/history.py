"""`watchd history`: what was removed, when, why, and how many bytes that gave back."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from watchd.cli.options import config_option, load_config
from watchd.cli.output import say
from watchd.errors import UsageError
from watchd.model import Kind
from watchd.units import format_size, format_time, parse_duration, parse_time

if TYPE_CHECKING:
    from watchd.store import Recorded

# ruff: noqa: PLC0415 - see watchd/cli/__init__.py

UNKNOWN = "unknown"  # it began, and watchd was ended before it could say how that went


@click.command()
@config_option
@click.option("--since", metavar="7d", help="Only what was removed since then: a duration, or an RFC 3339 time.")
@click.option("--kind", type=click.Choice(get_args(Kind)), help="Only removals of this kind.")
@click.option("--json", "as_json", is_flag=True, help="Print an array of rows as JSON.")
def history(config_file: Path | None, *, since: str | None, kind: Kind | None, as_json: bool) -> None:
    """Tell what was removed, when and why. Only the state is read: no engine is asked, and a daemon may run."""
    from watchd.store import Store

    config = load_config(config_file)
    begin = _moment(since, time.time()) if since is not None else 0.0
    store = Store.open_read_only(config.state.resolve())
    rows: list[Recorded] = []
    if store is not None:
        try:
            rows = store.removals(since=begin, kind=kind)
        finally:
            store.close()
    if as_json:
        click.echo(json.dumps([_as_json(row) for row in rows], indent=2))
    else:
        say(_lines(rows))


def _moment(text: str, now: float) -> float:
    try:
        return parse_time(text) if "T" in text else now - parse_duration(text)
    except ValueError:
        raise UsageError(
            f'--since: {text!r} is neither a duration like "7d" nor a time like "2027-01-31T04:00:00Z"'
        ) from None


def _as_json(row: "Recorded") -> dict[str, Any]:
    removal = row.removal
    return {
        "time": format_time(removal.time),
        "plan_id": removal.plan_id,
        "kind": removal.kind,
        "id": removal.id,
        "name": removal.name,
        "names": list(removal.names),
        "action": removal.action,
        "labels": dict(removal.labels),
        "policy": removal.policy,
        "reason": removal.reason,
        "facts": dict(removal.facts),
        "bytes": removal.bytes,
        "outcome": row.outcome or UNKNOWN,
        "detail": row.detail,
    }


def _lines(rows: "list[Recorded]") -> list[str]:
    from watchd.prune.report import Line, table

    if not rows:
        return ["Nothing was removed."]
    heading = ("TIME", "KIND", "ID", "NAME", "SIZE", "POLICY", "REASON", "OUTCOME")
    first, *lines = table([heading, *map(_cells, rows)])
    removed = [row.removal for row in rows if row.outcome == "removed" and row.removal.action == "remove"]
    freed = format_size(sum(removal.bytes for removal in removed))
    total = Line(f"Removed {len(removed)} of {len(rows)} tried, about {freed}.", "total")
    return [Line(first, "heading"), *lines, "", total]


def _cells(row: "Recorded") -> tuple[str, ...]:
    removal = row.removal
    what = "tag" if removal.action == "untag" else removal.kind
    size = format_size(removal.bytes) if removal.action == "remove" else ""
    outcome = (row.outcome or UNKNOWN) + (f": {row.detail}" if row.detail else "")
    short = removal.id.removeprefix("sha256:")[:12]
    return (format_time(removal.time), what, short, removal.name, size, removal.policy, removal.reason, outcome)
