"""Regrets: a listener of the watch that finds what is needed again, and records it in batches."""

import logging
from collections.abc import Callable, Iterable, Sequence

from watchd.cleanup.evidence.needs import Need, needs_in, needs_of
from watchd.cleanup.observe.follower import Change, Follower
from watchd.errors import StateError
from watchd.store import Ended, Recorded, Store

logger = logging.getLogger(__name__)

_WAIT = 600.0  # seconds for the outcome of a removal that is under way
_MOST_WAITING = 10_000


class Regrets(Follower):
    """Match what is needed with what was removed. `window` is in seconds; `on_regrets` gets each regret once.

    A fault in here must not end the daemon: nothing else depends on it.
    """

    def __init__(self, store: Store, window: float, on_regrets: Callable[[Sequence[Recorded]], None]) -> None:
        super().__init__("watchd-regrets", "looking for regrets")
        self.window = window
        self._store = store
        self._on_regrets = on_regrets
        self._waiting: list[Need] = []  # for the outcome of a removal that is under way, or for the state
        self._listed = False  # since the last tick
        self._told = ""

    def _take_in(self, changes: Sequence[Change]) -> None:
        try:
            self._match(changes)
        except StateError as error:
            self._tell(f"regrets cannot be recorded: {error}")
        except Exception as error:
            if self._tell(f"regrets cannot be found: {error!r}"):
                logger.exception("looking for regrets failed")
        else:
            self._told = ""

    def _tell(self, problem: str) -> bool:
        """Log a problem, unless it was the last one. Return whether it was logged."""
        new = problem != self._told
        if new:
            logger.warning("%s", problem)
        self._told = problem
        return new

    def _match(self, changes: Sequence[Change]) -> None:
        ticks = [change for change in changes if not change.events and change.before is change.after]
        needs, self._waiting = self._waiting, []
        for change in changes:
            self._view = change.after
            self._listed |= change.listed
            needs += needs_of(change)
            if change.listed:
                needs += needs_in(change.after)
        if not changes or not changes[-1].after.engine.is_known:
            return
        engine, now = changes[-1].after.engine.id, changes[-1].now
        self._waiting = needs  # again, if the state cannot be used
        ended, waiting = self._ended(engine, needs)
        if self._listed and ticks:  # the recorder has compared the list with the record by now
            ended += [(number, at, "it is here again") for number, at, _ in self._store.came_back(engine)]
            self._listed = False
        regrets = self._store.end_absences(ended, self.window) if ended else []
        self._waiting = [need for need in waiting if need.time > now - _WAIT][-_MOST_WAITING:]
        if regrets:
            self._on_regrets(regrets)

    def _ended(self, engine: str, needs: Sequence[Need]) -> tuple[list[Ended], list[Need]]:
        """Return the removals whose objects are needed, and the needs that may end one that is under way."""
        gone = self._store.gone(engine, {mark for need in needs for mark in need.marks}) if needs else {}
        ended: dict[int, Ended] = {}
        waiting: list[Need] = []
        for need in sorted(needs, key=lambda need: need.time) if gone else ():
            for number, row in (each for mark in need.marks for each in gone.get(mark, ())):
                if row.removal.time >= need.time or not need.not_before.isdisjoint(_names(row)):
                    continue
                if row.outcome is None:
                    waiting.append(need)
                elif number not in ended:
                    ended[number] = (number, need.time, need.why)
        return list(ended.values()), waiting


def _names(row: Recorded) -> Iterable[str]:
    """Return the references that a removed image had last."""
    former = row.removal.facts.get("former_references", ())
    return (*row.removal.names, *(each["reference"] for each in former))
