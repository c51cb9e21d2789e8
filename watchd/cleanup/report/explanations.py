"""Explanation of one decision: as text, rule by rule, and as JSON."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from watchd.cleanup.plan.builds import Builds
from watchd.cleanup.plan.explain import Explanation, PolicyCheck, ProtectionCheck
from watchd.cleanup.plan.plan import Item
from watchd.cleanup.plan.reasons import Reason
from watchd.cleanup.plan.rules.protected import KEEP_LABEL
from watchd.cleanup.plan.space.sharing import Sharing
from watchd.cleanup.report.parts import parts_as_json, parts_in_words
from watchd.cleanup.report.past.regrets import how_regretted
from watchd.cleanup.report.tables import table
from watchd.cleanup.report.verdict import verdict, what_next, while_running
from watchd.cleanup.report.words import Line, Tone, clock, clocks, counted, full_name, id_in_brackets, joined, plural
from watchd.model import Regret, amount_as_json
from watchd.units import format_amount, format_time, short_duration

_MOST_NAMES = 3
_COUNTS = {"containers": "container_count", "children": "child_count"}  # of facts that list the first few
_IMAGE_ID = re.compile("sha256:[0-9a-f]{64}")
_SHORT_ID = 12  # digits


def explanation(explained: Explanation) -> Iterator[str]:
    """Yield the lines that explain the decision about one object."""
    item = explained.item
    name = full_name(item.name, item.facts, explained.now)
    tone: Tone = "goes" if item.in_force else "heading"
    yield Line(f"{plural(item.kind, 1)} {name}{id_in_brackets(item)} {verdict(explained)}.", tone)
    yield f"  decision: {item.action}, {item.reason.value}{clocks(item)}{_by_policy(item)}"
    if item.action == "keep":
        yield f"  next: {what_next(explained)}"
    if explained.builds:
        yield f"  {lineage(explained.builds, explained.now)}"
    if explained.regret:
        yield f"  {how_regretted(explained.regret)}"
    if explained.sharing:
        yield f"  {sharing(explained.sharing)}"
    if explained.parts:
        yield f"  parts: {parts_in_words(explained.parts)}"
    yield ""
    yield Line("Protections:", "heading")
    yield from _protections(explained)
    yield ""
    kind = plural(item.kind, 2)
    yield Line(f"Policies for {kind}:" if explained.policies else f"There is no policy for {kind}.", "heading")
    yield from table((f"  {check.policy} ({check.mode})", _policy(check, item)) for check in explained.policies)


def _by_policy(item: Item) -> str:
    return f", by {item.policy}, which {'enforces' if item.mode == 'enforce' else 'reports'}" if item.policy else ""


def _protections(explained: Explanation) -> Iterator[str]:
    """Yield a line for each protection that applies, or might be expected to; the others share the last line."""
    told = [(check.reason.value, _protection(check, explained)) for check in explained.protections]
    yield from table((f"  {name}", text) for name, text in told if text)
    others = [name for name, text in told if not text]
    if others:
        yield f"  {'these do' if len(others) > 1 else 'this does'} not apply: {', '.join(others)}"


def explanation_as_json(explained: Explanation) -> dict[str, Any]:
    """Return the published form: the plan's item with `verdict`, `protections`, `policies` and `what_next`."""
    return {
        **explained.item.as_json(),
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
        "verdict": verdict(explained),
        "what_next": what_next(explained),
        "builds": _builds_as_json(explained.builds, explained.now) if explained.builds else None,
        "regret": _regret_as_json(explained.regret) if explained.regret else None,
        "sharing": _sharing_as_json(explained.sharing) if explained.sharing else None,
        "parts": {"list": parts_as_json(explained.parts), "summary": parts_in_words(explained.parts)}
        if explained.parts
        else None,
    }


def lineage(builds: Builds, now: float) -> str:
    """Return one sentence on the images that were built on an image."""
    ago = short_duration(now - builds.last_arrived)
    if builds.count == 1:
        return f"1 image was built on it, {ago} ago"
    return f"{counted('image', builds.count)} were built on it, the last {ago} ago"


def _regret_as_json(regret: Regret) -> dict[str, Any]:
    return {
        "policy": regret.policy,
        "mode": regret.mode,
        "removed_at": format_time(regret.removed_at),
        "needed_at": format_time(regret.needed_at),
        "needed_for": regret.why,
        "summary": how_regretted(regret),
    }


def sharing(of: Sharing) -> str:
    """Return one sentence on what the removal of an image frees by itself, and who has the rest as well."""
    frees = f"alone it frees {format_amount(of.alone.bytes, at_least=of.alone.at_least)}"
    holders = [*of.images[:_MOST_NAMES]]
    if of.image_count > len(holders):
        holders.append(f"{of.image_count - len(holders)} more")
    if of.build_cache:
        holders.append("the build cache")
    if not holders:
        return frees
    return f"{frees}: {format_amount(of.shared.bytes, at_least=of.shared.at_least)} belong to {joined(holders)} as well"


def _sharing_as_json(of: Sharing) -> dict[str, Any]:
    return {
        "alone": amount_as_json(of.alone),
        "shared": amount_as_json(of.shared),
        "images": list(of.images),
        "image_count": of.image_count,
        "build_cache": of.build_cache,
        "summary": sharing(of),
    }


def _builds_as_json(builds: Builds, now: float) -> dict[str, Any]:
    return {
        "count": builds.count,
        "names": list(builds.names),
        "last_arrived": format_time(builds.last_arrived),
        "summary": lineage(builds, now),
    }


def _protection(check: ProtectionCheck, explained: Explanation) -> str:
    """Return whether a protection applies and why; empty where there is no more to say than that it does not."""
    if check.facts is not None:
        return f"applies: {_facts(check.facts)}"
    note = _note(check, explained)
    return f"does not apply: {note}" if note else ""


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
        said = while_running(item, result.reason) or result.reason.value
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


def _facts(facts: Mapping[str, Any]) -> str:
    shown = {name: value for name, value in facts.items() if name not in _COUNTS.values()}
    return ", ".join(_fact(name, value, facts.get(_COUNTS.get(name, ""))) for name, value in shown.items()) or "yes"


def _fact(name: str, value: Any, count: int | None) -> str:
    match value:
        case {"needs": _}:
            return clock(name, value)
        case list():
            names = [_shortened(str(each)) for each in value]
            more = (count or 0) - len(names)
            return f"{name} {joined([*names, f'{more} more'] if more > 0 else names)}"
    return f"{name} {value}"


def _shortened(text: str) -> str:
    """Return the ID of an image as Docker's commands show it, any other text as it is."""
    return text.removeprefix("sha256:")[:_SHORT_ID] if _IMAGE_ID.fullmatch(text) else text
