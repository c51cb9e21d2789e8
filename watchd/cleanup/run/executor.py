"""Execute a plan: record each removal, look at the object again, remove it, record the outcome.

Nothing is forced. After a failure the run goes on, without the objects that depend on the one that stayed.
"""

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from contextlib import closing
from itertools import groupby

from watchd.cleanup.evidence.journal import Journal
from watchd.cleanup.plan.plan import Action, Item, Outcome, Outcomes, Plan
from watchd.cleanup.plan.reasons import Reason
from watchd.cleanup.run.cache_removal import CacheRemover
from watchd.cleanup.run.control import RunControl
from watchd.cleanup.run.disk_room import DiskRoom
from watchd.cleanup.run.removal import Remover
from watchd.cleanup.run.run_events import RunEvents
from watchd.engine.client import EngineClient
from watchd.engine.decode.system import MOST_RECORDS
from watchd.errors import EngineError, EngineRefused, StateError
from watchd.model import EngineView, Key, Kind, Observations
from watchd.runtime.watchdog import Pool
from watchd.store import Store

logger = logging.getLogger(__name__)

_GONE = (Outcome.REMOVED, Outcome.ALREADY_GONE)
_REFUSALS = (403, 409)  # 403: a network that a running container is attached to
_INDEPENDENT = ("container", "volume")  # none of them depends on another one of its kind
IN_PARALLEL = 8  # the engine looks at some while it removes the files of others
IMAGES_IN_PARALLEL = 16  # containerd's store collects garbage once for those that go at the same time

_RECORDED_AT_ONCE = 10  # objects that a thread removes: each transaction waits for the disk
_VOLUMES_RECORDED_AT_ONCE = 50  # the engine removes one in less than a millisecond

_Ending = tuple[Outcome, str]  # with its detail
_Result = tuple[Item, Outcome, str]


