"""A plan: one decision with its reason and facts for every object, in the order of removal. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, get_args

from watchd.cleanup.plan.reasons import Reason
from watchd.config import Mode
from watchd.model import EngineInfo, Key, Kind, Listing, amount_as_json, total
from watchd.units import format_time

Action = Literal["remove", "untag", "keep"]
Facts = Mapping[str, Any]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Outcome(StrEnum):
    """Result of an executed item."""

    REMOVED = "removed"
    ALREADY_GONE = "already_gone"  # unknown to the engine (404)
    REFUSED = "refused"  # by the engine (409)
    DRIFTED = "drifted"  # changed since the plan: left alone
    FAILED = "failed"
    DEFERRED = "deferred"  # left alone: an object that it needs removed first is still there


@dataclass(slots=True)
class Decision:
    """Decision about one object. Never changed. Not frozen: that triples the cost of creation."""

    removes: bool
    reason: Reason
    facts: Facts
    policy: str | None = None
    mode: Mode | None = None


@dataclass(slots=True)
class Item:
    """One step of a plan, or an object that is kept. `--json` prints the first ten fields and `at_least`.

    Never changed. Not frozen: that triples the cost of creation, and a plan has thousands.
    """

    kind: Kind
    id: str
    name: str
    names: tuple[str, ...]
    action: Action
    mode: Mode | None
    policy: str | None
    reason: Reason
    facts: Facts = field(default_factory=dict)
    bytes: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    needs: frozenset[Key] = frozenset()  # objects that must be removed before this one
    at_least: bool = False  # it may free more than `bytes`: part of its size is not known

    @property
    def key(self) -> tuple[Kind, str, Action, str]:
        """Unique key within the plan."""
        return (self.kind, self.id, self.action, self.name)

    @property
    def subject(self) -> Key:
        """Key of the object."""
        return (self.kind, self.id)

    @property
    def in_force(self) -> bool:
        """Return whether executing the plan acts on it."""
        return self.action != "keep" and self.mode == "enforce"

    def as_json(self) -> dict[str, Any]:
        """Return the published form."""
        return {
            "kind": self.kind,
            "id": self.id,
            "name": self.name,
            "names": list(self.names),
            "action": self.action,
            "mode": self.mode,
            "policy": self.policy,
            "reason": self.reason.value,
            "facts": dict(self.facts),
            **amount_as_json(self),
        }


Outcomes = Mapping[tuple[Kind, str, Action, str], Outcome]


@dataclass(frozen=True, slots=True)
class Plan:
    """The decisions about every object of one look at an engine."""

    plan_id: str
    created_at: float
    engine: EngineInfo
    items: tuple[Item, ...]
    incomplete: Mapping[Listing, str] = field(
        default_factory=dict
    )  # failed lists that due policies need, with the error
    without_pressure: Mapping[str, str] = field(default_factory=dict)  # by policy, why its disk is not known

    @property
    def in_force(self) -> tuple[Item, ...]:
        """The items that executing the plan acts on, in this order."""
        return tuple(item for item in self.items if item.in_force)

    def totals(self) -> dict[Kind, dict[str, Any]]:
        """Count the items in force by kind and action, and the bytes of those removed."""
        totals = {kind: {"remove": 0, "untag": 0, "keep": 0} for kind in KINDS}
        for item in self.items:
            if item.in_force:
                totals[item.kind][item.action] += 1
            elif item.action != "untag":  # an image that is kept counts once
                totals[item.kind]["keep"] += 1
        sizes = {kind: total(item for item in self.in_force if item.kind == kind) for kind in KINDS}
        return {kind: {**counts, **amount_as_json(sizes[kind])} for kind, counts in totals.items()}

    def as_json(self, outcomes: Outcomes | None = None) -> dict[str, Any]:
        """Return the published form, with the outcome of each executed item."""
        items = []
        for item in self.items:
            entry = item.as_json()
            if outcomes is not None and item.key in outcomes:
                entry["outcome"] = outcomes[item.key].value
            items.append(entry)
        return {
            "plan_id": self.plan_id,
            "created_at": format_time(self.created_at),
            "engine": {
                "id": self.engine.id,
                "name": self.engine.name,
                "version": self.engine.version,
                "api_version": self.engine.api_version,
                "store": self.engine.store,
            },
            "items": items,
            "without_pressure": dict(self.without_pressure),
            "totals": self.totals(),
        }
