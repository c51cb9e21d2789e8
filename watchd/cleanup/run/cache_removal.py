"""Remove records of the build cache, many with one request: the engine walks all of the cache for each."""

import logging
from collections.abc import Mapping, Sequence

from watchd.cleanup.plan.plan import Item, Outcome
from watchd.engine.client import EngineClient
from watchd.model import CacheRecord, EngineView, Key

logger = logging.getLogger(__name__)

Result = tuple[Outcome, str]  # with its detail


class CacheRemover:
    """Remove records of the plan that was made from one view. `stopped` is why no further one may be removed."""

    def __init__(self, client: EngineClient, view: EngineView) -> None:
        self._client = client
        self._planned = {record.id: record for record in view.build_cache}
        self.stopped = ""

    def remove(self, items: Sequence[Item]) -> list[Result]:
        """Remove records, which come after their children. Return the result of each. Raise `EngineError`."""
        results = self._look(items, self._list() if self._client.lists_types else self._planned)
        asked = [item for item in items if item.id not in results]
        gone = set(self._client.prune_build_cache([self._planned[item.id] for item in asked]) if asked else ())
        further = sorted(gone.difference(item.id for item in asked))
        if further:
            self.stopped = f"the engine also removed {', '.join(further)}: no further record of the cache is removed"
            logger.error("removing records of the build cache: %s", self.stopped)
            results |= {item.id: (Outcome.FAILED, self.stopped) for item in asked}
        elif kept := [item for item in asked if item.id not in gone]:
            results |= {item.id: (Outcome.REFUSED, "BuildKit kept it") for item in kept}
            results |= self._look(kept, self._list())
        return [results.get(item.id, (Outcome.REMOVED, "")) for item in items]

    def _look(self, items: Sequence[Item], now: Mapping[str, CacheRecord]) -> dict[str, Result]:
        """Look at the records as they are now. Return the result of those that need not or must not go, by ID."""
        results: dict[str, Result] = {}
        stay: set[Key] = set()
        for item in items:
            record = now.get(item.id)
            if record is None:
                results[item.id] = Outcome.ALREADY_GONE, ""
                continue
            drift = _drift(self._planned[item.id], record)
            if drift:
                results[item.id] = Outcome.DRIFTED, drift
            elif not item.needs.isdisjoint(stay):
                results[item.id] = Outcome.DEFERRED, "a record that is made of it is still there"
            if item.id in results:
                stay.add(item.subject)
        return results

    def _list(self) -> Mapping[str, CacheRecord]:
        return {record.id: record for record in self._client.build_cache()}


def _drift(planned: CacheRecord, now: CacheRecord) -> str:
    """Return the change since the plan was made; empty: there is none."""
    if now.in_use:
        return "a build uses it now"
    return "a build has used it since" if now.last_used_at != planned.last_used_at else ""
