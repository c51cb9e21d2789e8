from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.triggers.cron import CronTrigger
from hypothesis import given
from hypothesis import strategies as st

from watchd.cron import Cron, Interval, parse_schedule

WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]


def cron(text: str) -> Cron:
    parsed = parse_schedule(text)
    assert isinstance(parsed, Cron)
    return parsed


def runs(text: str, *, after: datetime) -> Iterator[datetime]:
    """Yield the times at which the scheduler runs what is planned so."""
    trigger = CronTrigger(**asdict(cron(text)), timezone="UTC")
    moment = after
    while True:
        moment = trigger.get_next_fire_time(None, moment)
        yield moment
        moment += timedelta(seconds=1)


@pytest.mark.parametrize(("text", "seconds"), [("6h", 21600), ("1s", 1), ("1h30m", 5400), (" 6h ", 21600)])
def test_one_word_is_an_interval(text: str, seconds: float) -> None:
    assert parse_schedule(text) == Interval(seconds)


@pytest.mark.parametrize(
    ("one", "same"),
    [
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
        ("@daily", "neither an interval"),
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
        CronTrigger(**asdict(schedule), timezone="UTC")
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
    assert [int(number) for number in line.minute.split(",")] == sorted(set(minutes))
    assert [int(number) for number in line.hour.split(",")] == sorted(set(hours))
    assert [int(number) for number in line.day.split(",")] == sorted(set(days))
    assert [int(number) for number in line.month.split(",")] == sorted(set(months))
