"""The record of the past of an engine. Pure."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from watchd.cleanup.past.host.looks import Looks
from watchd.config import Cleanup
from watchd.model.history.timeline import DiskMark, Life

Span = tuple[float, float]  # from and to, in seconds since the epoch


@dataclass(frozen=True)  # without slots, for what is worked out once
class Past:
    """The record of one engine: lives, disks, and which time was watched, each the oldest first."""

    engine: str
    lives: Sequence[Life]
    disks: Sequence[DiskMark] = ()
    watched: Sequence[Span] = ()

    def watched_seconds(self, since: float, until: float) -> float:
        """Return the watched seconds between two times."""
        return max(0.0, self._watched_until(until) - self._watched_until(since))

    def gaps(self) -> list[Span]:
        """Return the time between the first and the last watched moment that was not watched."""
        ends = [span[1] for span in self.watched]
        begins = [span[0] for span in self.watched]
        return [(end, begin) for end, begin in zip(ends, begins[1:], strict=False) if begin > end]

    def is_watched(self, at: float) -> bool:
        """Return whether watchd watched at a time."""
        number = bisect_right(self._begins, at)
        return number > 0 and at <= self.watched[number - 1][1]

    def seen_from(self, at: float) -> float:
        """Return when watchd first saw what came at a time: then, or when it watched again."""
        if self.is_watched(at):
            return at
        number = bisect_right(self._begins, at)
        return self._begins[number] if number < len(self._begins) else at

    def _watched_until(self, at: float) -> float:
        number = bisect_right(self._begins, at)
        if number == 0:
            return 0.0
        began, ended = self.watched[number - 1]
        return self._before[number - 1] + min(at, ended) - began

    @cached_property
    def looks(self) -> Looks:
        """The objects as they looked."""
        return Looks(self.engine, self.lives)

    @cached_property
    def _begins(self) -> list[float]:
        return [began for began, _ in self.watched]

    @cached_property
    def _before(self) -> list[float]:
        """The watched seconds before each span."""
        return [0.0, *accumulate(ended - began for began, ended in self.watched)]


def longest_clock(cleanup: Cleanup) -> float:
    """Return how many seconds before a run something may have happened that its decisions go by."""
    policies = cleanup.policies
    keeps = [policy.keep.within for policy in policies if policy.keep is not None and policy.keep.within is not None]
    return max([cleanup.grace, *keeps, *(needs for policy in policies for needs in policy.when.values())])
