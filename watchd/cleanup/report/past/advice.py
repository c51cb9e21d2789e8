"""Thresholds by evidence, as text and JSON."""

from collections.abc import Iterator
from textwrap import wrap
from typing import Any

from watchd.cleanup.past.advice import FEWEST_DECIDED, Advice, KindAdvice, Threshold, clock_of, name_of
from watchd.cleanup.past.marks import DiskAdvice
from watchd.cleanup.report.tables import table
from watchd.cleanup.report.words import Line, counted, joined, plural
from watchd.units import format_duration, format_local_time, format_size, format_time, short_duration

_NO_VALUE = ("-",) * 5
_TOO_LITTLE = (
    f"Too little is known to recommend anything. A threshold needs at least {FEWEST_DECIDED} decided removals, and"
    " may be at most half the watched time."
)


def advice_report(advice: Advice) -> Iterator[str]:
    """Yield the time looked at, then thresholds and policy of each kind, kinds that are too little known, and disks."""
    span = short_duration(advice.until - advice.since)
    yield f"From {format_local_time(advice.since)} to {format_local_time(advice.until)}, {span}:"
    if advice.unwatched >= 1:
        yield f"  {short_duration(advice.unwatched)} of it were not watched and are left out."
    window = short_duration(advice.window)
    yield f"  A removal counts as a regret if the object was needed again within {window}."
    yield "  The build cache has no events, so nothing is known of its past."
    unknown = [of_kind for of_kind in advice.kinds if not any(of_kind.thresholds.values())]
    for of_kind in advice.kinds:
        if of_kind not in unknown:
            yield ""
            yield from _kind(of_kind, advice)
    if unknown:
        yield ""
        yield Line(joined(plural(of_kind.kind, 2) for of_kind in unknown).capitalize(), "heading")
        yield from wrap(_TOO_LITTLE, 80, initial_indent="  ", subsequent_indent="  ")
    for disk in advice.disks:
        yield ""
        yield from _disk(disk)


def advice_as_json(advice: Advice) -> dict[str, Any]:
    """Return the published form."""
    return {
        "since": format_time(advice.since),
        "until": format_time(advice.until),
        "unwatched_seconds": round(advice.unwatched),
        "regret_window_seconds": round(advice.window),
        "kinds": {
            each.kind: {
                "thresholds": [_threshold_as_json(seconds, of) for seconds, of in each.thresholds.items()],
                "recommended": None
                if each.recommended is None
                else {"seconds": round(each.recommended.seconds), "toml": as_toml(each, advice)},
                "today_seconds": [round(seconds) for seconds in each.today],
                "mean_bytes": round(each.without.mean),
                "note": _note_on(each, advice),
            }
            for each in advice.kinds
        },
        "disks": [
            {
                "path": disk.path,
                "size_bytes": disk.size,
                "peak_bytes": disk.peak,
                "growth_bytes": disk.growth,
                "high_percent": disk.high,
                "low_percent": disk.low,
            }
            for disk in advice.disks
        ],
    }


def as_toml(of_kind: KindAdvice, advice: Advice) -> str:
    """Return the recommended policy as in a configuration, with its evidence."""
    best = of_kind.recommended
    assert best is not None  # noqa: S101 - nothing is written of nothing
    unit = "stopped" if of_kind.kind == "container" else "without use"
    verb = "was" if best.regrets == 1 else "were"
    return (
        f"# In {short_duration(advice.watched)} {best.regrets} of {counted(of_kind.kind, best.decided)} {verb} needed"
        f" again after {format_duration(best.seconds)} {unit}.\n"
        "[[cleanup.policies]]\n"
        f'name = "{name_of(of_kind.kind)}"\n'
        f'kind = "{of_kind.kind}"\n'
        f'when.{clock_of(of_kind.kind)} = "{format_duration(best.seconds)}"\n'
    )


def _kind(of_kind: KindAdvice, advice: Advice) -> Iterator[str]:
    yield Line(plural(of_kind.kind, 2).capitalize(), "heading")
    if of_kind.kind != "network":
        taken = of_kind.without
        yield f"  With nothing removed: {format_size(taken.mean)} on average, {format_size(taken.peak)} at most."
    rows: list[tuple[str, ...]] = [
        (clock_of(of_kind.kind), "REMOVED", "DECIDED", "REGRETS", "FETCHED AGAIN", "MEAN SIZE", "")
    ]
    rows += [
        (format_duration(seconds), *_cells(of), _note(seconds, of, of_kind))
        for seconds, of in of_kind.thresholds.items()
    ]
    yield from (f"  {line}" for line in table(rows))
    yield ""
    if (note := _note_on(of_kind, advice)) is not None:
        yield f"  {note}"
        return
    yield from as_toml(of_kind, advice).splitlines()


def _note_on(of_kind: KindAdvice, advice: Advice) -> str | None:
    """Return why nothing is recommended, None where something is."""
    if of_kind.recommended is not None:
        return None
    if any(of_kind.thresholds.values()):
        most = counted("regret", advice.most_regrets)
        return f"Each threshold with a value had more than {most}: nothing is recommended."
    return _TOO_LITTLE


def _cells(of: Threshold | None) -> tuple[str, ...]:
    if of is None:
        return _NO_VALUE
    counts = (str(of.removed), str(of.decided), str(of.regrets))
    return (*counts, format_size(of.regretted_bytes), format_size(of.mean))


def _note(seconds: float, of: Threshold | None, of_kind: KindAdvice) -> str:
    notes = ["recommended"] if of is not None and of is of_kind.recommended else []
    notes += ["today"] if seconds in of_kind.today else []
    return ", ".join(notes)


def _disk(disk: DiskAdvice) -> Iterator[str]:
    yield Line(f"Disk {disk.path}", "heading")
    yield f"  At most {disk.peak / max(1, disk.size):.0%} of {format_size(disk.size)} were used."
    if disk.high is None:
        yield "  It was measured too seldom to recommend marks."
        return
    yield f"  It never grew by more than {format_size(disk.growth)} in an hour, and these marks leave twice that:"
    yield f'pressure.high = "{disk.high}%"'
    yield f'pressure.low = "{disk.low}%"'


def _threshold_as_json(seconds: float, of: Threshold | None) -> dict[str, int | None]:
    return {
        "seconds": round(seconds),
        "removed": None if of is None else of.removed,
        "decided": None if of is None else of.decided,
        "mean_bytes": None if of is None else round(of.mean),
        "regrets": None if of is None else of.regrets,
        "regretted_bytes": None if of is None else of.regretted_bytes,
    }
