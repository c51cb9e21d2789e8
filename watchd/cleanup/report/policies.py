"""Policies in words: what they select, when they act, what they keep."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from watchd.cleanup.report.words import joined, plural
from watchd.config import Cleanup, Keep, Policy, Pressure
from watchd.config.schema.values import LABEL_GROUP
from watchd.units import format_duration, format_exact_size, format_percentage

_GOES_FIRST = {
    "lru": "the least recently used",
    "oldest": "the oldest",
    "largest": "the largest",
    "cost": "the cheapest to get again",
}


def policies(cleanup: Cleanup, due: Sequence[str] | None) -> Iterator[str]:
    """Yield a line for each policy; `due` has the names of those to show, None for all."""
    for policy in cleanup.policies:
        if due is None or policy.name in due:
            mode = cleanup.mode_of(policy)
            does = "removes" if mode == "enforce" else "only reports"
            yield f"{policy.name} {does} {_selected(policy)} {_conditions(policy)}"


def _selected(policy: Policy) -> str:
    select: dict[str, Any] = policy.select.given()
    labels = select.pop("labels", {})
    words = [f"{key} {_either(values)}" for key, values in select.items()]
    words += [f"{which} of the labels {', '.join(globs)}" for which, globs in labels.items()]
    return plural(policy.kind, 2) + (f" ({'; '.join(words)})" if words else "")


def _either(values: Any) -> str:
    """Return alternatives in words, those excluded by "!" last."""
    if not isinstance(values, list | tuple):
        return str(values).lower()
    words = [str(value) for value in values]
    excluded = [word.removeprefix("!") for word in words if word.startswith("!")]
    wanted = joined((word for word in words if not word.startswith("!")), "or")
    return f"{wanted} but not {joined(excluded, 'or')}" if excluded else wanted


def _conditions(policy: Policy) -> str:
    text = joined(f"{clock} reaches {format_duration(needs)}" for clock, needs in policy.when.items())
    text = f"once {text}" if text else ""
    if policy.pressure:
        text += f"{', ' if text else ''}{_pressure(policy.pressure)}"
    return text + (f"{', ' if text else ''}but {_kept(policy.keep)}" if policy.keep else "")


def _pressure(pressure: Pressure) -> str:
    """Return the watermarks between which a policy acts, and its order."""
    share: Callable[[Any], str] = format_percentage
    size: Callable[[Any], str] = format_exact_size
    marks = [
        f"{what.format(form(start))} until {form(end)}"
        for start, end, form, what in (
            (pressure.high, pressure.low, share, "the disk is fuller than {},"),
            (pressure.free_below, pressure.free_until, size, "the disk has less than {} free,"),
            (pressure.inodes_high, pressure.inodes_low, share, "more than {} of the disk's inodes are used,"),
            (pressure.total_above, pressure.total_until, size, "they take more than {},"),
        )
        if start is not None
    ]
    return f"while {', or '.join(marks)}, {_GOES_FIRST[pressure.order]} first"


def _kept(keep: Keep) -> str:
    """Return which of the selected objects a keep rule spares."""
    words = []
    if keep.last is not None:
        by_version = getattr(keep, "by", "arrival") == "version"
        which = f"the {keep.last} highest versions" if by_version else f"the last {keep.last}"
        words.append(f"{which}{_of(keep.grouping)}")
    if keep.within is not None:
        words.append(f"those of the last {format_duration(keep.within)}")
    if getattr(keep, "newest_tag", False):
        words.append("the newest of each repository")
    return f"keeps {joined(words)}"


def _of(group: str | None) -> str:
    if group is None or group == "host":
        return " on the host" if group else ""
    return f" per {group.replace('_', ' ').replace(LABEL_GROUP, 'label ')}"
