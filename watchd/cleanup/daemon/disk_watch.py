"""Watch the disks of the engine's data, and run the policies with a pressure when one is too full."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from watchd.cleanup.plan.rules.watermarks import Watermark, active_watermarks, watermarks
from watchd.cleanup.report.words import joined
from watchd.config import Cleanup, Policy, Pressure
from watchd.engine.data.disks import EngineDisks, Measured
from watchd.engine.own_container import find_own
from watchd.model import Disk, EngineView, Event, Kind
from watchd.runtime.watchdog import Heartbeat

logger = logging.getLogger(__name__)

INTERVAL = 5.0  # seconds between two looks at most; each is one statvfs
SHORTEST_INTERVAL = 0.5
FILLS_AT = 50_000_000  # bytes a second that a disk may begin to fill at, from one moment to the next
LOCATE_AGAIN = 60.0  # seconds until disks that were not found are looked for again; doubled each time
LOCATE_AGAIN_MOST = 3600.0
TRY_AGAIN = 5.0  # seconds from the end of a run that freed nothing to the next try; doubled each time, but for an event
TRY_AGAIN_MOST = 300.0
_SHARE = 5.0  # how much longer than a run that freed nothing took the next try waits, at least
IN_VAIN = 15.0  # seconds from a run whose removals freed nothing to the next try, whatever happens; doubled each time
IN_VAIN_MOST = 86_400.0  # each try costs an object

# Events after which an object of a kind may go that could not before: type and action, of Docker and Podman; "": any.
_OPENS: Mapping[Kind, frozenset[tuple[str, str]]] = {
    "container": frozenset((("container", "die"), ("container", "died"))),
    "image": frozenset((("container", "destroy"), ("container", "remove"), ("image", ""))),
    "volume": frozenset((("container", "destroy"), ("container", "remove"), ("volume", ""))),
    "build_cache": frozenset((("image", ""), ("builder", ""))),
}


class Removed(NamedTuple):
    """The result of a run under pressure: the number of objects removed, and the kinds that it ended as in vain."""

    number: int
    in_vain: frozenset[Kind] = frozenset()


Run = Callable[[frozenset[str]], Removed | None]  # of these policies; None: there was no full run


@dataclass(slots=True)
class _Acting:
    """A policy between its marks."""

    run_at: float = 0.0  # monotonic
    try_again: float = TRY_AGAIN  # seconds to wait if the next run removes nothing
    in_vain: float = IN_VAIN  # seconds to wait if its removals free nothing
    not_before: float = 0.0  # monotonic: however many events there are
    exhausted: bool = False


class DiskWatch:
    """Measure the disks, in a thread of its own, the more often the sooner a mark may be passed.

    A policy acts from its high mark until its low mark, over several runs if need be. `locate` finds the disks, as far
    as they are provably the engine's, None before it was listed; `measure` measures one again; `report` gets the
    acting policies after each look, with whether they can make no more room. None runs in quiet hours (`is_quiet`).
    `clock` is monotonic.
    """

    def __init__(  # noqa: PLR0913 - what it measures, and what it calls
        self,
        cleanup: Cleanup,
        locate: Callable[[], Measured | None],
        measure: Callable[[Disk], Disk | None],
        run: Run,
        report: Callable[[Mapping[str, bool]], None],
        *,
        is_quiet: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policies: list[tuple[Policy, Pressure]] = [
            (policy, policy.pressure)
            for policy in cleanup.policies
            if policy.pressure is not None and any(watermarks(policy.pressure))
        ]
        self._cleanup = cleanup
        self._locate = locate
        self._measure = measure
        self._run = run
        self._report = report
        self._is_quiet = is_quiet
        self._clock = clock
        self._disks: Mapping[Kind, Disk] = {}
        self._locate_at = 0.0
        self._locate_again = LOCATE_AGAIN
        self._is_missing = False  # whether a policy's disk is not known
        self._logged: set[str] = set()  # why
        self._acting: dict[str, _Acting] = {}  # by policy
        self._rooms: dict[tuple[str, Watermark], tuple[float, float]] = {}  # to a high mark, and when that was
        self._opened: set[Kind] = set()  # of what something may go by now, by the events since the last look
        self._lock = threading.Lock()  # of the one above
        self.interval = INTERVAL
        """Seconds until the next look."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="watchd-disk", daemon=True)
        self._heartbeat = Heartbeat("measuring disks", thread="watchd-disk")

    def start(self) -> None:
        """Start the thread, if any policy has a pressure."""
        if self._policies:
            self._thread.start()

    def stop(self) -> None:
        """End the thread once its current run has ended."""
        self._stopping.set()

    def on_events(self, events: Iterable[Event]) -> None:
        """Note events: a policy that found nothing to remove tries again, and what starts may prove where disks are."""
        happened = {pair for event in events for pair in ((event.type, event.action), (event.type, ""))}
        with self._lock:
            self._opened |= {kind for kind, opening in _OPENS.items() if not opening.isdisjoint(happened)}
        if self._is_missing and ("container", "start") in happened:
            self._locate_at, self._locate_again = self._clock(), LOCATE_AGAIN

    def look(self) -> None:
        """Measure the disks once, and run the policies that are due."""
        with self._heartbeat.busy():  # a run is not a step of this thread: it may wait for another one
            if self._clock() >= self._locate_at:
                self._find_disks()
            self._update()
        began = self._clock()
        self._take_events()
        due = frozenset(name for name, acting in self._acting.items() if acting.run_at <= began)
        if due and not self._is_quiet():
            self._report_acting()
            removed = self._run(due)
            with self._heartbeat.busy():
                self._update()
            self._plan_next(due, removed, began)
        self._report_acting()

    def _report_acting(self) -> None:
        self._report({name: acting.exhausted for name, acting in self._acting.items()})

    def _work(self) -> None:
        while not self._stopping.wait(self.interval):
            self.look()

    def _find_disks(self) -> None:
        located = self._locate()
        if located is None:
            return
        self._disks = located.disks
        missing: dict[str, list[str]] = {}
        for policy, _ in self._policies:
            if policy.kind in located.unmeasured:
                missing.setdefault(located.unmeasured[policy.kind], []).append(policy.name)
        for why in missing.keys() - self._logged:
            logger.warning("disk pressure is not watched for %s: %s", joined(missing[why]), why)
        self._logged |= missing.keys()
        self._is_missing = bool(missing)
        self._locate_at = self._clock() + (self._locate_again if missing else LOCATE_AGAIN_MOST)
        self._locate_again = min(2 * self._locate_again, LOCATE_AGAIN_MOST)

    def _update(self) -> None:
        """Measure, note which policies begin to act and which reached their low mark, and when to look next."""
        measured = {disk.path: self._measure(disk) for disk in self._disks.values()}
        interval = INTERVAL
        for policy, pressure in self._policies:
            disk = self._disks.get(policy.kind)
            now = measured[disk.path] if disk else None
            if now is None:
                continue
            acts = policy.name in self._acting
            if active_watermarks(pressure, now, acting=acts):
                if not acts:
                    logger.warning("%s is %.1f%% full: policy %s acts", now.path, now.used_share * 100, policy.name)
                    self._acting[policy.name] = _Acting()
                interval = SHORTEST_INTERVAL
                continue
            if acts:
                logger.info("%s is %.1f%% full: policy %s is done", now.path, now.used_share * 100, policy.name)
                del self._acting[policy.name]
            interval = min(interval, *(self._until_next_look(policy, mark, now) for mark in watermarks(pressure)))
        self.interval = interval

    def _until_next_look(self, policy: Policy, mark: Watermark, disk: Disk) -> float:
        """Return the seconds until the next look: half of the time in which the disk may reach a high mark."""
        now, room = self._clock(), mark.room(disk)
        before, then = self._rooms.get((policy.name, mark), (room, now))
        self._rooms[policy.name, mark] = room, now
        rate = max((before - room) / max(now - then, SHORTEST_INTERVAL), 0 if mark.name == "inodes_high" else FILLS_AT)
        return max(SHORTEST_INTERVAL, min(INTERVAL, room / rate / 2 if rate else INTERVAL))

    def _take_events(self) -> None:
        """Let policies run again that found nothing to remove, if something may go by now."""
        with self._lock:
            opened, self._opened = self._opened, set()
        for policy, _ in self._policies:
            acting = self._acting.get(policy.name)
            if acting is not None and policy.kind in opened:
                acting.run_at = min(acting.run_at, acting.not_before)
                acting.try_again = TRY_AGAIN

    def _plan_next(self, due: frozenset[str], removed: Removed | None, began: float) -> None:
        """Set when the policies of a run that has just ended run next.

        That is at the next look if it removed anything, but for those whose removals freed nothing.
        """
        ended = self._clock()
        for policy in (policy for policy, _ in self._policies if policy.name in due & self._acting.keys()):
            acting = self._acting[policy.name]
            in_vain = removed is not None and policy.kind in removed.in_vain
            if removed is not None and removed.number and not in_vain:
                acting.run_at, acting.try_again, acting.in_vain, acting.exhausted = ended, TRY_AGAIN, IN_VAIN, False
                continue
            acting.not_before = ended + max(TRY_AGAIN, _SHARE * (ended - began))
            if in_vain:
                acting.not_before = max(acting.not_before, ended + acting.in_vain)
                acting.in_vain = min(2 * acting.in_vain, IN_VAIN_MOST)
            acting.run_at = max(acting.not_before, ended + acting.try_again)
            acting.try_again = min(2 * acting.try_again, TRY_AGAIN_MOST)
            if removed is not None and not acting.exhausted and self._cleanup.mode_of(policy) == "enforce":
                acting.exhausted = True
                logger.warning("policy %s can make no more room now, and its disk is still too full", policy.name)


def locate_disks(view: EngineView, disks: EngineDisks) -> Measured | None:
    """Measure the disks of the engine's data, as far as they are provably the engine's; None: it is not listed yet."""
    if not view.engine.is_known:
        return None
    return disks.measure(view.engine, view.containers, view.volumes, view.images, find_own())


def measured_view(view: EngineView, disks: EngineDisks) -> EngineView:
    """Return a view with the sizes that were measured last, and the disks as they are now."""
    measured = locate_disks(view, disks)
    return replace(view.sized(), disks=measured.disks if measured else {}, taken_at=time.time())
