"""What a plan is: one decision with its reason and facts for every object, in the order of carrying out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, get_args

from watchd.config import Mode
from watchd.model import EngineInfo, Key, Kind, Listing
from watchd.units import format_time

Action = Literal["remove", "untag", "keep"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Reason(StrEnum):
    """Why something goes or stays. Published: scripts and metrics rely on the words."""

    # It goes
    EXITED_TOO_LONG = "exited_too_long"
    NEVER_STARTED = "never_started"
    DANGLING_TOO_LONG = "dangling_too_long"
    UNUSED_TOO_LONG = "unused_too_long"
    ARRIVED_TOO_LONG = "arrived_too_long"
    BUILT_TOO_LONG = "built_too_long"
    OVER_KEEP_LAST = "over_keep_last"
    PRESSURE = "pressure"
    # It stays: protections, in their order
    INCOMPLETE_VIEW = "incomplete_view"
    SELF = "self"
    PROTECTED = "protected"
    IN_USE = "in_use"
    SWARM = "swarm"
    COMPOSE_ACTIVE = "compose_active"
    RESTART_POLICY = "restart_policy"
    TAG_OF_IN_USE = "tag_of_in_use"
    HAS_CHILDREN = "has_children"
    PARENT_STAYS = "parent_stays"  # where removing a child takes its untagged parents along
    GRACE = "grace"
    KEEP = "keep"
    NAMED_VOLUME = "named_volume"
    # It stays: no policy removes it
    NOT_SELECTED = "not_selected"
    CONDITION_NOT_MET = "condition_not_met"
    UNKNOWN_CLOCK = "unknown_clock"
    BELOW_WATERMARK = "below_watermark"
    BUDGET_SPENT = "budget_spent"
    QUIET_HOURS = "quiet_hours"


class Outcome(StrEnum):
    """What became of an item that was acted on."""

    REMOVED = "removed"
    ALREADY_GONE = "already_gone"  # the engine did not know it any more (404)
    REFUSED = "refused"  # the engine would not (409)
    DRIFTED = "drifted"  # it was not as it had been planned: left alone
    FAILED = "failed"
    DEFERRED = "deferred"  # left alone, since something planned before it did not go


@dataclass(slots=True)
class Item:
    """One decision. The first ten fields are what `--json` prints; `labels` and `needs` are for carrying it out.

    Nobody changes it: it is not frozen, since that takes three times as long to make, and a plan has thousands.
    """

    kind: Kind
    id: str
    name: str
    names: tuple[str, ...]
    action: Action
    mode: Mode | None
    policy: str | None
    reason: Reason
    facts: Mapping[str, Any] = field(default_factory=dict)
    bytes: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    needs: frozenset[Key] = frozenset()  # the objects whose removal this one rests on

    @property
    def key(self) -> tuple[Kind, str, Action, str]:
        """What tells it from every other item of its plan."""
        return (self.kind, self.id, self.action, self.name)

    @property
    def subject(self) -> Key:
        """The object that it is about."""
        return (self.kind, self.id)

    @property
    def in_force(self) -> bool:
        """Whether carrying the plan out would act on it."""
        return self.action != "keep" and self.mode == "enforce"


Outcomes = Mapping[tuple[Kind, str, Action, str], Outcome]


@dataclass(frozen=True, slots=True)
class Plan:
    """Every decision about one look at an engine."""

    plan_id: str
    created_at: float
    engine: EngineInfo
    items: tuple[Item, ...]
    incomplete: Mapping[Listing, str] = field(default_factory=dict)  # what policies rest on and failed, and why

    @property
    def in_force(self) -> tuple[Item, ...]:
        """What carrying it out would act on, in that order."""
        return tuple(item for item in self.items if item.in_force)

    def totals(self) -> dict[str, dict[str, int]]:
        """Return, by kind, how many items in force remove, untag and keep, and the bytes of those removed."""
        totals: dict[str, dict[str, int]] = {kind: {"remove": 0, "untag": 0, "keep": 0, "bytes": 0} for kind in KINDS}
        for item in self.items:
            counts = totals[item.kind]
            if item.in_force:
                counts[item.action] += 1
                counts["bytes"] += item.bytes
            elif item.action != "untag":  # an image that stays counts once
                counts["keep"] += 1
        return totals

    def as_json(self, outcomes: Outcomes | None = None) -> dict[str, Any]:
        """Return the published form, with the outcome of each item that was acted on."""
        items = []
        for item in self.items:
            entry: dict[str, Any] = {
                "kind": item.kind,
                "id": item.id,
                "name": item.name,
                "names": list(item.names),
                "action": item.action,
                "mode": item.mode,
                "policy": item.policy,
                "reason": item.reason.value,
                "facts": dict(item.facts),
                "bytes": item.bytes,
            }
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
            "totals": self.totals(),
        }
