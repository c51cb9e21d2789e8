"""The course of a disk, and when it will be full. Pure."""

from collections.abc import Sequence

from watchd.model.history.timeline import DiskMark

LONGEST = 90 * 86400.0  # seconds: beyond that a pace tells nothing
_HOUR, _DAY = 3600.0, 86400.0  # seconds
_FEWEST = 12  # pairs of points a day apart


def full_at(points: Sequence[DiskMark], now: float) -> float | None:
    """Return when a disk is full if it goes on as in these points, which are in order; None: not soon, or not known."""
    growth = _daily_growth(points)
    if growth is None or growth <= 0:
        return None
    last = points[-1]
    left = max(0, last.available) / growth * _DAY
    return max(now, last.at + left) if left <= LONGEST else None


def _daily_growth(points: Sequence[DiskMark]) -> float | None:
    """Return the bytes that a disk grows by in a day: the median from an hour to the same one of the next day.

    What builds and cleaning do every day is in both of them, and what happened once moves no median.
    """
    used = {int(point.at // _HOUR): point.used for point in points}
    grown = sorted(bytes_ - used[hour - 24] for hour, bytes_ in used.items() if hour - 24 in used)
    middle = len(grown) // 2  # the median; the library's `statistics` takes 0.8 MiB
    return (grown[middle] + grown[-1 - middle]) / 2 if len(grown) >= _FEWEST else None
