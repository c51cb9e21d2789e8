"""The timeline as moments, one after the other. Pure."""

from collections.abc import Iterator
from enum import IntEnum
from typing import Any, NamedTuple

from watchd.cleanup.past.record import Past
from watchd.model.history.timeline import Appearance, Life, Use


class What(IntEnum):
    """Kind of a moment, in the order in which several happen at one time."""

    RESUMED = 0  # watchd watches again; the value is for how many seconds it did not
    CAME = 1
    CHANGED = 2  # to an appearance
    SIZED = 3  # with so many bytes
    CREATED = 4  # a container came
    STARTED = 5
    STOPPED = 6  # with an exit code
    LEFT = 7
    MEASURED = 8  # a disk


class Moment(NamedTuple):
    """Something that happened. Sorted by time."""

    at: float
    what: What
    number: int  # in the record
    life: Life | None
    value: Any


def moments(past: Past, until: float) -> list[Moment]:
    """Return what happened until a time."""
    found = [
        Moment(at, what, number, life, value)
        for number, life in enumerate(past.lives)
        for at, what, value in _of_life(life)
        if at <= until
    ]
    found += [Moment(end, What.RESUMED, -1, None, end - begin) for begin, end in past.gaps() if end <= until]
    found += [
        Moment(mark.at, What.MEASURED, number, None, mark) for number, mark in enumerate(past.disks) if mark.at <= until
    ]
    return sorted(found, key=lambda moment: moment[:3])


def runs(use: Use) -> Iterator[tuple[float, float | None]]:
    """Yield the runs of a use, from and to. Its longest pause is taken to be in its middle, the others to be none."""
    if use.count < 2 or not use.longest_gap or use.last is None:
        yield use.first, use.last
        return
    middle, half = (use.first + use.last) / 2, min(use.longest_gap, use.last - use.first) / 2
    yield use.first, middle - half
    yield middle + half, use.last


def _of_life(life: Life) -> Iterator[tuple[float, What, Appearance | int | None]]:
    first, *later = life.appearances
    yield life.arrived, What.CREATED if life.key[0] == "container" else What.CAME, first
    for appearance in later:
        yield max(appearance.since, life.arrived), What.CHANGED, appearance
    for at, size in life.sizes:
        yield max(at, life.arrived), What.SIZED, size
    for use in life.uses:
        for began, ended in runs(use):
            yield max(began, life.arrived), What.STARTED, None
            if ended is not None:
                yield max(ended, life.arrived), What.STOPPED, use.exit_code
    if life.left is not None:
        yield life.left, What.LEFT, None
