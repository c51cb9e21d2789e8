"""Watches how full the engine's disks are, and has the policies act that say so."""

import logging
import threading
import time
from collections.abc import Callable, Mapping

from watchd.config import Cleanup, Policy, Pressure
from watchd.model import Disk, Kind
from watchd.prune.pressure import pressing

logger = logging.getLogger(__name__)

INTERVAL = 5.0  # seconds between two looks; each is one statvfs
LOCATE_AGAIN = 60.0  # seconds until the disks are looked for again, if they were not found; then twice that, and so on
LOCATE_AGAIN_MOST = 3600.0
TRY_AGAIN = 300.0  # seconds until a policy acts again that made no room

Run = Callable[[frozenset[str]], int | None]  # of these policies: how many objects went; None: no run took place


class DiskWatch:
    """Looks every few seconds, in a thread of its own from `start` to `stop`.

    A policy acts from its first mark until its second one, over several runs if need be. `locate` finds the disks, an
    empty mapping where they are not provably the engine's; `measure` looks at one again; `tell` is told after each
    look which policies act, and whether they have nothing left to remove.
    """

    def __init__(
        self,
        cleanup: Cleanup,
        locate: Callable[[], Mapping[Kind, Disk]],
        measure: Callable[[Disk], Disk | None],
        run: Run,
        tell: Callable[[Mapping[str, bool]], None],
    ) -> None:
        self._policies: list[tuple[Policy, Pressure]] = [
            (policy, policy.pressure) for policy in cleanup.policies if policy.pressure is not None
        ]
        self._cleanup = cleanup
        self._locate = locate
        self._measure = measure
        self._run = run
        self._tell = tell
        self._disks: Mapping[Kind, Disk] = {}
        self._locate_at = 0.0  # monotonic, as are all times here
        self._locate_again = LOCATE_AGAIN
        self._act_at: dict[str, float] = {}  # of the policies that act: when next
        self._exhausted: set[str] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="watchd-disk", daemon=True)

    def start(self) -> None:
        """Begin to look, if any policy wants that."""
        if self._policies:
            self._thread.start()

    def stop(self, timeout: float = 1.0) -> bool:
        """Look no more, and wait at most `timeout` seconds for a run under way. Return whether it has ended."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def look(self, now: float) -> None:
        """Look once, and act where it is time to."""
        if not self._disks and now >= self._locate_at:
            self._find(now)
        self._update()
        due = frozenset(name for name, moment in self._act_at.items() if moment <= now)
        if due:
            went = self._run(due)
            self._update()
            for name in due & self._act_at.keys():
                self._act_at[name] = now if went else now + TRY_AGAIN
                if went == 0 and name not in self._exhausted and self._enforces(name):
                    self._exhausted.add(name)
                    logger.warning("policy %s has nothing left to remove, and its disk is still too full", name)
                elif went:
                    self._exhausted.discard(name)
        if not self._stopping.is_set():  # else another one tells by now
            self._tell({name: name in self._exhausted for name in self._act_at})

    def _work(self) -> None:
        while not self._stopping.wait(INTERVAL):
            self.look(time.monotonic())

    def _find(self, now: float) -> None:
        self._disks = self._locate()
        if not self._disks:
            if self._locate_again == LOCATE_AGAIN:
                logger.warning(
                    "disk pressure is not watched: the engine's data is not provably on a disk of this machine that"
                    " watchd can see (docs/cleaning.md says what proves it)"
                )
            self._locate_at = now + self._locate_again
            self._locate_again = min(2 * self._locate_again, LOCATE_AGAIN_MOST)

    def _update(self) -> None:
        """Measure, and note which policies begin to act and which have reached their mark."""
        measured = {disk.path: self._measure(disk) for disk in self._disks.values()}
        for policy, pressure in self._policies:
            disk = self._disks.get(policy.kind)
            now = measured[disk.path] if disk else None
            if now is None:
                continue
            acts = policy.name in self._act_at
            if pressing(pressure, now, acts_already=acts):
                if not acts:
                    logger.warning("%s is %.1f%% full: policy %s acts", now.path, now.used_share * 100, policy.name)
                    self._act_at[policy.name] = 0.0
            elif acts:
                logger.info("%s is %.1f%% full: policy %s is done", now.path, now.used_share * 100, policy.name)
                del self._act_at[policy.name]
                self._exhausted.discard(policy.name)

    def _enforces(self, name: str) -> bool:
        return any(policy.name == name and self._cleanup.mode_of(policy) == "enforce" for policy, _ in self._policies)
