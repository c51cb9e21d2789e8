"""Marks of disk pressure that would have been enough, by how fast disks filled. Pure."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from watchd.model.history.timeline import DiskMark

_FEWEST = 24  # measurements
_TOGETHER = 7200.0  # seconds between two measurements that tell of growth
_LEAVES = 2  # times the largest growth
_STEP, _HIGHEST, _LOWEST, _BETWEEN = 5, 95, 50, 10  # percent


@dataclass(frozen=True, slots=True)
class DiskAdvice:
    """Use and growth of a disk, and marks that leave room for it, in percent; None: too little is known."""

    path: str
    size: int  # bytes
    peak: int  # bytes used
    growth: int  # largest number of bytes between two measurements
    high: int | None
    low: int | None


def advise_marks(marks: Iterable[DiskMark], since: float, until: float) -> Iterator[DiskAdvice]:
    """Yield the disks with their marks: above the high one there is room for twice the largest growth in an hour."""
    by_path: defaultdict[str, list[DiskMark]] = defaultdict(list)
    for mark in marks:
        if since <= mark.at <= until:
            by_path[mark.path].append(mark)
    for path, of_disk in sorted(by_path.items()):
        yield _disk(path, of_disk)


def _disk(path: str, marks: Sequence[DiskMark]) -> DiskAdvice:
    size = marks[-1].used + marks[-1].available
    grown = [later.used - mark.used for mark, later in pairwise(marks) if later.at - mark.at <= _TOGETHER]
    growth = max([0, *grown])
    high: int | None = None
    if len(grown) >= _FEWEST and size:
        room = 100 * (1 - _LEAVES * growth / size)
        high = max(_LOWEST, min(_HIGHEST, math.floor(room / _STEP) * _STEP))
    low = None if high is None else high - _BETWEEN
    return DiskAdvice(path, size, max(mark.used for mark in marks), growth, high, low)
