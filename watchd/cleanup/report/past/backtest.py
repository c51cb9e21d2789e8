"""The report of `watchd backtest`."""

from collections.abc import Collection, Iterator, Sequence

from watchd.cleanup.past.result import Course, Judged, NeededAgain, Outcome
from watchd.cleanup.report.tables import table
from watchd.cleanup.report.words import Line, joined
from watchd.config import Cleanup
from watchd.units import format_local_time, format_size, short_duration

_WORST = 10  # regrets that are listed

Replayed = tuple[str, Outcome, Cleanup]
"""Name of settings, the result of their replay, and the settings."""


def backtest_report(replayed: Sequence[Replayed], *, judged: Collection[str]) -> Iterator[str]:
    """Yield the time looked at, then for each of the settings: policies, what is taken, regrets."""
    outcome = replayed[0][1]
    span = outcome.until - outcome.since
    yield f"From {format_local_time(outcome.since)} to {format_local_time(outcome.until)}, {short_duration(span)}:"
    if outcome.unwatched >= 1:
        yield f"  {short_duration(outcome.unwatched)} of it were not watched and are left out."
    for window in dict.fromkeys(short_duration(each.window) for _, each, _ in replayed):
        yield f"  A removal counts as a regret if the object was needed again within {window}."
    for label, each, cleanup in replayed:
        yield ""
        if len(replayed) > 1:
            yield Line(label, "heading")
        yield from _assumed(each, cleanup, judged)
        yield from _policies(each.policies)
    yield ""
    yield from _usage(replayed)
    for label, each, _ in replayed:
        yield from _regrets(each.policies, label if len(replayed) > 1 else "")


def _assumed(outcome: Outcome, cleanup: Cleanup, judged: Collection[str]) -> Iterator[str]:
    """Yield which policies are taken as enforced, and which are not judged."""
    as_if = [policy.name for policy in outcome.policies if policy.mode == "report"]
    if as_if:
        yield f"As if enforced: {joined(as_if)} (in report mode now)."
    others = [
        f"{policy.name} ({cleanup.mode_of(policy)})"
        for policy in cleanup.policies
        if judged and policy.name not in judged and policy.kind != "build_cache"
    ]
    if others:
        yield f"As configured: {joined(others)}."
    cache = [policy.name for policy in cleanup.policies if policy.kind == "build_cache"]
    if cache:
        yield f"Not judged: {joined(cache)}. The build cache has no events, so its past is not recorded."


def _policies(policies: Sequence[Judged]) -> Iterator[str]:
    if not policies:
        yield "There is no policy to judge."
        return
    rows = [("POLICY", "KIND", "REMOVED", "SIZE", "REGRETS", "FETCHED AGAIN", "UNDECIDED")]
    rows += [
        (
            policy.name,
            policy.kind,
            str(len(policy.removed)),
            format_size(policy.removed_bytes),
            str(len(policy.regrets)),
            format_size(policy.regretted_bytes),
            str(policy.undecided),
        )
        for policy in policies
    ]
    first, *lines = table(rows)
    yield Line(first, "heading")
    yield from lines


def _usage(replayed: Sequence[Replayed]) -> Iterator[str]:
    """Yield what the kinds take without and with the policies."""
    courses: list[tuple[str, Course]] = [("without policies", replayed[0][1].without)]
    courses += [
        (f"with {label if len(replayed) > 1 else 'policies'}", each.with_policies) for label, each, _ in replayed
    ]
    rows = [("DISK SPACE", *(f"{kind.upper()}S" for kind in courses[0][1].kinds), "ALL")]
    for name, course in courses:
        takes = [*course.kinds.values(), course.total]
        rows.append((f"mean {name}", *(format_size(taken.mean) for taken in takes)))
        rows.append((f"peak {name}", *(format_size(taken.peak) for taken in takes)))
    first, *lines = table(rows)
    yield Line(first, "heading")
    yield from lines


def _regrets(policies: Sequence[Judged], label: str) -> Iterator[str]:
    regrets = [regret for policy in policies for regret in policy.regrets]
    if not regrets:
        return
    worst = sorted(regrets, key=lambda regret: regret.bytes, reverse=True)[:_WORST]
    yield ""
    of = f"the {_WORST} largest of {len(regrets)}" if len(regrets) > _WORST else str(len(regrets))
    yield Line(f"Needed again{f' with {label}' if label else ''}, {of}:", "heading")
    rows = [("REMOVED", "NEEDED AGAIN", "AFTER", "KIND", "NAME", "SIZE", "POLICY", "WHY")]
    rows += [_row(regret) for regret in worst]
    yield from table(rows)


def _row(regret: NeededAgain) -> tuple[str, str, str, str, str, str, str, str]:
    removed = regret.removed
    return (
        format_local_time(removed.time),
        format_local_time(regret.needed_at),
        short_duration(regret.needed_at - removed.time),
        removed.kind,
        removed.name,
        format_size(regret.bytes),
        removed.policy,
        regret.why,
    )
