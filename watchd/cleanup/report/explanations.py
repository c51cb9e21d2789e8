"""Explanation of one decision: as text, rule by rule, and as JSON."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from watchd.cleanup.plan.builds import Builds
from watchd.cleanup.plan.explain import Explanation, PolicyCheck, ProtectionCheck
from watchd.cleanup.plan.plan import Item, Reason
from watchd.cleanup.plan.rules.conditions import OBSERVED, Evaluation
from watchd.cleanup.plan.rules.protected import KEEP_LABEL
from watchd.cleanup.report.watched import WHAT_TO_DO
from watchd.cleanup.report.words import Line, Tone, clock, clocks, counted, full_name, joined, plural, short_id, table
from watchd.model import amount_as_json
from watchd.units import format_duration, format_time, short_duration

_NOT_YET = {
    Reason.PARENT_STAYS: "it stays as long as an image that it was built on does, which would go along with it",
    Reason.BUDGET_SPENT: "it goes at a later run, since the ceilings of one run leave no room for it",
    Reason.FREES_NOTHING: "the disk is too full, but its removal would free nothing: {why}",
}
_NOT_BY_TIME = (Reason.UNKNOWN_CLOCK, Reason.BELOW_WATERMARK, Reason.DISK_UNKNOWN)


def explanation(explained: Explanation) -> Iterator[str]:
    """Yield the lines that explain the decision about one object."""
    item = explained.item
    tone: Tone = "heading" if item.action == "keep" else "goes"
    why = _while_running(item) or f"{item.reason.value}{clocks(item)}"
    name = full_name(item.name, item.facts, explained.now)
    yield Line(f"{plural(item.kind, 1)} {name} ({short_id(item)}): {item.action}, {why}", tone)
    yield f"  {what_next(explained)}"
    if explained.builds:
        yield f"  {lineage(explained.builds, explained.now)}"
    yield ""
    yield Line("Protections, in their order:", "heading")
    yield from table((f"  {check.reason.value}", _protection(check, explained)) for check in explained.protections)
    yield ""
    kind = plural(item.kind, 2)
    yield Line(f"Policies for {kind}:" if explained.policies else f"There is no policy for {kind}.", "heading")
    yield from table((f"  {check.policy} ({check.mode})", _policy(check, item)) for check in explained.policies)


def explanation_as_json(explained: Explanation) -> dict[str, Any]:
    """Return the published form: the plan's item with `protections`, `policies` and `what_next`."""
    item = explained.item
    return {
        "kind": item.kind,
        "id": item.id,
        "name": item.name,
        "names": list(item.names),
        "action": item.action,
        "mode": item.mode,
        "policy": item.policy,
        "reason": item.reason.value,
        "facts": dict(item.facts),
        **amount_as_json(item),
        "protections": [
            {
                "reason": check.reason.value,
                "applies": check.facts is not None,
                "facts": dict(check.facts or {}),
                "note": _note(check, explained),
            }
            for check in explained.protections
        ],
        "policies": [_policy_as_json(check) for check in explained.policies],
        "what_next": what_next(explained),
        "builds": _builds_as_json(explained.builds, explained.now) if explained.builds else None,
    }


def lineage(builds: Builds, now: float) -> str:
    """Return one sentence on the images that were built on an image."""
    were = "was" if builds.count == 1 else "were"
    ago = short_duration(now - builds.last_arrived)
    return f"{counted('image', builds.count)} {were} built on it, the last {ago} ago"


def _builds_as_json(builds: Builds, now: float) -> dict[str, Any]:
    return {
        "count": builds.count,
        "names": list(builds.names),
        "last_arrived": format_time(builds.last_arrived),
        "summary": lineage(builds, now),
    }


def what_next(explained: Explanation) -> str:
    """Return one sentence: when the object goes, or what keeps it, as far as time alone decides."""
    item = explained.item
    hours = _quiet_hours(explained.quiet_until)
    if item.action != "keep":
        return f"it goes at the next run{hours}" if item.mode == "enforce" else "it would go if its policy enforced"
    lasting = [check.reason for check in explained.protections if check.facts and check.reason != Reason.GRACE]
    free = [check for check in explained.policies if check.result and not {*check.held_back_by} - {Reason.GRACE}]
    if lasting and not free:
        return f"it stays as long as {' or '.join(lasting)} applies"
    if item.reason in _NOT_YET:
        return _NOT_YET[item.reason].format(why=item.facts.get("why", "it is empty"))
    waits = [  # a condition whose clock runs sorts first
        (_standing(check.result, explained), *wait, check.mode)
        for check in free
        if check.result and check.result.reason not in _NOT_BY_TIME and (wait := _wait(check.result))
    ]
    if not waits:
        return _not_by_time(explained, free)
    return _goes_when(explained, *min(waits))


def _not_by_time(explained: Explanation, free: Sequence[PolicyCheck]) -> str:
    """Return what but time would make an object go, by the policies that no protection holds back."""
    for check in free:
        if check.result and check.result.reason is Reason.BELOW_WATERMARK:
            return f"it goes when the disk is so full that its turn comes in {check.policy}"
    if any(check.result and check.result.reason is Reason.DISK_UNKNOWN for check in free):
        return f"it goes under disk pressure only, and its disk is not known: {explained.disk_unknown}"
    return "no policy would remove it, however long it stays as it is"


