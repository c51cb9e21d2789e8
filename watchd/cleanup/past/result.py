"""Results of a replay. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from watchd.config import Mode
from watchd.model import Kind
from watchd.units import format_time


@dataclass(frozen=True, slots=True)
class Removed:
    """An object that a policy would have removed, and the bytes that this would have freed."""

    time: float
    policy: str
    kind: Kind
    id: str
    name: str
    bytes: int


@dataclass(frozen=True, slots=True)
class NeededAgain:
    """A removal that would have been regretted; `bytes` are those to fetch again, `why` is half a sentence."""

    removed: Removed
    needed_at: float
    bytes: int
    why: str


@dataclass(frozen=True, slots=True)
class Judged:
    """Result of one policy in a replay. `mode` is the configured one."""

    name: str
    kind: Kind
    mode: Mode
    removed: tuple[Removed, ...] = ()
    regrets: tuple[NeededAgain, ...] = ()
    undecided: int = 0  # removals with less than the window of watched time after them, not needed again so far

    @property
    def removed_bytes(self) -> int:
        """The bytes of all removals."""
        return sum(each.bytes for each in self.removed)

    @property
    def regretted_bytes(self) -> int:
        """The bytes to fetch again."""
        return sum(each.bytes for each in self.regrets)

    def as_json(self) -> dict[str, Any]:
        """Return the published form."""
        return {
            "name": self.name,
            "kind": self.kind,
            "mode": self.mode,
            "removed": [
                {"time": format_time(each.time), "id": each.id, "name": each.name, "bytes": each.bytes}
                for each in self.removed
            ],
            "regrets": [
                {
                    "removed_at": format_time(each.removed.time),
                    "needed_at": format_time(each.needed_at),
                    "id": each.removed.id,
                    "name": each.removed.name,
                    "bytes": each.bytes,
                    "why": each.why,
                }
                for each in self.regrets
            ],
            "undecided": self.undecided,
        }


@dataclass(frozen=True, slots=True)
class Taken:
    """Bytes that objects took, over the watched time."""

    mean: float = 0.0
    peak: int = 0

    def as_json(self) -> dict[str, int]:
        """Return the published form."""
        return {"mean_bytes": round(self.mean), "peak_bytes": self.peak}


@dataclass(frozen=True, slots=True)
class Course:
    """Bytes taken over time: of each kind, and of all together."""

    kinds: Mapping[Kind, Taken]
    total: Taken

    def as_json(self) -> dict[str, Any]:
        """Return the published form."""
        return {**self.total.as_json(), "kinds": {kind: taken.as_json() for kind, taken in self.kinds.items()}}


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a replay between two times, in seconds since the epoch."""

    since: float
    until: float
    unwatched: float  # seconds, left out
    window: float  # seconds within which a need was a regret
    policies: tuple[Judged, ...]
    with_policies: Course
    without: Course

    def as_json(self) -> dict[str, Any]:
        """Return the published form."""
        return {
            "since": format_time(self.since),
            "until": format_time(self.until),
            "unwatched_seconds": round(self.unwatched),
            "regret_window_seconds": round(self.window),
            "policies": [policy.as_json() for policy in self.policies],
            "usage": {"with": self.with_policies.as_json(), "without": self.without.as_json()},
        }
