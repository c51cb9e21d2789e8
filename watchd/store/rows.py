"""What is on record, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from watchd.model import Kind
from watchd.units import format_time


@dataclass(frozen=True, slots=True)
class Removal:
    """One removal, as it is recorded before it happens."""

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
    bytes: int


@dataclass(frozen=True, slots=True)
class Generation:
    """An image that tasks of a Swarm service ran from, and when the last of them was created."""

    service: str  # ID
    image: str  # ID
    created: float


@dataclass(frozen=True, slots=True)
class LastRun:
    """When a policy ran last, and when last without any failure: seconds since the epoch, None for never."""

    ran: float
    succeeded: float | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A removal as it is on record. `outcome` None: it began, and how it ended is not on record."""

    removal: Removal
    outcome: str | None
    detail: str

    @property
    def ending(self) -> str:
        """How it ended; `unknown` where watchd was ended before it could say."""
        return self.outcome or "unknown"

    def as_json(self) -> dict[str, Any]:
        """Return the published form."""
        removal = self.removal
        return {
            "time": format_time(removal.time),
            "plan_id": removal.plan_id,
            "kind": removal.kind,
            "id": removal.id,
            "name": removal.name,
            "names": list(removal.names),
            "action": removal.action,
            "labels": dict(removal.labels),
            "policy": removal.policy,
            "reason": removal.reason,
            "facts": dict(removal.facts),
            "bytes": removal.bytes,
            "outcome": self.ending,
            "detail": self.detail,
        }
