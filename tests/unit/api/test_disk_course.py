"""How full disks were, and when they will be full."""

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchd.api.disk_course import SHOWN, courses
from watchd.model.history.timeline import DiskMark
from watchd.model.history.trend import LONGEST, full_at
from watchd.store import Store

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


def saved_course(state: Path, used: Callable[[float], float], hours: Sequence[int]) -> float | None:
    """Record a disk hour by hour, with a new start of the store now and then; return the days until it is full."""
    for begin in range(0, len(hours), 30):
        with closing(Store.open(state)) as store:
            marks = [mark(hour * HOUR + 5 * hour, round(used(hour / 24))) for hour in hours[begin : begin + 30]]
            store.record_disks("engine", marks)
    now = hours[-1] * HOUR
    with closing(Store.open(state)) as store:
        full = courses(store.disk_marks("engine", since=now - SHOWN), now)[PATH]["full_at"]
    return None if full is None else (full - now) / DAY


@pytest.mark.parametrize(
    ("used", "days"),
    [
        (lambda day: 30 * GB + 2 * GB * day, 28),
        (lambda day: 30 * GB + 2 * GB * day + 20 * GB * (day % 1), 18),
        (lambda day: 30 * GB + 2 * GB * day + (20 * GB if day < 5 else 0), 28),
        (lambda day: 30 * GB + 20 * GB * (day % 1), None),
        (lambda day: 30 * GB + (40 * GB if day > 5 else 0), None),
    ],
    ids=["steady growth", "builds by day, cleaning at night", "cleaned up once", "no growth", "grown once"],
)
@pytest.mark.parametrize(
    "hours",
    [range(7 * 24), range(30 * 24, 37 * 24), [hour for hour in range(7 * 24) if not 50 < hour < 75]],
    ids=["a week", "the fifth week", "a week with a day off"],
)
def test_days_in_the_state_tell_when_a_disk_is_full(
    tmp_path: Path, used: Callable[[float], float], days: float | None, hours: Sequence[int]
) -> None:
    since = hours[0] / 24
    told = saved_course(tmp_path, lambda day: used(day - since), hours)
    assert told == (None if days is None else pytest.approx(days, abs=1.5))
