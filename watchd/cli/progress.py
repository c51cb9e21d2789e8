"""Progress: a line per removal, or on a terminal a bar and a line per failure; a bar while images are inspected."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import click

from watchd.cleanup import report
from watchd.cleanup.plan.plan import Item, Outcome

if TYPE_CHECKING:
    from watchd.engine.deep.walk import Walk

_MIN_FOR_BAR = 4  # items

_PARTS = 100  # of a replay

_MIN_FOR_WALK = 20  # parts to be walked

_MIN_FOR_IMAGES = 100  # to be inspected: a second or more
_Inspected = TypeVar("_Inspected")

Done = Callable[[Item, Outcome, str], None]


@contextmanager
def removal_progress(count: int, print_line: Callable[[str], None], *, bar: bool) -> Iterator[Done]:
    """Yield a function to call after each of `count` items. With a bar, failures are printed at the end."""
    if not bar or count < _MIN_FOR_BAR:
        yield lambda item, outcome, detail: print_line(report.outcome(item, outcome, detail))
        return
    failures: list[str] = []
    with click.progressbar(length=count, label="Removing", item_show_func=lambda name: name or "") as progress:

        def done(item: Item, outcome: Outcome, detail: str) -> None:
            if outcome not in (Outcome.REMOVED, Outcome.ALREADY_GONE):
                failures.append(report.outcome(item, outcome, detail))
            progress.update(1, item.name)

        yield done
    for line in failures:
        print_line(line)


def inspecting_progress(inspected: Iterator[_Inspected], count: int) -> Iterator[_Inspected]:
    """Yield each of `count` images as it is inspected, with a bar on a terminal if they are many."""
    if count < _MIN_FOR_IMAGES or not (sys.stderr and sys.stderr.isatty()):
        return inspected
    return _with_bar(inspected, count)


def _with_bar(inspected: Iterator[_Inspected], count: int) -> Iterator[_Inspected]:
    with click.progressbar(inspected, length=count, label="Inspecting images", file=sys.stderr) as progress:
        yield from progress


@contextmanager
def replay_progress(label: str) -> Iterator[Callable[[float], None]]:
    """Yield a function to call with the share that is done, shown as a bar on stderr where it is a terminal."""
    if not (sys.stderr and sys.stderr.isatty()):
        yield lambda _: None
        return
    with click.progressbar(length=_PARTS, label=label, file=sys.stderr) as progress:
        yield lambda share: progress.update(max(0, int(share * _PARTS) - progress.pos))


def walking_progress(parts: Sequence[_Inspected], walk: "Walk") -> Iterator[_Inspected]:
    """Yield each item to walk, with a bar on a terminal if they are many."""
    if len(parts) < _MIN_FOR_WALK or not (sys.stderr and sys.stderr.isatty()):
        yield from parts
        return
    shown = click.progressbar(parts, label="Walking", file=sys.stderr, item_show_func=lambda _: f"{walk.files} files")
    with shown as progress:
        walk.on_files = lambda: progress.update(0)
        yield from progress
