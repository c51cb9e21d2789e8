"""A run of the daemon: its log lines, its metrics, and its end in quiet hours."""

import logging
import threading
import time
from collections.abc import Callable, Collection

from watchd.cleanup import report
from watchd.cleanup.daemon.gate import RunGate
from watchd.cleanup.daemon.prune_metrics import PruneMetrics
from watchd.cleanup.plan.plan import Item, Outcome
from watchd.cleanup.run.control import RunControl
from watchd.cleanup.run.planning import Prepared
from watchd.cleanup.run.run import FAILURES, RunResult
from watchd.model import EngineView, Kind
from watchd.units import format_time

logger = logging.getLogger(__name__)


class DaemonRun(RunControl):
    """Log and count one run of the policies that are due.

    `quiet_until` returns when the current quiet hours end, None outside of them; `containers_due` whether a policy for
    containers has come due since the run began. Both are asked before each object; `clock` is monotonic.
    """

    def __init__(  # noqa: PLR0913 - what a run of the daemon touches
        self,
        due: Collection[str],
        *,
        under_pressure: bool,
        stop: threading.Event,
        gate: RunGate,
        metrics: PruneMetrics,
        quiet_until: Callable[[], float | None],
        on_fresh_view: Callable[[EngineView], None],
        containers_due: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(stop)
        self.paused_until: float | None = None  # quiet hours that began during the run
        self.gave_way = False  # to containers that were due
        self._lock = threading.Lock()  # objects are removed in several threads
        self._containers_due = containers_due
        self._clock = clock
        self._began = clock()
        self._others_began: float | None = None  # objects other than containers
        self._put_off_for: set[str] = set()  # reasons that were logged
        self._due = due
        self._under_pressure = under_pressure
        self.cause = "pressure" if under_pressure else "schedule"
        self._gate = gate
        self._metrics = metrics
        self._quiet_until = quiet_until
        self._compare = on_fresh_view
        gate.begin_step("listing the engine's objects")

    def on_fresh_view(self, view: EngineView) -> None:
        """Plan next."""
        self._gate.begin_step("planning")
        self._compare(view)

    def on_plan(self, prepared: Prepared) -> bool:
        """Log and count the plan, and execute it."""
        plan = prepared.plan
        self._metrics.on_plan(plan, self._due)
        if not plan.in_force:
            level = logging.DEBUG if self._under_pressure else logging.INFO  # a full disk is tried often
            level = logging.WARNING if plan.incomplete else level
            logger.log(level, "plan %s: %s", plan.plan_id, report.nothing_removed(plan))
            return True
        for line in report.plan(plan, dry_run=False):
            if line:
                logger.info("plan %s: %s", plan.plan_id, line.strip())
        self._gate.begin_step("waiting for the run of another process")
        return True

    def ends_before(self, kind: Kind) -> bool:
        """Give way to containers that are due, after as much time for other objects as the run took before them."""
        if self.stop.is_set() or kind == "container":
            return self.stop.is_set()
        with self._lock:
            now = self._clock()
            if self._others_began is None:
                self._others_began = now
            had_their_time = now - self._others_began >= self._others_began - self._began
            if not self.gave_way and had_their_time and self._containers_due():
                logger.info("containers are due: the run goes on after them")
                self.gave_way = True
            return self.gave_way

    def pause(self) -> str:
        """Pause in quiet hours."""
        until = self._quiet_until()
        if until is None:
            return ""
        self.paused_until = until
        return f"quiet hours, until {format_time(until)}"

    def on_item(self, item: Item) -> None:
        """Note it as the current step."""
        self._gate.begin_step(f"removing {item.kind} {item.name}")

    def on_outcome(self, item: Item, outcome: Outcome, detail: str) -> None:
        """Log and count it."""
        self._gate.heartbeat.beat()
        self._metrics.on_outcome(item, outcome)
        level = logging.WARNING if outcome in FAILURES else logging.INFO
        if outcome is Outcome.DEFERRED:  # often all that is left of a plan; the last line counts them
            level = logging.DEBUG if detail in self._put_off_for else logging.INFO
            self._put_off_for.add(detail)
        logger.log(level, "%s", report.outcome(item, outcome, detail))

    def on_result(self, result: RunResult) -> None:
        """Log what was removed, and count the disk space that it freed."""
        plan = result.prepared.plan
        if result.outcomes is None:
            return
        for path, freed in result.freed.items():
            self._metrics.on_freed(path, freed)
        logger.info("plan %s: %s", plan.plan_id, report.result(plan, result.outcomes, result.freed))
