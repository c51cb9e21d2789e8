"""When a policy runs: an interval ("6h"), or the five fields of a crontab line ("0 4 * * *"); and when none does."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from watchd.units import parse_duration

_NO_SCHEDULE = '{!r} is neither an interval like "6h" nor a crontab line of five fields like "0 4 * * *"'
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]  # crontab counts from Sunday, and knows it as 7 too
_ELEMENT = re.compile(r"(?:\*|(\w{1,3})(?:-(\w{1,3}))?)(?:/(\d{1,2}))?", re.ASCII)
_HOURS = re.compile(r"((?:[01]\d|2[0-3]):[0-5]\d)-((?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII)
_LONGEST = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]  # days of the months, at the most


@dataclass(frozen=True, slots=True)
class Interval:
    """Every so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Cron:
    """The fields of a crontab line, each the list of all that it means.

    Weekdays are names, since libraries differ in what they number 0, and in where their steps begin.
    """

    minute: str
    hour: str
    day: str
    month: str
    day_of_week: str


@dataclass(frozen=True, slots=True)
class Hours:
    """A part of every day; it ends on the next one where `end` is not after `begin`."""

    begin: time
    end: time

    def until(self, moment: float, timezone: str) -> float | None:
        """Return when it ends if it has a moment in it, both in seconds since the epoch; None if it has not."""
        zone = ZoneInfo(timezone)
        local = datetime.fromtimestamp(moment, zone)
        for days in (-1, 0):
            day = local.date() + timedelta(days=days)
            begin = datetime.combine(day, self.begin, zone).timestamp()
            past_midnight = timedelta(days=1 if self.end <= self.begin else 0)
            end = datetime.combine(day + past_midnight, self.end, zone).timestamp()
            if begin <= moment < end:
                return end
        return None


def parse_hours(text: str) -> Hours:
    """Return the meaning of "09:00-18:00" or "22:00-06:00". Raise ValueError saying what is wrong."""
    match = _HOURS.fullmatch(text)
    if text.endswith("-24:00") and not match:
        raise ValueError(f'{text!r}: a day ends at 00:00: write "{text.removesuffix("24:00")}00:00"')
    if not match:
        raise ValueError(f'{text!r} are no hours: write them like "09:00-18:00"')
    begin, end = time.fromisoformat(match[1]), time.fromisoformat(match[2])
    if begin == end:
        raise ValueError(f'{text!r} is all day: to remove nothing at all, set mode = "report"')
    return Hours(begin, end)


def quiet_until(hours: Iterable[str], moment: float, timezone: str) -> float | None:
    """Return when the hours that have a moment in them end, those that follow without a pause included; None: in none.

    Times are seconds since the epoch.
    """
    all_hours = [parse_hours(text) for text in hours]
    end: float | None = None
    for _ in range(len(all_hours) + 1):  # hours that cover all of the day would go on for ever
        until = max((each.until(moment, timezone) or 0.0 for each in all_hours), default=0.0)
        if not until:
            return end
        end = moment = until
    return end


def parse_schedule(text: str) -> Interval | Cron:
    """Return the meaning of "6h" or "0 4 * * *". Raise ValueError saying which part is wrong."""
    fields = text.split()
    if len(fields) == 1:
        try:
            seconds = parse_duration(fields[0])
        except ValueError:
            raise ValueError(_NO_SCHEDULE.format(text)) from None
        if seconds < 1:
            raise ValueError("an interval is at least 1s")
        return Interval(seconds)
    if len(fields) != 5:
        raise ValueError(_NO_SCHEDULE.format(text))
    minute, hour, day, month, weekday = fields
    days = _numbers("day of month", day, 1, 31)
    months = _numbers("month", month, 1, 12, _MONTHS)
    weekdays = _numbers("day of week", weekday, 0, 7, _WEEKDAYS)
    if min(days) > max(_LONGEST[number - 1] for number in months):
        raise ValueError(f"day {min(days)} never comes in these months")
    if not day.startswith("*") and not weekday.startswith("*"):
        # crontab(5) runs when either matches, which few expect: better to refuse than to surprise.
        raise ValueError("give a day of month or a day of week, not both")
    return Cron(
        minute=_list(_numbers("minute", minute, 0, 59)),
        hour=_list(_numbers("hour", hour, 0, 23)),
        day=_list(days),
        month=_list(months),
        day_of_week=_list(_WEEKDAYS[number] for number in sorted({number % 7 for number in weekdays})),
    )


def _list(values: Iterable[object]) -> str:
    return ",".join(map(str, values))


def _numbers(what: str, text: str, low: int, high: int, names: Sequence[str] = ()) -> list[int]:
    """Return all that a field means, in order."""
    return sorted({number for element in text.split(",") for number in _element(what, element, low, high, names)})


def _element(what: str, text: str, low: int, high: int, names: Sequence[str]) -> range:
    match = _ELEMENT.fullmatch(text)
    if not match:
        raise ValueError(f"{what}: cannot read {text!r}")
    first, last, step = match.groups()
    if step is not None and not 1 <= int(step) <= high:
        raise ValueError(f"{what}: a step of {step} never comes")
    if first is None:
        return range(low, high + 1, int(step or 1))
    if step is not None and last is None:
        raise ValueError(f'{what}: {text!r} has a step without a range: write "{first}-{high}/{step}"')
    start = _number(what, first, low, high, names)
    end = start if last is None else _number(what, last, low, high, names)
    if end < start:
        raise ValueError(f"{what}: {text!r} ends before it begins")
    return range(start, end + 1, int(step or 1))


def _number(what: str, text: str, low: int, high: int, names: Sequence[str]) -> int:
    if text.lower() in names:
        return names.index(text.lower()) + (1 if names is _MONTHS else 0)
    if text.isdecimal() and low <= int(text) <= high:
        return int(text)
    raise ValueError(f"{what}: {text!r} is not between {low} and {high}")
