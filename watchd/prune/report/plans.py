"""A plan, and what became of it."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence

from watchd.config import Mode
from watchd.model import Kind
from watchd.prune.plan import Item, Outcome, Outcomes, Plan
from watchd.prune.report.words import Line, Tone, clocks, counted, joined, plural, short_id, table
from watchd.units import format_size

_MOST_ROWS = 50  # of a plan: of more the first of each group are shown
_FIRST = 5


def plan(
    plan_: Plan, *, dry_run: bool, kinds: Collection[Kind] | None = None, explain: str = "watchd explain NAME"
) -> Iterator[str]:
    """Yield the lines of a plan: what would go, why, and how many of what stays (of some `kinds`) for which reason.

    `explain`: the command that explains one of them.
    """
    for mode in ("enforce", "report"):
        items = [item for item in plan_.items if item.action != "keep" and item.mode == mode]
        if items:
            yield _heading(mode, dry_run=dry_run)
            tone: Tone = "goes" if mode == "enforce" else "reported"
            yield from (Line(row, tone) for row in _rows(items))
            yield ""
    kept = Counter(
        (item.kind, item.reason.value)
        for item in plan_.items
        if item.action == "keep" and (kinds is None or item.kind in kinds)
    )
    if kept:
        yield Line(f"Stays (`{explain}` tells why, --json lists each):", "heading")
        yield from table((f"  {count}", plural(kind, count), reason) for (kind, reason), count in sorted(kept.items()))
        yield ""
    for kind, error in plan_.incomplete.items():
        told = f"Not judged, so nothing that rests on it is removed: {plural(kind, 2)} ({error})"
        yield Line(told, "trouble")
    yield Line(_summary(plan_, dry_run=dry_run), "total")


def _heading(mode: Mode, *, dry_run: bool) -> str:
    if mode == "report":
        return Line("Would remove if its policy enforced (mode is report, so it stays):", "heading")
    return Line("Would remove:" if dry_run else "To be removed:", "heading")


def _rows(items: Sequence[Item]) -> Iterator[str]:
    """Yield a line for each item; of a long plan for the first of those that one policy takes for one reason."""
    if len(items) <= _MOST_ROWS:
        yield from table(map(_row, items))
        return
    groups: dict[tuple[str, str | None, str], list[Item]] = defaultdict(list)
    for item in items:
        groups[item.kind, item.policy, item.reason].append(item)
    shown = [item for group in groups.values() for item in group[:_FIRST]]
    lines = dict(zip((item.key for item in shown), table(map(_row, shown)), strict=True))
    for (kind, policy, reason), group in groups.items():
        yield from (lines[item.key] for item in group[:_FIRST])
        further = group[_FIRST:]
        if further:
            what = [counted(kind, sum(item.action == "remove" for item in further))]
            tags = sum(item.action == "untag" for item in further)
            size = format_size(sum(item.bytes for item in further))
            told = joined([*what, counted("tag", tags)] if tags else what)
            yield f"    and {told} more, {size}: {policy}, {reason} (--json lists each)"


def _row(item: Item) -> tuple[str, ...]:
    what = "tag" if item.action == "untag" else plural(item.kind, 1)
    size = format_size(item.bytes) if item.action == "remove" else ""
    return (f"  {what}", short_id(item), item.name, size, item.policy or "", f"{item.reason.value}{clocks(item)}")


def _summary(plan_: Plan, *, dry_run: bool) -> str:
    totals = plan_.totals()
    parts = [counted(kind, counts["remove"]) for kind, counts in totals.items() if counts["remove"]]
    if not parts:
        only_told = any(item.action == "remove" for item in plan_.items)
        return "Nothing to remove: the above is only reported." if only_told else "Nothing to remove."
    size = format_size(sum(counts["bytes"] for counts in totals.values()))
    return f"{'Would remove' if dry_run else 'Plan:'} {joined(parts)}, about {size}."


def outcome(item: Item, outcome_: Outcome, detail: str) -> str:
    """Return the line for one item that was acted on."""
    what = f"{plural(item.kind, 1)} {item.name}" if item.action == "remove" else f"tag {item.name}"
    id_ = f" ({short_id(item)})" if item.action == "remove" else ""
    words = {
        Outcome.REMOVED: "removed" if item.action == "remove" else "took off",
        Outcome.ALREADY_GONE: "was already gone:",
        Outcome.REFUSED: "the engine refused to remove",
        Outcome.DRIFTED: "left alone, since it changed:",
        Outcome.FAILED: "failed to remove",
        Outcome.DEFERRED: "put off:",
    }
    tone: Tone = "removed" if outcome_ in (Outcome.REMOVED, Outcome.ALREADY_GONE) else "trouble"
    return Line(f"{words[outcome_]} {what}{id_}" + (f": {detail}" if detail else ""), tone)


def result(plan_: Plan, outcomes: Outcomes) -> str:
    """Return the last line of a run: what was removed, and how much of the plan was not."""
    gone = [item for item in plan_.in_force if outcomes.get(item.key) is Outcome.REMOVED and item.action == "remove"]
    removed = joined(counted(*each) for each in Counter(item.kind for item in gone).items())
    line = f"Removed {removed}, about {format_size(sum(item.bytes for item in gone))}." if gone else "Removed nothing."
    other = Counter(outcome_.value for outcome_ in outcomes.values() if outcome_ is not Outcome.REMOVED)
    left = len(plan_.in_force) - len(outcomes)
    if left:
        other["not reached"] = left
    if other:
        line += " Of the rest: " + ", ".join(f"{count} {name}" for name, count in sorted(other.items())) + "."
    return Line(line, "total")
