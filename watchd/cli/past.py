"""The recorded past, for the commands that replay it."""

import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watchd.cli.output import print_note
from watchd.config import Cleanup, Config
from watchd.errors import StateError, UsageError
from watchd.units import parse_past, short_duration

if TYPE_CHECKING:
    from watchd.cleanup.past.record import Past

# ruff: noqa: PLC0415 - see watchd/cli/__init__.py


@dataclass(frozen=True, slots=True)
class Looked:
    """A past and the time to look at, in seconds since the epoch."""

    past: "Past"
    since: float
    until: float


def load_past(config: Config, since: str, cleanups: Iterable[Cleanup]) -> Looked:
    """Load the timeline from `since` on, and earlier records that the settings need. Nothing is written.

    Of several engines in the state, the one watched last is taken; a note tells so, and another how little there is.
    """
    from watchd.cleanup.past.record import Past, longest_clock
    from watchd.store import Store

    now = time.time()
    try:
        begin = parse_past(since, now, config.cleanup.timezone)
    except ValueError as error:
        raise UsageError(f"--since: {error}") from None
    directory = config.state.resolve()
    store = Store.open_read_only(directory)
    if store is None:
        raise StateError(f"{directory} has no record yet: `watchd run` keeps one while it watches an engine")
    with closing(store):
        engines = store.engines_with_timeline()
        if not engines:
            raise StateError(f"the record in {directory} has no timeline yet: `watchd run` keeps one from now on")
        engine, *others = engines
        earlier = begin - max(map(longest_clock, cleanups))
        watched = store.watched_spans(engine)
        past = Past(engine, store.lives(engine, since=earlier), store.disk_marks(engine, since=earlier), watched)
    if others:
        print_note(f"the record has {len(engines)} engines. This is about {engine}, watched last.")
    if not watched:
        raise StateError("not enough watched yet: `watchd run` notes every 20 s that it watches; try again in a minute")
    if watched[-1][1] <= begin:
        raise StateError(f"nothing was watched since {since}: give an earlier --since")
    looked = Looked(past, max(begin, watched[0][0]), watched[-1][1])
    if begin < watched[0][0]:
        there = short_duration(looked.until - looked.since)
        print_note(f"the record is only {there} long.")
    return looked
