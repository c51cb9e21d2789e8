"""A regret: a removal whose object was needed again."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Regret:
    """The removal, or in report mode what would have been one. Times are seconds since the epoch."""

    policy: str
    mode: str
    removed_at: float
    needed_at: float
    why: str  # half a sentence