class Executor:
    """Execute one plan, made from one view and the observations of then.

    `control` is called for each item, and may end or pause the run.
    """

    def __init__(
        self, client: EngineClient, store: Store, view: EngineView, control: RunControl, observations: Observations
    ) -> None:
        self._client = client
        self._store = store
        self._control = control
        self._view = view
        self._journal = Journal(view, observations)
        self._stayed: set[Key] = set()  # planned for removal and still there

    def execute(self, plan: Plan, room: DiskRoom) -> Outcomes:
        """Act on the items in force, in their order. Return the outcome of each that was acted on."""
        images = frozenset(item.id for item in plan.in_force if (item.kind, item.action) == ("image", "remove"))
        outcomes: dict[tuple[Kind, str, Action, str], Outcome] = {}
        following = RunEvents(self._client, since=self._view.taken_at, follow=self._view.engine.tells_networks)
        with closing(following) as events:
            self._remover = Remover(self._client, self._store, self._view, images, events)
            self._cache = CacheRemover(self._client, self._view)
            for item, outcome, detail in self._each(plan, room):
                if outcome not in _GONE:
                    self._stayed.add(item.subject)
                elif item.action == "untag":
                    self._remover.untagged.add(item.name)
                outcomes[item.key] = outcome
                self._control.on_outcome(item, outcome, detail)
        return outcomes

    def _each(self, plan: Plan, room: DiskRoom) -> Iterator[_Result]:
        groups = groupby(plan.in_force, lambda item: "" if item.reason is Reason.PRESSURE else item.kind)
        for kind, group in groups:
            items = tuple(group)
            if not kind:
                yield from self._until_low_mark(items, plan, room)
            else:
                yield from self._together(kind, items, plan)

    def _together(self, kind: str, items: Sequence[Item], plan: Plan) -> Iterator[_Result]:
        """Act on items of a kind, as many at once as may be."""
        independent, others = self._divide(kind, items)
        yield from self._in_parallel(independent, plan)
        yield from self._in_order(others, plan)

    def _divide(self, kind: str, items: Sequence[Item]) -> tuple[Sequence[Item], Sequence[Item]]:
        """Return the items that depend on no other one of their kind, then those that have an order."""
        if kind in _INDEPENDENT:
            return items, ()
        if kind != "image":
            return (), items
        removed = Counter(item.id for item in items)
        parents = {image.id: image.parent_id for image in self._view.images if image.id in removed}
        related = {id_ for id_, parent in parents.items() if parent in removed} | {*parents.values()}
        alone = [item for item in items if removed[item.id] == 1 and item.id not in related]
        return alone, [item for item in items if removed[item.id] > 1 or item.id in related]

    def _in_order(self, items: Sequence[Item], plan: Plan) -> Iterator[_Result]:
        """Act on one after the other, and on records of the build cache that follow each other together."""
        for kind, group in groupby(items, lambda item: item.kind):
            if kind == "build_cache":
                for batch in _batches(tuple(group), MOST_RECORDS):
                    yield from self._act(batch, plan, self._remove_records)
            else:
                for item in group:
                    yield from self._act([item], plan, self._remove_each)

    def _in_parallel(self, items: Sequence[Item], plan: Plan) -> Iterator[_Result]:
        if not items:
            return
        threads = _threads_for(items[0].kind)
        recorded = _VOLUMES_RECORDED_AT_ONCE if items[0].kind == "volume" else _RECORDED_AT_ONCE
        rounds = math.ceil(len(items) / threads / recorded)
        with Pool(threads, "watchd-remove", "removing an object") as pool:

            def each(going: Sequence[Item]) -> list[_Ending]:
                return self._remove_each(going, pool.beat)

            def at_once(going: Sequence[Item]) -> list[_Ending]:
                return [outcome for outcomes in pool.map(lambda item: each([item]), going) for outcome in outcomes]

            if len(items) <= threads:  # so few are recorded together
                yield from self._act(items, plan, at_once)
                return
            batches = _batches(items, math.ceil(len(items) / threads / rounds))
            acting = [pool.submit(lambda batch: [*self._act(batch, plan, each)], batch) for batch in batches]
            for future in as_completed(acting):
                yield from future.result()

    def _until_low_mark(self, items: Sequence[Item], plan: Plan, room: DiskRoom) -> Iterator[_Result]:
        """Act on items of any kind while their disk is above its low mark, and measure after each step."""
        while items := self._still_to_do(items):
            if pause := self._control.pause():  # nothing has to be measured for what stays
                gone, there = self._divide_gone(items)
                yield from self._in_order(gone, plan)
                yield from ((item, Outcome.DEFERRED, pause) for item in there)
                return
            step = room.begin_step(items)
            items = items[len(step) :]
            removed = []
            for (kind, _), group in groupby(step, lambda item: (item.kind, item.policy)):
                for batch in _at_once(kind, tuple(group)):
                    gone, there = self._divide_gone(batch)
                    yield from self._in_order(gone, plan)
                    enough = room.enough(there[0]) if there else ""
                    if enough:
                        yield from ((item, Outcome.DEFERRED, enough) for item in there)
                        continue
                    for result in self._together(kind, there, plan):
                        if result[1] is Outcome.REMOVED:
                            removed.append(result[0])
                        yield result
            if removed:
                room.end_step(removed)

    def _still_to_do(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return the items still to act on: once the run ends, only those that are gone, which have to be recorded."""
        ends = bool(items) and self._control.ends_before(items[0].kind)
        return self._divide_gone(items)[0] if ends else items

    def _divide_gone(self, items: Sequence[Item]) -> tuple[Sequence[Item], Sequence[Item]]:
        """Return the items that went along with another one, then those that are still there."""
        return [item for item in items if self._is_gone(item)], [item for item in items if not self._is_gone(item)]

    def _act(
        self, items: Sequence[Item], plan: Plan, remove: Callable[[Sequence[Item]], list[_Ending]]
    ) -> Iterator[_Result]:
        """Record removals of one kind, try them, and record their outcomes. `remove` may end after the current one."""
        if self._control.ends_before(items[0].kind) and not self._is_gone(items[0]):  # what is gone has to be recorded
            return
        reasons = {item.key: self._reason_to_defer(item) for item in items}
        yield from ((item, Outcome.DEFERRED, reasons[item.key]) for item in items if reasons[item.key])
        going = [item for item in items if not reasons[item.key]]
        if not going:
            return
        now = time.time()
        try:
            numbers = self._store.record_all(
                self._journal.removal(item, plan.plan_id, now, self._control.cause) for item in going
            )
        except StateError as error:
            yield from ((item, Outcome.FAILED, f"it cannot be recorded, so it stays: {error}") for item in going)
            return
        results = remove(going)
        try:
            self._store.record_outcomes(numbers, results)
        except StateError as error:
            for item, (outcome, _) in zip(going, results, strict=False):
                logger.warning("cannot record the outcome %s of %s %s: %s", outcome, item.kind, item.name, error)
        yield from ((item, *result) for item, result in zip(going, results, strict=False))
        if not self._control.ends_before(items[0].kind):
            yield from ((item, Outcome.DEFERRED, self._control.pause()) for item in going[len(results) :])

    def _remove_each(self, items: Sequence[Item], beat: Callable[[], object] = lambda: None) -> list[_Ending]:
        """Remove one after the other. Return the results, fewer than items where the run ends or pauses.

        `beat` is called before each object.
        """
        results: list[_Ending] = []
        for item in items:
            if results and (self._control.ends_before(item.kind) or self._control.pause()):
                break
            self._control.on_item(item)
            beat()
            try:
                results.append(self._remover.remove(item))
            except EngineError as error:
                gone = isinstance(error, EngineRefused) and error.status == 404
                results.append((Outcome.ALREADY_GONE, "") if gone else _failure(error))
        return results

    def _remove_records(self, items: Sequence[Item]) -> list[_Ending]:
        """Remove records of the build cache with one request."""
        self._control.on_item(items[0])
        try:
            return self._cache.remove(items)
        except EngineError as error:
            return [_failure(error)] * len(items)

    def _reason_to_defer(self, item: Item) -> str:
        if item.subject in self._stayed or not item.needs.isdisjoint(self._stayed):
            return "an object that has to go first is still there"
        stopped = {"image": self._remover.images_stopped, "build_cache": self._cache.stopped}.get(item.kind, "")
        return stopped or ("" if self._is_gone(item) else self._control.pause())

    def _is_gone(self, item: Item) -> bool:
        return item.id in self._remover.removed_along


def _at_once(kind: str, items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Yield the items in batches, between which the disk is measured. An item of unknown size is a batch of its own."""
    if kind == "build_cache":
        yield items
        return
    for is_known, group in groupby(items, lambda item: item.bytes > 0 and not item.at_least):
        yield from _batches(tuple(group), _threads_for(kind) if is_known else 1)


def _threads_for(kind: str) -> int:
    return IMAGES_IN_PARALLEL if kind == "image" else IN_PARALLEL


def _batches(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _failure(error: EngineError) -> _Ending:
    """Return the result of a removal that the engine did not do."""
    refused = isinstance(error, EngineRefused) and error.status in _REFUSALS
    return (Outcome.REFUSED if refused else Outcome.FAILED), str(error)
