"""How full disks were, and when they will be full."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchd.api.disk_course import courses
from watchd.model.timeline import DiskMark
from watchd.model.trend import LONGEST, full_at

DAY, HOUR, GB = 86400.0, 3600.0, 10**9
PATH = "/var/lib/docker"


def mark(at: float, used: int, size: int = 100 * GB, path: str = PATH) -> DiskMark:
    return DiskMark(at, path, ("image",), used, size - used, 0, 0)


def line(days: float, per_day: float) -> list[DiskMark]:
    return [mark(number * HOUR, round(50 * GB + per_day * number / 24)) for number in range(round(days * 24))]


def test_a_disk_that_grows_is_full_in_time() -> None:
    points = line(5, 5 * GB)
    now = points[-1].at
    left = points[-1].available
    assert full_at(points, now) == pytest.approx(now + left / (5 * GB) * DAY, rel=1e-6)


@pytest.mark.parametrize(
    "points",
    [[], line(0.5, 5 * GB), line(5, 0), line(5, -GB), line(5, 0.1 * GB), line(5, 5 * GB)[:: 5 * 24]],
    ids=["none", "half a day", "steady", "shrinking", "in years", "too few"],
)
def test_nothing_is_told_without_a_trend(points: list[DiskMark]) -> None:
    assert full_at(points, 5 * DAY) is None


@given(st.lists(st.integers(0, 10**12), min_size=12, max_size=60))
def test_whatever_the_course_it_is_full_later_and_soon(used: list[int]) -> None:
    points = [mark(number * 2 * HOUR, each, 10**12) for number, each in enumerate(used)]
    full = full_at(points, points[-1].at)
    assert full is None or points[-1].at <= full <= points[-1].at + LONGEST


def test_the_last_mark_of_each_hour_is_a_point() -> None:
    marks = [mark(number * 600.0, number) for number in range(18)]  # three hours
    told = courses([*marks, mark(0.0, 7, path="/other")], 3 * HOUR)
    assert told[PATH] == {"course": [[3000.0, 5], [6600.0, 11], [10200.0, 17]], "full_at": None}
    assert told["/other"]["course"] == [[0.0, 7]]
