"""Durations, sizes, percentages and times, as people write and read them.

A duration has a unit ("90s", "12h", "7d", "1h30m"), a size has one ("500MB", "20GiB"): a bare number is an error, since
whoever wrote it may have meant something else. Times are RFC 3339, as the Engine API writes them.
"""

import math
import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
BYTES = {
    "B": 1,
    "kB": 1000, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4,
    "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4,
}  # fmt: skip

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+", re.ASCII)
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])", re.ASCII)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kKMGT]i?B|B)", re.ASCII)

_PERCENTAGE = re.compile(r"(\d{1,3}(?:\.\d{1,2})?)\s*%", re.ASCII)

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)

_LONGEST = 1000 * 365 * 86400  # a duration beyond a thousand years is a slip of the pen, and overflows dates
_LARGEST = 1000**6  # an exabyte, the same
_LAST = 253402300799.0  # the last second of the year 9999: datetime has no later one


def parse_duration(text: str) -> float:
    """Return the seconds of "90s", "12h" or "1h30m", to the millisecond. Raise ValueError saying what is wrong."""
    if not _DURATION.fullmatch(text):
        raise ValueError(f'{text!r} is not a duration: write a number and its unit, like "90s", "12h" or "7d"')
    seconds = math.fsum(float(number) * SECONDS[unit] for number, unit in _DURATION_PART.findall(text))
    if seconds > _LONGEST:
        raise ValueError(f"{text!r} is longer than a thousand years")
    return round(seconds, 3)


def format_duration(seconds: float) -> str:
    """Return exactly what `parse_duration` reads as the same number, in the largest units: "1h30m", "7d"."""
    milliseconds = round(seconds * 1000)
    parts: list[str] = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, milliseconds = divmod(milliseconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def about(seconds: float) -> str:
    """Return a duration for reading: its two largest units, like "3h 12m"."""
    rest = max(0, int(seconds))
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])


def parse_size(text: str) -> int:
    """Return the bytes of "500MB" (decimal) or "20GiB" (binary). Raise ValueError saying what is wrong."""
    match = _SIZE.fullmatch(text)
    if not match or match[2] not in BYTES:
        raise ValueError(f'{text!r} is not a size: write a number and its unit, like "500MB" or "20GiB"')
    size = float(match[1]) * BYTES[match[2]]
    if size > _LARGEST:
        raise ValueError(f"{text!r} is more than an exabyte")
    return round(size)


def exact_size(size: int) -> str:
    """Return exactly what `parse_size` reads as the same number, in the largest unit that has no fraction: "20GiB"."""
    fitting = [(scale, unit) for unit, scale in BYTES.items() if size and size % scale == 0]
    scale, unit = max(fitting, default=(1, "B"))
    return f"{size // scale}{unit}"


def format_size(size: float) -> str:
    """Return a size for reading, in the decimal units that Docker's own commands use: "1.24GB"."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 999.5 or unit == "TB":  # 999.6 would round to "1000"
            break
        size /= 1000
    return f"{size:.0f}{unit}" if unit == "B" or size >= 999.5 else f"{size:.3g}{unit}"


def parse_percentage(text: str) -> float:
    """Return the share from 0 to 1 that "85%" means. Raise ValueError saying what is wrong."""
    match = _PERCENTAGE.fullmatch(text)
    if not match:
        raise ValueError(f'{text!r} is not a percentage: write it like "85%"')
    if float(match[1]) > 100:
        raise ValueError(f"{text!r} is more than 100%")
    return float(match[1]) / 100


def format_percentage(share: float) -> str:
    """Return a share from 0 to 1 as a percentage, with as few digits as it has: "85%", "87.5%"."""
    return f"{round(share * 100, 4):g}%"


def parse_time(text: str) -> float:
    """Return the seconds since the epoch of an RFC 3339 time, to the microsecond. Raise ValueError."""
    try:
        moment = datetime.fromisoformat(text)  # of the engine's nanoseconds it reads the microseconds
    except ValueError:
        raise ValueError(f'{text!r} is not a time: write one like "2026-01-31T04:00:00Z"') from None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset from UTC")
    return moment.timestamp()


def parse_past(text: str, now: float, timezone: str = "UTC") -> float:
    """Return the seconds since the epoch of what "7d" ago was, of a date's midnight, or of an RFC 3339 time.

    Raise ValueError.
    """
    try:
        if _DATE.fullmatch(text):
            return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(timezone)).timestamp()
        return parse_time(text) if "T" in text else now - parse_duration(text)
    except ValueError:
        raise ValueError(
            f'{text!r} is neither a duration like "7d", a date like "2027-01-31" nor a time like "2027-01-31T04:00:00Z"'
        ) from None


def format_time(seconds: float) -> str:
    """Return seconds since the epoch as RFC 3339 in UTC, to the second: "2026-01-31T04:00:00Z"."""
    return datetime.fromtimestamp(min(seconds, _LAST), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
