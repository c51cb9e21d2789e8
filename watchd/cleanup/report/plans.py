"""Plans and outcomes in words."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from watchd.cleanup.plan.plan import Item, Outcome, Outcomes, Plan
from watchd.cleanup.plan.reasons import Reason
from watchd.cleanup.report.tables import Fitting, table
from watchd.cleanup.report.words import Line, Tone, clocks, counted, full_name, id_in_brackets, joined, plural, short_id
from watchd.config import Mode
from watchd.model import Kind, total
from watchd.units import format_about, format_amount, format_size

_MOST_ROWS = 50  # a longer plan shows the first few of each group
_FIRST = 5
_WORTH_MEASURING = 1_000_000  # bytes; with less, other programs' writes are most of the difference
_NO_DISKS: Mapping[str, int] = {}


def plan(
    plan_: Plan,
    *,
    dry_run: bool,
    kinds: Collection[Kind] | None = None,
    explain: str = "watchd explain NAME",
    cells: int | None = None,
) -> Iterator[str]:
    """Yield what would be removed and why, then how many objects stay (of these `kinds`) for which reason.

    `explain` is the command that explains one object, `cells` the width of the terminal: None is no terminal.
    """
    fitting = None if cells is None else Fitting(cells, name=2, drop=(1, 4))
    for mode in ("enforce", "report"):
        items = [item for item in plan_.items if item.action != "keep" and item.mode == mode]
        if items:
            yield _heading(mode, dry_run=dry_run)
            tone: Tone = "goes" if mode == "enforce" else "reported"
            yield from (Line(row, tone) for row in _rows(items, plan_.created_at, fitting))
            yield ""
    kept = Counter(
        (item.kind, item.reason.value)
        for item in plan_.items
        if item.action == "keep" and (kinds is None or item.kind in kinds)
    )
    if kept:
        yield Line(f"Stays (`{explain}` tells why, --json lists each):", "heading")
        yield from table((f"  {count}", plural(kind, count), reason) for (kind, reason), count in sorted(kept.items()))
        yield from (f"  {told}" for told in _in_vain(plan_))
        yield ""
    for kind, error in plan_.incomplete.items():
        told = f"Not judged, so nothing that rests on it is removed: {plural(kind, 2)} ({error})"
        yield Line(told, "trouble")
    yield from (Line(line, "trouble") for line in without_pressure(plan_.without_pressure))
    yield Line(_summary(plan_, dry_run=dry_run), "total")


def without_pressure(policies: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each reason why policies cannot act under disk pressure; `policies` maps each to its reason."""
    for why in dict.fromkeys(policies.values()):
        names = [name for name, reason in policies.items() if reason == why]
        yield f"No disk pressure for {joined(names)}: {why}"


def _heading(mode: Mode, *, dry_run: bool) -> str:
    if mode == "report":
        return Line("Would remove if its policy enforced (mode is report, so it stays):", "heading")
    return Line("Would remove:" if dry_run else "To be removed:", "heading")


def _rows(items: Sequence[Item], now: float, fitting: Fitting | None) -> Iterator[str]:
    """Yield a line for each item; in a long plan for the first few of each kind, policy and reason."""
    if len(items) <= _MOST_ROWS:
        yield from table((_row(item, now) for item in items), fitting)
        return
    groups: dict[tuple[str, str | None, str], list[Item]] = defaultdict(list)
    for item in items:
        groups[item.kind, item.policy, item.reason].append(item)
    shown = [item for group in groups.values() for item in group[:_FIRST]]
    lines = dict(zip((item.key for item in shown), table((_row(item, now) for item in shown), fitting), strict=True))
    for (kind, policy, reason), group in groups.items():
        yield from (lines[item.key] for item in group[:_FIRST])
        further = group[_FIRST:]
        if further:
            what = [counted(kind, sum(item.action == "remove" for item in further))]
            tags = sum(item.action == "untag" for item in further)
            size = _size(further)
            told = joined([*what, counted("tag", tags)] if tags else what)
            yield f"    and {told} more, {size}: {policy}, {reason} (--json lists each)"


