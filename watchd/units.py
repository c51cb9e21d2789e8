"""Durations ("90s", "1h30m"), sizes ("500MB", "20GiB"), percentages and times (RFC 3339), parsed and formatted.

A number without a unit is an error, since it is ambiguous.
"""

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
BYTES = {
    "B": 1,
    "kB": 1000, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4,
    "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4,
}  # fmt: skip
_BINARY_PREFIXES = {
    "K": 1024,
    "M": 1024**2,
    "G": 1024**3,
    "T": 1024**4,
}  # binary, as in Docker's -m 512m

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+", re.ASCII)
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])", re.ASCII)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kKMGT]i?B|B|[kKmMgGtT])", re.ASCII)

_PERCENTAGE = re.compile(r"(\d{1,3}(?:\.\d{1,2})?)\s*%", re.ASCII)

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)

_MAX_DURATION = 1000 * 365 * 86400  # seconds: more is a typo, and overflows dates
_MAX_SIZE = 1000**6  # bytes
_MAX_TIME = 253402300799.0  # the end of the year 9999, the maximum of datetime
_MAX_LOCAL_TIME = _MAX_TIME - 2 * 86400  # a time zone may be ahead of UTC


def parse_duration(text: str) -> float:
    """Parse "90s", "12h" or "1h30m" into seconds, to the millisecond. Raise ValueError with a text for users."""
    if not _DURATION.fullmatch(text):
        raise ValueError(f'{text!r} is not a duration: write a number and its unit, like "90s", "12h" or "7d"')
    seconds = math.fsum(float(number) * SECONDS[unit] for number, unit in _DURATION_PART.findall(text))
    if seconds > _MAX_DURATION:
        raise ValueError(f"{text!r} is longer than a thousand years")
    return round(seconds, 3)


def format_duration(seconds: float) -> str:
    """Format seconds exactly, so that `parse_duration` returns the same: "1h30m", "7d"."""
    milliseconds = round(seconds * 1000)
    parts: list[str] = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, milliseconds = divmod(milliseconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def short_duration(seconds: float) -> str:
    """Format seconds for reading, in their two largest units: "3h 12m"."""
    rest = max(0, int(seconds))
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])


def parse_size(text: str) -> int:
    """Parse "500MB" (decimal), "20GiB" or "20G" (binary) into bytes. Raise ValueError with a text for users."""
    match = _SIZE.fullmatch(text)
    scale = (BYTES.get(match[2]) or _BINARY_PREFIXES.get(match[2].upper())) if match else None
    if match is None or scale is None:
        raise ValueError(f'{text!r} is not a size: write a number and its unit, like "500MB" or "20GiB"')
    size = float(match[1]) * scale
    if size > _MAX_SIZE:
        raise ValueError(f"{text!r} is more than an exabyte")
    return round(size)


def format_exact_size(size: int) -> str:
    """Format bytes exactly, so that `parse_size` returns the same, in the largest unit without a fraction: "20GiB"."""
    fitting = [(scale, unit) for unit, scale in BYTES.items() if size and size % scale == 0]
    scale, unit = max(fitting, default=(1, "B"))
    return f"{size // scale}{unit}"


def format_size(size: float) -> str:
    """Format bytes for reading, in decimal units as Docker's commands: "1.24GB"."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 999.5 or unit == "TB":  # 999.6 would round to "1000"
            break
        size /= 1000
    return f"{size:.0f}{unit}" if unit == "B" or size >= 999.5 else f"{size:.3g}{unit}"


def format_amount(size: int, *, at_least: bool) -> str:
    """Format bytes of which a part may be unknown: "1.24GB", "at least 1.24GB", "unknown"."""
    if not at_least:
        return format_size(size)
    return f"at least {format_size(size)}" if size else "unknown"


def format_about(size: int, *, at_least: bool) -> str:
    """Format an estimate within a sentence: "about 1.24GB", "at least 1.24GB", "of unknown size"."""
    if not at_least:
        return f"about {format_size(size)}"
    return format_amount(size, at_least=True) if size else "of unknown size"


def format_memory(size: float) -> str:
    """Format bytes of memory for reading, in binary units as `docker stats`: "1.24GiB"."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 999.5 or unit == "TiB":
            break
        size /= 1024
    return f"{size:.0f}{unit}" if unit == "B" or size >= 999.5 else f"{size:.3g}{unit}"


def parse_percentage(text: str) -> float:
    """Parse "85%" into a share from 0 to 1. Raise ValueError with a text for users."""
    match = _PERCENTAGE.fullmatch(text)
    if not match:
        raise ValueError(f'{text!r} is not a percentage: write it like "85%"')
    if float(match[1]) > 100:
        raise ValueError(f"{text!r} is more than 100%")
    return float(match[1]) / 100


def format_percentage(share: float) -> str:
    """Format a share from 0 to 1 as a percentage: "85%", "87.5%"."""
    return f"{round(share * 100, 4):g}%"


def parse_time(text: str) -> float:
    """Parse an RFC 3339 time into seconds since the epoch, to the microsecond. Raise ValueError."""
    try:
        moment = datetime.fromisoformat(text)  # ignores the engine's nanoseconds
    except ValueError:
        raise ValueError(f'{text!r} is not a time: write one like "2026-01-31T04:00:00Z"') from None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset from UTC")
    return moment.timestamp()


def time_zone(name: str) -> tzinfo:
    """Return a time zone by its name; "UTC" also where no zone files are installed, as in small images."""
    return UTC if name == "UTC" else ZoneInfo(name)


def parse_past(text: str, now: float, timezone: str = "UTC") -> float:
    """Parse a past time into seconds since the epoch: "7d" ago, midnight of a date, or RFC 3339. Raise ValueError."""
    return _parse_moment(text, lambda duration: now - duration, timezone)


def parse_future(text: str, now: float, timezone: str = "UTC") -> float:
    """Parse a time to come: "7d" or "+7d" from now, midnight of a date, or RFC 3339. Raise ValueError."""
    return _parse_moment(text.removeprefix("+"), lambda duration: now + duration, timezone)


def _parse_moment(text: str, from_now: Callable[[float], float], timezone: str) -> float:
    try:
        if _DATE.fullmatch(text):
            return datetime.fromisoformat(text).replace(tzinfo=time_zone(timezone)).timestamp()
        return parse_time(text) if "T" in text else from_now(parse_duration(text))
    except ValueError:
        raise ValueError(
            f'{text!r} is neither a duration like "7d", a date like "2027-01-31" nor a time like "2027-01-31T04:00:00Z"'
        ) from None


def format_local_time(seconds: float) -> str:
    """Format seconds since the epoch as RFC 3339 in this machine's time zone: "2026-01-31T05:00:00+01:00"."""
    return datetime.fromtimestamp(min(seconds, _MAX_LOCAL_TIME)).astimezone().isoformat(timespec="seconds")


def format_time(seconds: float) -> str:
    """Format seconds since the epoch as RFC 3339 in UTC, to the second: "2026-01-31T04:00:00Z"."""
    return datetime.fromtimestamp(min(seconds, _MAX_TIME), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
