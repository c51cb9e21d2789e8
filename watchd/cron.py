"""When a policy runs: an interval ("6h"), or the five fields of a crontab line ("0 4 * * *")."""

import re
from dataclasses import dataclass

from watchd.units import parse_duration

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]  # crontab counts from Sunday, and knows it as 7 too
_ELEMENT = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/(\d+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Interval:
    """Every so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Cron:
    """The fields of a crontab line. Weekdays are names, since libraries differ in what they number 0."""

    minute: str
    hour: str
    day: str
    month: str
    day_of_week: str


def parse_schedule(text: str) -> Interval | Cron:
    """Return the meaning of "6h" or "0 4 * * *". Raise ValueError saying which part is wrong."""
    fields = text.split()
    if len(fields) == 1:
        seconds = parse_duration(text)
        if seconds < 1:
            raise ValueError("an interval is at least 1s")
        return Interval(seconds)
    if len(fields) != 5:
        raise ValueError(
            f'{text!r} is neither an interval like "6h" nor a crontab line of five fields like "0 4 * * *"'
        )
    minute, hour, day, month, weekday = fields
    cron = Cron(
        minute=_field("minute", minute, 0, 59),
        hour=_field("hour", hour, 0, 23),
        day=_field("day of month", day, 1, 31),
        month=_field("month", month, 1, 12, _MONTHS),
        day_of_week=_field("day of week", weekday, 0, 7, _WEEKDAYS),
    )
    if not day.startswith("*") and not weekday.startswith("*"):
        # crontab(5) runs when either matches, which few expect: better to refuse than to surprise.
        raise ValueError("give a day of month or a day of week, not both")
    return cron


def _field(what: str, text: str, low: int, high: int, names: list[str] | None = None) -> str:
    return ",".join(_element(what, element, low, high, names or []) for element in text.split(","))


def _element(what: str, text: str, low: int, high: int, names: list[str]) -> str:
    match = _ELEMENT.fullmatch(text)
    if not match:
        raise ValueError(f"{what}: cannot read {text!r}")
    first, last, step = match.groups()
    if step is not None and not 1 <= int(step) <= high:
        raise ValueError(f"{what}: a step of {step} never comes")
    if first is None:
        return text
    start = _number(what, first, low, high, names)
    end = start if last is None else _number(what, last, low, high, names)
    if end < start:
        raise ValueError(f"{what}: {text!r} ends before it begins")
    if names is _WEEKDAYS:
        # Spelled out one by one: a range that begins on Sunday is none where weeks begin on Monday.
        return ",".join(_WEEKDAYS[day % 7] for day in range(start, end + 1, int(step or 1)))
    if last is None and step is None:
        return str(start)
    return f"{start}-{end if last is not None else high}/{step or 1}"


def _number(what: str, text: str, low: int, high: int, names: list[str]) -> int:
    if text.lower() in names:
        return names.index(text.lower()) + (1 if names is _MONTHS else 0)
    if text.isdecimal() and low <= int(text) <= high:
        return int(text)
    raise ValueError(f"{what}: {text!r} is not between {low} and {high}")