def _row(item: Item, now: float) -> tuple[str, ...]:
    what = "tag" if item.action == "untag" else plural(item.kind, 1)
    size = _size([item]) if item.action == "remove" else ""
    name = full_name(item.name, item.facts, now)
    return (f"  {what}", short_id(item), name, size, item.policy or "", f"{item.reason.value}{clocks(item)}")


def _size(items: Sequence[Item]) -> str:
    """Return the bytes that items free, in words."""
    freed = total(items)
    return format_amount(freed.bytes, at_least=freed.at_least)


def _about(items: Sequence[Item]) -> str:
    """Return the bytes that items free, for a sentence."""
    freed = total(items)
    return format_about(freed.bytes, at_least=freed.at_least)


def _summary(plan_: Plan, *, dry_run: bool) -> str:
    totals = plan_.totals()
    parts = [counted(kind, counts["remove"]) for kind, counts in totals.items() if counts["remove"]]
    if not parts:
        only_told = any(item.action == "remove" for item in plan_.items)
        return "Nothing to remove: the above is only reported." if only_told else "Nothing to remove."
    return f"{'Would remove' if dry_run else 'Plan:'} {joined(parts)}, {_about(plan_.in_force)}."


def nothing_removed(plan_: Plan) -> str:
    """Return one line about a plan that removes nothing: policies only report, or wait for the end of quiet hours."""
    parts = ["Nothing to remove"]
    for given, words in ((_is_reported, "would go if enforced"), (_is_delayed, "would go but for quiet hours")):
        items = [item for item in plan_.items if given(item)]
        if items:
            of = joined(counted(*each) for each in Counter(item.kind for item in items).items())
            parts.append(f"{of} {words}, {_about(items)}")
    parts += _in_vain(plan_)
    parts += [
        f"not judged, nor what rests on them: {plural(kind, 2)} ({error})" for kind, error in plan_.incomplete.items()
    ]
    parts += [line.replace("No", "no", 1) for line in without_pressure(plan_.without_pressure)]
    return "; ".join(parts) + "."


def _in_vain(plan_: Plan) -> Iterator[str]:
    """Yield how many objects would go under pressure and free nothing, and why."""
    told = Counter(
        (item.kind, item.facts.get("why", "it is empty")) for item in plan_.items if item.reason is Reason.FREES_NOTHING
    )
    for (kind, why), count in told.items():
        yield f"the removal of {counted(kind, count)} would free nothing: {why}"


def _is_reported(item: Item) -> bool:
    return item.action == "remove" and item.mode == "report"


def _is_delayed(item: Item) -> bool:
    return item.reason is Reason.QUIET_HOURS


def outcome(item: Item, outcome_: Outcome, detail: str) -> str:
    """Return the line about one item that was acted on."""
    what = (
        f"{plural(item.kind, 1)} {full_name(item.name, item.facts)}" if item.action == "remove" else f"tag {item.name}"
    )
    id_ = id_in_brackets(item) if item.action == "remove" else ""
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


def result(plan_: Plan, outcomes: Outcomes, freed: Mapping[str, int] = _NO_DISKS) -> str:
    """Return the last line of a run: the removals, and the number of other items by outcome.

    `freed` is what the disks themselves got back, by path.
    """
    gone = [item for item in plan_.in_force if outcomes.get(item.key) is Outcome.REMOVED and item.action == "remove"]
    removed = joined(counted(*each) for each in Counter(item.kind for item in gone).items())
    line = f"Removed {removed}, {_about(gone)}." if gone else "Removed nothing."
    line += disk_gain(total(gone).bytes, freed)
    other = Counter(outcome_.value for outcome_ in outcomes.values() if outcome_ is not Outcome.REMOVED)
    left = len(plan_.in_force) - len(outcomes)
    if left:
        other["not reached"] = left
    if other:
        line += " Of the rest: " + ", ".join(f"{count} {name}" for name, count in sorted(other.items())) + "."
    return Line(line, "total")


def disk_gain(estimate: int, freed: Mapping[str, int]) -> str:
    """Return sentences about what disks got back, by path, empty for an `estimate` of few bytes.

    Other programs write to them as well.
    """
    if estimate < _WORTH_MEASURING:
        return ""
    return "".join(
        f" {path} has {format_size(abs(size))} {'more' if size >= 0 else 'less'} available than before."
        for path, size in sorted(freed.items())
    )
