import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.settings import checked
from watchd.config import Cleanup
from watchd.config.schedules import Cron, Interval, parse_schedule, quiet_until
from watchd.units import parse_past

WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]


def cron(text: str) -> Cron:
    parsed = parse_schedule(text)
    assert isinstance(parsed, Cron)
    return parsed


def runs(text: str, *, after: datetime) -> Iterator[datetime]:
    """Yield the times at which the scheduler runs what is planned so."""
    moment = after.timestamp() - 1
    while True:
        found = cron(text).next_after(moment, "UTC")
        assert found is not None
        yield datetime.fromtimestamp(found, UTC)
        moment = found


@pytest.mark.parametrize(("text", "seconds"), [("6h", 21600), ("1s", 1), ("1h30m", 5400), (" 6h ", 21600)])
def test_one_word_is_an_interval(text: str, seconds: float) -> None:
    assert parse_schedule(text) == Interval(seconds)


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("@daily", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
        ("@weekly", "0 0 * * 0"),
        ("0 4 * * *", "0  4 *\t* *"),
        ("0 4 * * *", "00 04 */1 1-12 0-7"),
        ("*/15 * * * *", "0,15,30,45 * * * *"),
        ("*/15 * * * *", "0-59/15 * * * *"),
        ("1-4,8 * * * *", "8,1,2,3,4,4 * * * *"),
        ("0 0 1 jan,JUL *", "0 0 1 1,7 *"),
        ("0 0 1 jan-mar *", "0 0 1 1-3 *"),
        ("0 0 * * 0", "0 0 * * 7"),
        ("0 0 * * 0", "0 0 * * Sun"),
        ("0 0 * * 1-5", "0 0 * * mon-fri"),
        ("0 0 * * 5-7", "0 0 * * fri,sat,sun"),
        ("0 0 * * sun-tue", "0 0 * * 0,1,2"),
        ("0 0 * * */2", "0 0 * * sun,tue,thu,sat"),
        ("0 0 * * 1-5/2", "0 0 * * 1,3,5"),
        ("0 0 * * *", "0 0 * * 0-6"),
        ("*,5 * * * *", "* * * * *"),
    ],
)
def test_lines_that_crontab_understands_alike_mean_the_same(one: str, same: str) -> None:
    assert cron(one) == cron(same)


@given(st.integers(min_value=0, max_value=7))
def test_a_numbered_weekday_runs_on_that_day_where_0_and_7_are_sunday(number: int) -> None:
    times = runs(f"30 4 * * {number}", after=datetime(2026, 1, 1, tzinfo=UTC))
    for _ in range(3):
        moment = next(times)
        assert moment.strftime("%a").lower() == WEEKDAYS[number % 7]
        assert (moment.hour, moment.minute) == (4, 30)


def test_steps_of_weekdays_begin_on_sunday_as_in_crontab() -> None:
    times = runs("0 0 * * */2", after=datetime(2026, 1, 1, tzinfo=UTC))
    assert [next(times).strftime("%a") for _ in range(4)] == ["Thu", "Sat", "Sun", "Tue"]


def test_the_scheduler_runs_at_every_time_of_the_line_and_at_no_other() -> None:
    """Compared with the definition of a crontab line, minute by minute, over two weeks."""
    start = datetime(2026, 2, 20, tzinfo=UTC)
    minutes = (start + timedelta(minutes=number) for number in range(14 * 24 * 60))
    expected = [
        moment
        for moment in minutes
        if moment.minute in (0, 20, 40, 7) and moment.hour in (1, 2, 3, 22) and moment.day in (1, 11, 21, 28)
    ]
    times = runs("*/20,7 1-3,22 */10,28 * *", after=start)
    assert [next(times) for _ in expected] == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "neither an interval"),
        ("@reboot", "neither an interval"),
        ("500ms", "at least 1s"),
        ("0s", "at least 1s"),
        ("0 4 * *", "neither an interval"),
        ("0 4 * * * *", "neither an interval"),
        ("60 * * * *", "minute: '60' is not between 0 and 59"),
        ("* 24 * * *", "hour: '24' is not between 0 and 23"),
        ("* * 0 * *", "day of month: '0' is not between 1 and 31"),
        ("* * 32 * *", "day of month: '32' is not between 1 and 31"),
        ("* * * 13 *", "month: '13' is not between 1 and 12"),
        ("* * * foo *", "month: 'foo' is not between 1 and 12"),
        ("* * * * 8", "day of week: '8' is not between 0 and 7"),
        ("* * * * jan", "day of week: 'jan' is not between 0 and 7"),
        ("5-1 * * * *", "minute: '5-1' ends before it begins"),
        ("*/0 * * * *", "minute: a step of 0 never comes"),
        ("* */24 * * *", "hour: a step of 24 never comes"),
        ("5/15 * * * *", "minute: '5/15' has a step without a range"),
        ("-1 * * * *", "minute: cannot read '-1'"),
        ("1, * * * *", "minute: cannot read ''"),
        ("*-5 * * * *", "minute: cannot read"),
        ("? * * * *", "minute: cannot read"),
        ("1.5 * * * *", "minute: cannot read"),
        ("٣ * * * *", "minute: cannot read"),
        (f"{'0' * 5000} * * * *", "minute: cannot read"),
        ("0 0 L * *", "day of month: 'L' is not between 1 and 31"),
        ("0 0 1 * mon", "not both"),
        ("0 0 30 2 *", "day 30 never comes"),
        ("0 0 31 4,6,9,11 *", "day 31 never comes"),
    ],
)
def test_what_is_refused_says_which_part_and_why(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason.replace("?", r"\?")):
        parse_schedule(text)


