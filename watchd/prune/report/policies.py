"""Policies in words: what they are about, when they act, what they keep."""

from collections.abc import Iterator, Sequence
from typing import Any

from watchd.config import Cleanup, Keep, Policy, Pressure
from watchd.prune.report.words import joined, plural
from watchd.units import format_duration


def policies(cleanup: Cleanup, due: Sequence[str] | None) -> Iterator[str]:
    """Yield a line for each policy: what it is about, when it acts, and whether it is in force."""
    for policy in cleanup.policies:
        if due is None or policy.name in due:
            mode = cleanup.mode_of(policy)
            does = "removes" if mode == "enforce" else "reports (and leaves alone)"
            yield f"{policy.name} {does} {_selected(policy)} {_conditions(policy)}"


def _selected(policy: Policy) -> str:
    select: dict[str, Any] = policy.select.model_dump(by_alias=True, exclude_defaults=True)
    labels = select.pop("labels", {})
    words = [f"{key} {_either(values)}" for key, values in select.items()]
    words += [f"{which} of the labels {', '.join(globs)}" for which, globs in labels.items()]
    return plural(policy.kind, 2) + (f" ({'; '.join(words)})" if words else "")


def _either(values: Any) -> str:
    return " or ".join(map(str, values)) if isinstance(values, list | tuple) else str(values).lower()


def _conditions(policy: Policy) -> str:
    text = joined(f"{clock} {format_duration(needs)}" for clock, needs in policy.when.items())
    if policy.pressure:
        text += f"{', ' if text else ''}{_pressure(policy.pressure)}"
    return text + (f"{', ' if text else ''}but {_kept(policy.keep)}" if policy.keep else "")


def _pressure(pressure: Pressure) -> str:
    """Return from when until when a policy acts, and what goes first."""
    written = pressure.model_dump(exclude_defaults=True)
    marks = [
        f"{what} {written[start]} until {written[end]}"
        for start, end, what in (
            ("high", "low", "the disk is fuller than"),
            ("free_below", "free_until", "its free room is below"),
            ("inodes_high", "inodes_low", "its inodes are used to more than"),
        )
        if start in written
    ]
    first = {"lru": "the least recently used", "oldest": "the oldest", "largest": "the largest"}[pressure.order]
    return f"while {' or '.join(marks)}, {first} first"


def _kept(keep: Keep) -> str:
    """Return which of the selected ones a rule keeps."""
    words = []
    if keep.last is not None:
        of = f" per {keep.grouping.replace('_', ' ')}" if keep.grouping else ""
        words.append(f"the last {keep.last}{of}")
    if keep.within is not None:
        words.append(f"those of the last {format_duration(keep.within)}")
    if getattr(keep, "newest_tag", False):
        words.append("the newest of each repository")
    return f"keeps {joined(words)}"