def _goes_when(explained: Explanation, standing: str, seconds: float, when: str, mode: str) -> str:
    """Return when the object goes; `standing` is the condition whose clock stands still, empty if none does."""
    goes = "it goes" if mode == "enforce" else "it would go, if its policy enforced,"
    for check in explained.protections:
        if check.reason is Reason.GRACE and check.facts:  # ends with time as well
            seconds, when = max((seconds, when), _longest_wait(check.facts))
            standing = standing or ("" if explained.clocks_run else _longest_wait(check.facts)[1])
    if standing:
        return f"{goes} when {standing}, but that clock stands still, since nobody watches: {WHAT_TO_DO}"
    if seconds:
        return f"{goes} in {short_duration(seconds)}, when {when}"
    return f"{goes} at the next run due{_quiet_hours(explained.quiet_until)}"


def _quiet_hours(until: float | None) -> str:
    if until is None:
        return ""
    return f" by hand, or of the daemon after its quiet hours, which end at {format_time(until)}"


def _wait(result: Evaluation) -> tuple[float, str] | None:
    """Return the seconds until the last clock reaches its condition, and which it is; None if one does not run."""
    if not result.holds and not result.facts:
        return None
    return None if any(reading["elapsed"] is None for reading in result.facts.values()) else _longest_wait(result.facts)


def _standing(result: Evaluation, explained: Explanation) -> str:
    """Return the condition that is not met and whose clock stands still, since nobody watches; empty if none does."""
    observed = frozenset[str]() if explained.clocks_run else OBSERVED.get(explained.item.kind, frozenset())
    seconds, when = _longest_wait({name: reading for name, reading in result.facts.items() if name in observed})
    return when if seconds else ""


def _longest_wait(readings: Mapping[str, Any]) -> tuple[float, str]:
    waits = [
        (max(0.0, reading["needs"] - reading["elapsed"]), f"{name} reaches {format_duration(reading['needs'])}")
        for name, reading in readings.items()
    ]
    return max(waits, default=(0.0, ""))


def _protection(check: ProtectionCheck, explained: Explanation) -> str:
    if check.facts is not None:
        return f"applies: {_facts(check.facts)}"
    note = _note(check, explained)
    return f"does not apply: {note}" if note else "does not apply"


def _note(check: ProtectionCheck, explained: Explanation) -> str:
    """Return why a protection does not apply although one might expect it to; empty otherwise."""
    if check.facts is not None:
        return ""
    match check.reason:
        case Reason.IN_USE:
            return _removed_first(check.removed_first, "uses it", "use it")
        case Reason.HAS_CHILDREN:
            return _removed_first(check.removed_first, "is made of it", "are made of it")
        case Reason.PROTECTED:
            return _keep_label(explained.item.labels.get(KEEP_LABEL), honored=explained.honor_labels)
    return ""


def _removed_first(names: Sequence[str], one: str, several: str) -> str:
    if len(names) > 1:
        return f"{names[0]} and {len(names) - 1} more {several}, and go first"
    return f"{names[0]} {one}, and goes first" if names else ""


def _keep_label(value: str | None, *, honored: bool) -> str:
    """Return why a label that would keep an object does not."""
    if value is None:
        return ""
    if not honored:
        return f"{KEEP_LABEL} is not heeded, since cleanup.honor_labels is false"
    return f"{KEEP_LABEL} is {value}" if value.strip().lower() == "false" else f"{KEEP_LABEL} was until {value}"


def _policy(check: PolicyCheck, item: Item) -> str:
    result = check.result
    if result is None:
        return "does not select it"
    held_back = joined((reason.value for reason in check.held_back_by), "and")
    if not result.holds:
        said = _while_running(item, result.reason) or result.reason.value
    else:
        said = f"would remove it, but for {held_back}" if held_back else "would remove it"
    shown = ", ".join(clock(*each) for each in result.facts.items())
    return f"{said}: {shown}" if shown else said


def _policy_as_json(check: PolicyCheck) -> dict[str, Any]:
    result = check.result
    return {
        "name": check.policy,
        "mode": check.mode,
        "selects": result is not None,
        "holds": result is not None and result.holds,
        "reason": result.reason.value if result else Reason.NOT_SELECTED.value,
        "held_back_by": [reason.value for reason in check.held_back_by] if result and result.holds else [],
        "clocks": dict(result.facts) if result else {},
    }


def _while_running(item: Item, reason: Reason | None = None) -> str:
    """Return the reason with the state of a container, if that state is why no policy removes it."""
    status = item.facts.get("status")
    runs = item.kind == "container" and status not in ("exited", "dead", "created")
    reason = reason or item.reason
    return f"{reason.value}, since it is {status}" if runs and reason is Reason.CONDITION_NOT_MET else ""


def _facts(facts: Mapping[str, Any]) -> str:
    return ", ".join(_fact(name, value) for name, value in facts.items()) or "yes"


def _fact(name: str, value: Any) -> str:
    match value:
        case {"needs": _}:
            return clock(name, value)
        case list():
            return f"{name} {', '.join(map(str, value))}"
    return f"{name} {value}"
