"""Evidence: a listener of the watch that writes the timeline and finds regrets, in batches."""

import logging
import queue
from collections.abc import Callable, Iterator, Mapping, Sequence

from watchd.cleanup.evidence.regrets import Regrets
from watchd.cleanup.evidence.timeline import Timeline
from watchd.cleanup.observe.follower import Change, Follower
from watchd.config import Cleanup
from watchd.errors import StateError
from watchd.model import Disk, EngineView, Kind
from watchd.model.history.timeline import DiskMark
from watchd.store import Recorded, Store

logger = logging.getLogger(__name__)

_MEASURE_INTERVAL = 3600.0  # seconds
_LONGEST_PAUSE = 600.0  # seconds between two runs that are one use
_SHARE = 10  # how much shorter than any duration of the configuration such a pause is


class Evidence(Follower):
    """Nothing else depends on it, so a fault in it is logged and ends nothing.

    `on_regrets` gets each regret once; `look` returns a view with the sizes and the disks that are known.
    """

    def __init__(
        self,
        store: Store,
        cleanup: Cleanup,
        on_regrets: Callable[[Sequence[Recorded]], None],
        look: Callable[[], EngineView],
    ) -> None:
        super().__init__("watchd-evidence", "recording evidence")
        self._store = store
        self._look = look
        self._regrets = Regrets(store, cleanup.regret_window, on_regrets)
        self._timeline = Timeline(store, longest_pause(cleanup))
        self._looks: queue.SimpleQueue[EngineView] = queue.SimpleQueue()
        self._measure_at = 0.0
        self._told: dict[str, str] = {}

    def replace(self, cleanup: Cleanup) -> None:
        """Go by another `[cleanup]` from now on."""
        self._regrets.window = cleanup.regret_window
        self._timeline.merge_within = longest_pause(cleanup)

    def on_fresh_view(self, view: EngineView) -> None:
        """Queue the sizes and disks of a run's view for the record."""
        self._looks.put(view)

    def _take_in(self, changes: Sequence[Change]) -> None:
        if not changes:
            return
        self._view = changes[-1].after
        if not self._succeeds("the timeline", lambda: self._timeline.take_in(changes)):
            self._timeline.begin_anew(changes[-1].now)
        self._succeeds("regrets", lambda: self._regrets.take_in(changes))
        self._succeeds("sizes and disks", lambda: self._measure(changes[-1].now))

    def _measure(self, now: float) -> None:
        if now >= self._measure_at:
            self._measure_at = now + _MEASURE_INTERVAL
            self._looks.put(self._look())
        while not self._looks.empty():
            look = self._looks.get()
            if look.engine.is_known:
                self._timeline.measure(look)
                self._store.record_disks(look.engine.id, marks(look.disks, look.taken_at))

    def _succeeds(self, what: str, do: Callable[[], None]) -> bool:
        """Do it; log why it failed, once."""
        try:
            do()
        except StateError as error:
            problem = str(error)
            if problem != self._told.get(what):
                logger.warning("%s cannot be recorded: %s", what, problem)
        except Exception as error:
            problem = repr(error)
            if problem != self._told.get(what):
                logger.exception("%s cannot be recorded", what)
        else:
            self._told.pop(what, None)
            return True
        self._told[what] = problem
        return False


def longest_pause(cleanup: Cleanup) -> float:
    """Return the seconds between two runs that may count as one use: no clock of the configuration may notice."""
    durations = [cleanup.grace, *(needs for policy in cleanup.policies for needs in policy.when.values())]
    return min([_LONGEST_PAUSE, *(each / _SHARE for each in durations)])


def marks(disks: Mapping[Kind, Disk], at: float) -> Iterator[DiskMark]:
    """Yield each disk once, with the kinds on it."""
    by_path: dict[str, list[Kind]] = {}
    for kind, disk in disks.items():
        by_path.setdefault(disk.path, []).append(kind)
    for kinds in by_path.values():
        disk = disks[kinds[0]]
        yield DiskMark(at, disk.path, tuple(kinds), disk.used, disk.available, disk.inodes_used, disk.inodes)
