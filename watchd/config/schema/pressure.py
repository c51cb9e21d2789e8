"""Schema of `pressure`: watermarks of disks, and the order of removal between them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from watchd.config.schema.section import Problem, Section
from watchd.config.schema.values import Percentage, Size

NO_MARK = (
    "has no mark: give high and low, free_below and free_until, inodes_high and inodes_low, or total_above and"
    " total_until"
)


@dataclass(frozen=True, kw_only=True)
class Pressure(Section):
    """Watermarks between which a policy removes, and its order. One pair is enough."""

    high: Percentage | None = None  # of the disk used, as df shows it; 0 to 1
    low: Percentage | None = None
    free_below: Size | None = None
    free_until: Size | None = None
    inodes_high: Percentage | None = None
    inodes_low: Percentage | None = None
    total_above: Size | None = None  # of what the policy selects, on whatever disk
    total_until: Size | None = None
    order: Literal["lru", "oldest", "largest", "cost"] = "lru"

    def problems(self) -> Iterable[Problem]:
        """Return the errors between several keys."""
        pairs = (
            ("high", "low"),
            ("free_below", "free_until"),
            ("inodes_high", "inodes_low"),
            ("total_above", "total_until"),
        )
        given = [(first, last, getattr(self, first), getattr(self, last)) for first, last in pairs]
        if all(start is None and end is None for _, _, start, end in given):
            yield (), NO_MARK
        for first, last, start, end in given:
            if (start is None) != (end is None):
                yield (), f"{first} and {last} go together: give both or none"
            elif start is not None and first == "free_below" and start > end:
                yield (), "free_until must not be below free_below"
            elif start is not None and first != "free_below" and start < end:
                yield (), f"{last} must not be above {first}"
