"""The course of a disk, and when it will be full. Pure."""

from collections.abc import Sequence

from watchd.model.timeline import DiskMark

SHORTEST = 86400.0  # seconds of a course that tells a trend: a day has its ups and downs
FEWEST = 12  # points
LONGEST = 90 * 86400.0  # seconds: beyond that a straight line tells nothing


def full_at(points: Sequence[DiskMark], now: float) -> float | None:
    """Return when a disk is full if it goes on as in these points, which are in order; None: not soon, or not known."""
    if len(points) < FEWEST or points[-1].at - points[0].at < SHORTEST:
        return None
    slope = _slope(points)
    left = points[-1].available
    if slope <= 0 or left / slope > LONGEST:
        return None
    return max(now, points[-1].at + max(0.0, left) / slope)


def _slope(points: Sequence[DiskMark]) -> float:
    """Return the bytes per second of the straight line through the points (least squares)."""
    count = len(points)
    time = sum(each.at for each in points) / count
    used = sum(each.used for each in points) / count
    spread = sum((each.at - time) ** 2 for each in points)
    return sum((each.at - time) * (each.used - used) for each in points) / spread
