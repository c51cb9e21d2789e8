"""Schedules: intervals ("6h"), crontab lines ("0 4 * * *"), quiet hours; also where clocks are put forward or back."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

from watchd.units import parse_duration, time_zone

_NO_SCHEDULE = '{!r} is neither an interval like "6h" nor a crontab line of five fields like "0 4 * * *"'
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]  # crontab counts from Sunday, which is 7, too
_ELEMENT = re.compile(r"(?:\*|(\w{1,3})(?:-(\w{1,3}))?)(?:/(\d{1,2}))?", re.ASCII)
_HOURS = re.compile(r"((?:[01]\d|2[0-3]):[0-5]\d)-((?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII)
_NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MOST_DAYS = 3000  # eight years: from 29 February 2096 to that of 2104
_LONGEST = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]  # most days of each month


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval between runs."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Cron:
    """The fields of a crontab line, each expanded to its values; weekdays count from Sunday, 0.

    Fixed hours run once per date: in the first of two equal hours in autumn, and at the end of the gap in spring where
    the clock skips them. With `*` or a step in the hour, runs follow elapsed time.
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    follows_elapsed_time: bool

    def next_after(self, moment: float, timezone: str) -> float | None:
        """Return the first time after a moment, both in seconds since the epoch. None: not within eight years."""
        zone = time_zone(timezone)
        first = datetime.fromtimestamp(moment, zone).date() - timedelta(days=1)  # a skipped hour may end on the next
        for number in range(_MOST_DAYS):
            day = first + timedelta(days=number)
            if day.day in self.days and day.month in self.months and day.isoweekday() % 7 in self.weekdays:
                found = [each for each in self._next_of(day, zone, moment) if each is not None]
                if found:
                    return min(found)
        return None

    def _next_of(self, day: date, zone: tzinfo, moment: float) -> Iterator[float | None]:
        """Yield the next time of a date, for the first and the second of two equal hours."""
        if self.follows_elapsed_time:
            yield self._first_of(_elapsed, day, zone, moment)
            yield self._first_of(_repeated, day, zone, moment)
        else:
            yield self._first_of(_once, day, zone, moment)

    def _first_of(
        self, find: Callable[[datetime], float | None], day: date, zone: tzinfo, moment: float
    ) -> float | None:
        for hour in self.hours:
            local = datetime(day.year, day.month, day.day, hour, tzinfo=zone)
            times = [each for minute in self.minutes if (each := find(local.replace(minute=minute))) is not None]
            found = min((each for each in times if each > moment), default=None)
            if found is not None:
                return found
        return None


def _elapsed(local: datetime) -> float:
    """Return the time of a reading of the clock; where the clock skips it, when so much time has passed."""
    return local.timestamp()


def _repeated(local: datetime) -> float | None:
    """Return the second time of a reading that comes twice, else None."""
    first, second = local.timestamp(), local.replace(fold=1).timestamp()
    return second if second > first else None


def _once(local: datetime) -> float:
    """Return the first time of a reading of the clock; the end of the gap where the clock skips it."""
    before, after = local.timestamp(), local.replace(fold=1).timestamp()
    return before if before <= after else _transition(after, before, local)


def _transition(before: float, after: float, local: datetime) -> float:
    """Return when the clock is put forward or back, between two moments."""
    zone = local.tzinfo
    offset = datetime.fromtimestamp(before, zone).utcoffset()
    low, high = math.floor(before), math.ceil(after)
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return float(high)


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of each day, by the clock; they end on the next day if `end` is not after `begin`."""

    begin: time
    end: time

    def until(self, moment: float, timezone: str) -> float | None:
        """Return when the clock leaves the hours around a moment, in seconds since the epoch; None outside of them."""
        zone = time_zone(timezone)
        local = datetime.fromtimestamp(moment, zone)
        if not self._include(local.time()):
            return None
        end = datetime.combine(local.date(), self.end)
        reading = local.replace(tzinfo=None)
        if end <= reading:
            end += timedelta(days=1)
        until = moment + (end - reading).total_seconds()
        later = datetime.fromtimestamp(until, zone)
        if later.utcoffset() == local.utcoffset():
            return until
        changed = _transition(moment, until, local)  # the clock is put forward or back before they end
        return self.until(changed, timezone) or changed

    def _include(self, reading: time) -> bool:
        if self.begin < self.end:
            return self.begin <= reading < self.end
        return reading >= self.begin or reading < self.end


def parse_hours(text: str) -> Hours:
    """Parse "09:00-18:00" or "22:00-06:00". Raise ValueError with the reason."""
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
    """Return the end of the quiet hours around a moment, None outside of them; adjacent hours count as one.

    Times are seconds since the epoch.
    """
    all_hours = [parse_hours(text) for text in hours]
    end: float | None = None
    for _ in range(len(all_hours) + 1):  # hours that cover the whole day would never end
        until = max((each.until(moment, timezone) or 0.0 for each in all_hours), default=0.0)
        if not until:
            return end
        end = moment = until
    return end


def parse_schedule(text: str) -> Interval | Cron:
    """Parse "6h", "0 4 * * *" or "@daily". Raise ValueError with the part that is wrong."""
    fields = _NAMED.get(text, text).split()
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
        # crontab(5) runs when either matches, which few expect.
        raise ValueError("give a day of month or a day of week, not both")
    return Cron(
        minutes=tuple(_numbers("minute", minute, 0, 59)),
        hours=tuple(_numbers("hour", hour, 0, 23)),
        days=frozenset(days),
        months=frozenset(months),
        weekdays=frozenset(number % 7 for number in weekdays),
        follows_elapsed_time="*" in hour or "/" in hour,
    )


def _numbers(what: str, text: str, low: int, high: int, names: Sequence[str] = ()) -> list[int]:
    """Return the values of a field, in order."""
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
