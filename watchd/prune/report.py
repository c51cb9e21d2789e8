"""A plan and its outcome, told to people. What would happen and what happened are never the same words."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from watchd.config import Cleanup, Keep, Policy, Pressure
from watchd.prune.account import Accounts
from watchd.prune.explain import Explanation
from watchd.prune.plan import Item, Outcome, Outcomes, Plan
from watchd.prune.policy import Verdict
from watchd.units import about, format_duration, format_size


def policies(cleanup: Cleanup, due: Sequence[str] | None) -> Iterator[str]:
    """Yield a line for each policy: what it is about, when it acts, and whether it is in force."""
    for policy in cleanup.policies:
        if due is None or policy.name in due:
            mode = cleanup.mode_of(policy)
            does = "removes" if mode == "enforce" else "reports (and leaves alone)"
            yield f"{policy.name} {does} {_selected(policy)} {_conditions(policy)}"


def _selected(policy: Policy) -> str:
    select: dict[str, Any] = policy.select.model_dump(by_alias=True, exclude_defaults=True)
    labels = select.pop("labels", {})
    words = [f"{key} {_either(values)}" for key, values in select.items()]
    words += [f"{which} of the labels {', '.join(globs)}" for which, globs in labels.items()]
    return _plural(policy.kind, 2) + (f" ({'; '.join(words)})" if words else "")


def _either(values: Any) -> str:
    return " or ".join(map(str, values)) if isinstance(values, list | tuple) else str(values).lower()


def _conditions(policy: Policy) -> str:
    words = [f"{clock} {format_duration(needs)}" for clock, needs in policy.when.items()]
    text = " and ".join(words)
    if policy.pressure:
        text += f"{', ' if text else ''}{_pressure(policy.pressure)}"
    return text + (f"{', ' if text else ''}but {_kept(policy.keep)}" if policy.keep else "")


def _pressure(pressure: Pressure) -> str:
    """Return from when until when a policy acts, and what goes first."""
    written = pressure.model_dump(exclude_defaults=True)
    marks = [
        f"{what} {written[start]} until {written[end]}"
        for start, end, what in (
            ("high", "low", "the disk is fuller than"),
            ("free_below", "free_until", "its free room is below"),
            ("inodes_high", "inodes_low", "its inodes are used to more than"),
        )
        if start in written
    ]
    first = {"lru": "the least recently used", "oldest": "the oldest", "largest": "the largest"}[pressure.order]
    return f"while {' or '.join(marks)}, {first} first"


def _kept(keep: Keep) -> str:
    """Return which of the selected ones a rule keeps."""
    words = []
    if keep.last is not None:
        of = f" per {keep.grouping.replace('_', ' ')}" if keep.grouping else ""
        words.append(f"the last {keep.last}{of}")
    if keep.within is not None:
        words.append(f"those of the last {format_duration(keep.within)}")
    if getattr(keep, "newest_tag", False):
        words.append("the newest of each repository")
    return "keeps " + " and ".join(words)


def plan(plan_: Plan, *, dry_run: bool) -> Iterator[str]:
    """Yield the lines of a plan: what would go, why, and how many of what stays for which reason."""
    for mode in ("enforce", "report"):
        items = [item for item in plan_.items if item.action != "keep" and item.mode == mode]
        if items:
            yield _heading(mode, dry_run=dry_run)
            yield from table(_row(item) for item in items)
            yield ""
    kept = Counter((item.kind, item.reason.value) for item in plan_.items if item.action == "keep")
    if kept:
        yield "Stays:"
        yield from table((f"  {count}", _plural(kind, count), reason) for (kind, reason), count in sorted(kept.items()))
        yield ""
    for kind, error in plan_.incomplete.items():
        yield f"Not judged, so nothing that rests on it is removed: {_plural(kind, 2)} ({error})"
    yield _summary(plan_, dry_run=dry_run)


def _heading(mode: str, *, dry_run: bool) -> str:
    if mode == "enforce":
        return "Would remove:" if dry_run else "To be removed:"
    return "Would remove if its policy enforced (mode is report, so it stays):"


def _row(item: Item) -> tuple[str, ...]:
    what = "tag" if item.action == "untag" else item.kind.replace("_", " ")
    size = format_size(item.bytes) if item.action == "remove" else ""
    return (f"  {what}", short_id(item), item.name, size, item.policy or "", f"{item.reason.value}{_clocks(item)}")


def _clocks(item: Item) -> str:
    clocks = item.facts.get("clocks", {})
    shown = [
        f"{clock} {about(reading['elapsed'])}, needs {format_duration(reading['needs'])}"
        for clock, reading in clocks.items()
        if reading["elapsed"] is not None
    ]
    return f" ({', '.join(shown)})" if shown else ""


def _summary(plan_: Plan, *, dry_run: bool) -> str:
    totals = plan_.totals()
    parts = [_plural(kind, counts["remove"], counted=True) for kind, counts in totals.items() if counts["remove"]]
    if not parts:
        only_told = any(item.action == "remove" for item in plan_.items)
        return "Nothing to remove: the above is only reported." if only_told else "Nothing to remove."
    size = format_size(sum(counts["bytes"] for counts in totals.values()))
    verb = "Would remove" if dry_run else "Plan:"
    return f"{verb} {' and '.join(parts)}, about {size}."


def outcome(item: Item, outcome_: Outcome, detail: str) -> str:
    """Return the line for one item that was acted on."""
    what = f"{_plural(item.kind, 1)} {item.name}" if item.action == "remove" else f"tag {item.name}"
    id_ = f" ({short_id(item)})" if item.action == "remove" else ""
    words = {
        Outcome.REMOVED: "removed" if item.action == "remove" else "took off",
        Outcome.ALREADY_GONE: "was already gone:",
        Outcome.REFUSED: "the engine refused to remove",
        Outcome.DRIFTED: "left alone, since it changed:",
        Outcome.FAILED: "failed to remove",
        Outcome.DEFERRED: "put off:",
    }
    return f"{words[outcome_]} {what}{id_}" + (f": {detail}" if detail else "")


def result(plan_: Plan, outcomes: Outcomes) -> str:
    """Return the last line of a run: what was removed, and how much of the plan was not."""
    gone = [item for item in plan_.in_force if outcomes.get(item.key) is Outcome.REMOVED and item.action == "remove"]
    counts = Counter(item.kind for item in gone)
    removed = " and ".join(_plural(kind, count, counted=True) for kind, count in counts.items()) or "nothing"
    line = f"Removed {removed}, about {format_size(sum(item.bytes for item in gone))}."
    other = Counter(outcome_.value for outcome_ in outcomes.values() if outcome_ is not Outcome.REMOVED)
    left = len(plan_.in_force) - len(outcomes)
    if left:
        other["not reached"] = left
    if other:
        line += " Of the rest: " + ", ".join(f"{count} {name}" for name, count in sorted(other.items())) + "."
    return line


def explanation(told: Explanation) -> Iterator[str]:
    """Yield the lines that explain the decision about one object."""
    item = told.item
    yield f"{item.kind} {item.name} ({short_id(item)}): {item.action}, {item.reason.value}{_clocks(item)}"
    yield f"  {told.what_next}"
    yield ""
    yield "Protections, in their order:"
    yield from table(
        (f"  {shield.reason.value}", "does not apply" if shield.facts is None else f"applies: {_facts(shield.facts)}")
        for shield in told.shields
    )
    yield ""
    about_all = _plural(item.kind, 2)
    yield f"Policies for {about_all}:" if told.opinions else f"There is no policy for {about_all}."
    yield from table((f"  {opinion.policy} ({opinion.mode})", _opinion(opinion.verdict)) for opinion in told.opinions)


def _opinion(verdict: Verdict | None) -> str:
    if verdict is None:
        return "does not select it"
    clocks = ", ".join(
        f"{clock} {'stands still or is unknown' if reading['elapsed'] is None else about(reading['elapsed'])},"
        f" needs {format_duration(reading['needs'])}"
        for clock, reading in verdict.facts.items()
    )
    return f"{'would remove it' if verdict.holds else verdict.reason.value}" + (f": {clocks}" if clocks else "")


def _facts(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_fact(value)}" for name, value in facts.items()) or "yes"


def _fact(value: Any) -> str:
    match value:
        case {"elapsed": elapsed, "needs": needs}:
            return f"{about(elapsed)}, needs {format_duration(needs)}"
        case list():
            return ", ".join(map(str, value))
    return str(value)


def accounts(told: Accounts) -> Iterator[str]:
    """Yield the lines that tell where the disk went."""
    rows = [("KIND", "COUNT", "TOTAL", "SHARED", "RECLAIMABLE", "BY POLICY")]
    for kind, account in told.kinds.items():
        count, size = account.reclaimable
        claims = (("", account.enforced), (" (only reports)", account.reported))
        by_policy = [
            f"{name}{mode}: {claimed}, {format_size(claimed_size)}"
            for mode, policies_ in claims
            for name, (claimed, claimed_size) in policies_.items()
        ]
        rows.append(
            (
                _plural(kind, 2),
                str(account.count),
                _known(account.total),
                format_size(account.shared) if account.shared else "",
                f"{format_size(size)} ({count})" if count else "",
                "; ".join(by_policy),
            )
        )
    yield from table(rows)
    for shelf in told.shelves:
        disk = shelf.disk
        yield ""
        used, available = format_size(disk.used), format_size(disk.available)
        yield f"{disk.path}: {used} used ({disk.used_share:.0%}), {available} available"
        if shelf.unaccounted is not None:
            beyond = format_size(shelf.unaccounted)
            yield f"  of which the engine does not account for {beyond}: logs, other programs' files"
    if not told.shelves:
        yield ""
        yield "The engine's disk cannot be measured from here (docs/cleaning.md says what it takes)."


def _known(size: int | None) -> str:
    return "unknown" if size is None else format_size(size)


def short_id(item: Item) -> str:
    """Return the first 12 digits of an ID, as Docker's commands show it."""
    return item.id.removeprefix("sha256:")[:12]


def _plural(kind: str, count: int, *, counted: bool = False) -> str:
    name = "build cache record" if kind == "build_cache" else kind
    word = name if count == 1 else f"{name}s"
    return f"{count} {word}" if counted else word


def table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield rows with their columns aligned."""
    rows = list(rows)
    if not rows:
        return
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
