"""Why one object goes or stays, told rule by rule."""

from collections.abc import Iterator, Mapping
from typing import Any

from watchd.prune.explain import Explanation, Opinion, Shield
from watchd.prune.plan import Item, Reason
from watchd.prune.report.words import Line, Tone, clock, clocks, joined, plural, short_id, table


def explanation(told: Explanation) -> Iterator[str]:
    """Yield the lines that explain the decision about one object."""
    item = told.item
    tone: Tone = "heading" if item.action == "keep" else "goes"
    why = _while_it_runs(item) or f"{item.reason.value}{clocks(item)}"
    yield Line(f"{plural(item.kind, 1)} {item.name} ({short_id(item)}): {item.action}, {why}", tone)
    yield f"  {told.what_next}"
    yield ""
    yield Line("Protections, in their order:", "heading")
    yield from table((f"  {shield.reason.value}", _shield(shield)) for shield in told.shields)
    yield ""
    about_all = plural(item.kind, 2)
    yield Line(f"Policies for {about_all}:" if told.opinions else f"There is no policy for {about_all}.", "heading")
    yield from table((f"  {opinion.policy} ({opinion.mode})", _opinion(opinion, item)) for opinion in told.opinions)


def _shield(shield: Shield) -> str:
    if shield.facts is not None:
        return f"applies: {_facts(shield.facts)}"
    return f"does not apply{f': {shield.note}' if shield.note else ''}"


def _opinion(opinion: Opinion, item: Item) -> str:
    verdict = opinion.verdict
    if verdict is None:
        return "does not select it"
    held_back = joined((reason.value for reason in opinion.held_back_by), "and")
    if not verdict.holds:
        said = _while_it_runs(item, verdict.reason) or verdict.reason.value
    else:
        said = f"would remove it, but for {held_back}" if held_back else "would remove it"
    shown = ", ".join(clock(*each) for each in verdict.facts.items())
    return f"{said}: {shown}" if shown else said


def _while_it_runs(item: Item, reason: Reason | None = None) -> str:
    """Return that a container is in no state in which any policy removes it, if that is why it stays."""
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