@pytest.mark.parametrize("text", ["0 0 29 2 *", "0 0 31 2,3 *", "0 0 */10 * mon", "0 0 1 * */2"])
def test_rare_days_are_not_refused(text: str) -> None:
    assert next(runs(text, after=datetime(2026, 1, 1, tzinfo=UTC))) is not None


fields = st.text(alphabet="0123456789*,-/sunmojafe ", max_size=8)


@given(st.text() | st.lists(fields, min_size=5, max_size=5).map(" ".join))
def test_any_text_is_a_schedule_or_a_value_error(text: str) -> None:
    try:
        schedule = parse_schedule(text)
    except ValueError:
        return
    if isinstance(schedule, Cron):
        assert schedule.next_after(0, "UTC") is not None
    else:
        assert schedule.seconds >= 1


@given(
    st.lists(st.integers(0, 59), min_size=1),
    st.lists(st.integers(0, 23), min_size=1),
    st.lists(st.integers(1, 28), min_size=1),
    st.lists(st.integers(1, 12), min_size=1),
)
def test_lists_mean_what_they_list(minutes: list[int], hours: list[int], days: list[int], months: list[int]) -> None:
    line = cron(" ".join([*(",".join(map(str, field)) for field in (minutes, hours, days, months)), "*"]))
    assert list(line.minutes) == sorted(set(minutes))
    assert list(line.hours) == sorted(set(hours))
    assert line.days == set(days)
    assert line.months == set(months)


BERLIN = ZoneInfo("Europe/Berlin")
AUTUMN = datetime(2026, 10, 24, 12, tzinfo=BERLIN)  # at 03:00 the next day the clock goes back to 02:00
SPRING = datetime(2026, 3, 28, 12, tzinfo=BERLIN)  # at 02:00 the next day it goes forward to 03:00


def runs_in_berlin(text: str, after: datetime, hours: float) -> list[str]:
    """Return when a schedule runs, as the clock shows it, with the offset where it changes."""
    moment, end, times = after.timestamp(), after.timestamp() + hours * 3600, []
    while (found := cron(text).next_after(moment, "Europe/Berlin")) is not None and found < end:
        times.append(datetime.fromtimestamp(found, BERLIN).strftime("%d %H:%M%z"))
        moment = found
    return times


@pytest.mark.parametrize(
    ("text", "autumn", "spring"),
    [
        ("30 2 * * *", ["25 02:30+0200"], ["29 03:00+0200"]),
        ("0 2,3 * * *", ["25 02:00+0200", "25 03:00+0100"], ["29 03:00+0200"]),
        ("0,30 2 * * *", ["25 02:00+0200", "25 02:30+0200"], ["29 03:00+0200"]),
        (
            "15 1-3 * * *",
            ["25 01:15+0200", "25 02:15+0200", "25 03:15+0100"],
            ["29 01:15+0100", "29 03:00+0200", "29 03:15+0200"],
        ),
        ("0 4 * * *", ["25 04:00+0100"], ["29 04:00+0200"]),
        ("30 2 25,29 * *", ["25 02:30+0200"], ["29 03:00+0200"]),
    ],
)
def test_a_fixed_hour_runs_once_per_date_and_at_the_end_of_the_gap(
    text: str, autumn: list[str], spring: list[str]
) -> None:
    assert runs_in_berlin(text, AUTUMN, 18) == autumn
    assert runs_in_berlin(text, SPRING, 18) == spring


@pytest.mark.parametrize(("text", "seconds"), [("30 * * * *", 3600), ("*/20 * * * *", 1200), ("5 0-23/1 * * *", 3600)])
@pytest.mark.parametrize("start", [AUTUMN, SPRING])
def test_every_hour_follows_elapsed_time(text: str, seconds: float, start: datetime) -> None:
    moments = [start.timestamp()]
    for _ in range(72):
        found = cron(text).next_after(moments[-1], "Europe/Berlin")
        assert found is not None
        moments.append(found)
    assert {later - earlier for earlier, later in pairwise(moments[1:])} == {seconds}


