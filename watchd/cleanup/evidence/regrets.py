"""Regrets: objects needed again after they were removed, or would have been."""

from collections.abc import Callable, Iterable, Sequence

from watchd.cleanup.evidence.needs import Need, needs_in, needs_of
from watchd.cleanup.observe.follower import Change
from watchd.store import Ended, Recorded, Store

_WAIT = 600.0  # seconds for the outcome of a removal that is under way
_MOST_WAITING = 10_000


class Regrets:
    """Match what is needed with what was removed. `window` is in seconds; `on_regrets` gets each regret once."""

    def __init__(self, store: Store, window: float, on_regrets: Callable[[Sequence[Recorded]], None]) -> None:
        self.window = window
        self._store = store
        self._on_regrets = on_regrets
        self._waiting: list[Need] = []  # for the outcome of a removal that is under way, or for the state
        self._listed = False  # since the last tick

    def take_in(self, changes: Sequence[Change]) -> None:
        """Find the needs in changes. After a `StateError` the same changes are looked at again with the next ones."""
        is_tick = any(not change.events and change.before is change.after for change in changes)
        for change in changes:
            self._listed |= change.listed
            self._waiting += needs_of(change)
            if change.listed:
                self._waiting += needs_in(change.after)
        del self._waiting[:-_MOST_WAITING]
        last = changes[-1]
        if not last.after.engine.is_known:
            return
        ended, waiting = self._ended(last.after.engine.id, self._waiting)
        if self._listed and is_tick:  # the recorder has compared the list with the record by now
            came = self._store.came_back(last.after.engine.id)
            ended += [(number, at, "it is here again") for number, at in came]
            self._listed = False
        regrets = self._store.end_absences(ended, self.window) if ended else []
        self._waiting = [need for need in waiting if need.time > last.now - _WAIT]
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
