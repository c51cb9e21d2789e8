"""Rows of the database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from watchd.model import Key, Kind, Observation, amount_as_json
from watchd.units import format_time

Cause = Literal["manual", "schedule", "pressure"]  # what began a run: a person, the schedule, or a full disk


@dataclass(frozen=True, slots=True)
class Removal:
    """A removal, as recorded before it is tried."""

    engine: str
    time: float
    plan_id: str
    kind: Kind
    id: str
    name: str
    names: Sequence[str]
    action: str
    labels: Mapping[str, str]
    policy: str
    reason: str
    facts: Mapping[str, Any]
    bytes: int  # as estimated
    at_least: bool = False  # it may have been more
    trigger: Cause | None = None  # None: recorded by a version that did not tell
    mode: str = "enforce"  # "report": it would have been removed
    marks: tuple[str, ...] = ()  # that it is known by if it is needed again; written, not read


@dataclass(frozen=True, slots=True)
class Generation:
    """An image of a Swarm service, and the creation time of its last task."""

    service: str  # ID
    image: str  # ID
    created: float


@dataclass(slots=True)
class Notes:
    """Changes of a batch of events, by the keys of observations. Times are seconds since the epoch."""

    gone: set[Key] = field(default_factory=set)
    came: dict[Key, Observation] = field(default_factory=dict)  # after what is gone
    dangling: dict[Key, bool] = field(default_factory=dict)  # images whose tags changed
    used: dict[Key, float] = field(default_factory=dict)
    arrived: dict[Key, float] = field(default_factory=dict)  # images
    layers: dict[Key, tuple[str, ...]] = field(default_factory=dict)  # of images that were here before
    pulled: set[Key] = field(default_factory=set)  # images
    generations: list[Generation] = field(default_factory=list)
    references: dict[str, Mapping[str, float | None]] = field(default_factory=dict)  # of images; empty: gone
    cursor: str | None = None  # the last event, in the caller's format


@dataclass(frozen=True, slots=True)
class LastRun:
    """Last run of a policy, and its last run without a failure: seconds since the epoch, None for never."""

    ran: float
    succeeded: float | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A removal with its outcome; None: watchd was ended before it could record one."""

    removal: Removal
    outcome: str | None
    detail: str
    needed_at: float | None = None  # first time after the removal
    regretted_at: float | None = None  # the same, if it was within the window
    needed_for: str = ""  # half a sentence
    disk_freed: Mapping[str, int] = field(default_factory=dict)  # bytes that disks had more after its run, by path

    @property
    def ending(self) -> str:
        """The outcome, `unknown` if there is none."""
        return self.outcome or "unknown"

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form (docs/api.md)."""
        removal = self.removal
        return {
            "time": format_time(removal.time),
            "plan_id": removal.plan_id,
            "trigger": removal.trigger,
            "kind": removal.kind,
            "id": removal.id,
            "name": removal.name,
            "names": list(removal.names),
            "action": removal.action,
            "labels": dict(removal.labels),
            "policy": removal.policy,
            "reason": removal.reason,
            "facts": dict(removal.facts),
            **amount_as_json(removal),
            "mode": removal.mode,
            "outcome": self.ending,
            "detail": self.detail,
            "disk_freed": dict(self.disk_freed),
            "regretted_at": None if self.regretted_at is None else format_time(self.regretted_at),
            "needed_for": self.needed_for,
        }
