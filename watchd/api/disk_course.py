"""The course of the engine's disks over the last days, for the page. Pure."""

from collections.abc import Iterable
from typing import Any

from watchd.model.history.timeline import DiskMark
from watchd.model.history.trend import full_at

SHOWN = 7 * 86400.0  # seconds
_APART = 3600.0  # seconds between two points


def courses(marks: Iterable[DiskMark], now: float) -> dict[str, dict[str, Any]]:
    """Return the course of each disk by its path, as times and used bytes, and when it will be full.

    Of marks, which are in order, the last one of each hour counts.
    """
    by_path: dict[str, dict[float, DiskMark]] = {}
    for mark in marks:
        by_path.setdefault(mark.path, {})[mark.at // _APART] = mark
    return {
        path: {
            "course": [[each.at, each.used] for each in points.values()],
            "full_at": full_at(list(points.values()), now),
        }
        for path, points in by_path.items()
    }