@pytest.mark.parametrize("start", [AUTUMN, SPRING])
def test_a_step_of_hours_leaves_no_longer_gap_than_the_step(start: datetime) -> None:
    moment = start.timestamp()
    for _ in range(24):
        found = cron("0 */2 * * *").next_after(moment, "Europe/Berlin")
        assert found is not None
        assert found - moment <= 7200
        moment = found


@given(
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "UTC"]),
    st.integers(0, 365 * 24 * 60),
    st.integers(0, 23),
    st.integers(0, 59),
)
@settings(deadline=None, max_examples=100)
def test_a_fixed_time_runs_on_every_date_exactly_once(zone: str, minutes: int, hour: int, minute: int) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC).timestamp() + minutes * 60
    dates = []
    for _ in range(4):
        found = cron(f"{minute} {hour} * * *").next_after(moment, zone)
        assert found is not None
        assert found > moment
        dates.append(datetime.fromtimestamp(found, ZoneInfo(zone)).date())
        moment = found
    assert all(later - earlier == timedelta(days=1) for earlier, later in pairwise(dates))


@given(
    st.sampled_from(["Europe/Berlin", "Australia/Lord_Howe"]),
    st.integers(0, 365 * 24 * 60),
    st.integers(0, 23),
    st.integers(0, 23),
)
@settings(deadline=None, max_examples=200)
@example("Europe/Berlin", 87 * 1440 + 75, 2, 3)
@example("Europe/Berlin", 297 * 1440 + 75, 22, 2)
@example("Europe/Berlin", 297 * 1440 + 15, 1, 3)
@example("Europe/Berlin", 87 * 1440 + 45, 1, 2)
def test_quiet_hours_cover_every_moment_that_the_clock_shows_inside_them(
    zone: str, minutes: int, begin: int, end: int
) -> None:
    if begin == end:
        return
    moment = datetime(2026, 1, 1, tzinfo=UTC).timestamp() + minutes * 60

    def shown_inside(at: float) -> bool:
        reading = datetime.fromtimestamp(at, ZoneInfo(zone)).strftime("%H:%M")
        first, last = f"{begin:02}:30", f"{end:02}:30"
        return first <= reading < last if first < last else reading >= first or reading < last

    until = quiet_until([f"{begin:02}:30-{end:02}:30"], moment, zone)
    assert (until is not None) == shown_inside(moment)
    if until is not None:
        assert not shown_inside(until)
        assert all(shown_inside(at) for at in range(int(moment), int(until), 60)), "no earlier end"


@pytest.mark.parametrize(
    ("hours", "moment", "inside"),
    [
        ("22:00-02:30", datetime(2026, 10, 25, 0, 15, tzinfo=UTC), True),  # the first 02:15
        ("22:00-02:30", datetime(2026, 10, 25, 0, 45, tzinfo=UTC), False),
        ("22:00-02:30", datetime(2026, 10, 25, 1, 15, tzinfo=UTC), True),  # the second 02:15
        ("22:00-02:30", datetime(2026, 10, 25, 1, 30, tzinfo=UTC), False),
        ("02:30-03:30", datetime(2026, 3, 29, 1, 15, tzinfo=UTC), True),  # 03:15, a quarter of an hour after 02:00
        ("02:30-03:30", datetime(2026, 3, 29, 0, 59, tzinfo=UTC), False),
        ("01:30-02:30", datetime(2026, 3, 29, 1, 0, tzinfo=UTC), False),  # 03:00
    ],
)
def test_quiet_hours_where_the_clock_is_put_forward_or_back(hours: str, moment: datetime, *, inside: bool) -> None:
    assert (quiet_until([hours], moment.timestamp(), "Europe/Berlin") is not None) is inside


@pytest.fixture
def no_zone_files() -> Iterator[None]:
    """A machine without zone files, as small images are."""
    zoneinfo.reset_tzpath(to=())
    zoneinfo.ZoneInfo.clear_cache()
    yield
    zoneinfo.reset_tzpath()


@pytest.mark.usefixtures("no_zone_files")
def test_utc_needs_no_zone_files() -> None:
    with pytest.raises(zoneinfo.ZoneInfoNotFoundError):
        zoneinfo.ZoneInfo("UTC")
    assert cron("0 4 * * *").next_after(0.0, "UTC") == 4 * 3600
    assert quiet_until(["09:00-18:00"], 10 * 3600.0, "UTC") == 18 * 3600
    assert parse_past("1970-01-02", 1e9) == 86400
    assert checked(Cleanup, {"timezone": "UTC", "quiet_hours": ["09:00-18:00"]}).timezone == "UTC"
