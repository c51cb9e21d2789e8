"""The daemon's cleaner: all that depends on `[cleanup]`. It runs by schedule and by disk pressure, once at a time."""

import logging
import threading
import time
from collections.abc import Collection, Mapping

from watchd.config import Cleanup, Config
from watchd.cron import quiet_until
from watchd.engine import disk
from watchd.engine.client import EngineClient
from watchd.engine.connection import Requests
from watchd.engine.own import find_own
from watchd.errors import EngineError, StateError, WatchdError
from watchd.model import Disk, Kind
from watchd.prune import report
from watchd.prune.disk_watch import DiskWatch
from watchd.prune.plan import Item, Outcome, Outcomes
from watchd.prune.planner import Occasion
from watchd.prune.run import Prepared, carry_out, prepare, settle_now
from watchd.prune.schedule import Schedule
from watchd.prune.tally import Tally
from watchd.prune.usage import Usage
from watchd.pulse import Pulse
from watchd.store import LastRun, Store

logger = logging.getLogger(__name__)

_FAILURES = (Outcome.REFUSED, Outcome.FAILED, Outcome.DRIFTED)


class Cleaning:
    """Runs policies when they are due, from `start` to `stop`."""

    def __init__(self, config: Config, store: Store, usage: Usage, requests: Requests, tally: Tally) -> None:
        self._engine = config.engine
        self._requests = requests
        self._store = store
        self._usage = usage
        self._tally = tally
        self._one_at_a_time = threading.Lock()
        self._leaving: list[Schedule | DiskWatch] = []  # of before a reload, with a run still under way then
        self._running = Pulse("a run")
        self._go_by(config.cleanup, {policy: run.ran for policy, run in store.last_runs().items()})

    def _go_by(self, cleanup: Cleanup, last_runs: Mapping[str, float]) -> None:
        self._cleanup = cleanup
        self._stop = threading.Event()  # ends a run after the item in hand
        self._tally.tell_of(cleanup.policies)
        # What only plans needs no connection that can write.
        enforces = any(cleanup.mode_of(policy) == "enforce" for policy in cleanup.policies)
        self._client = EngineClient(self._engine, read_only=not enforces, requests_made=self._requests)
        self._schedule = Schedule(cleanup, self._run_due, last_runs)
        self._disk_watch = DiskWatch(cleanup, self._locate, disk.again, self._run_for_room, self._tally.pressed)

    def start(self) -> None:
        """Tell the policies, and begin to run them when they are due."""
        for line in report.policies(self._cleanup, None):
            logger.info("policy %s", line)
        self._schedule.start()
        self._disk_watch.start()

    def stop(self) -> bool:
        """Start no further run, and end one after the item in hand, in some seconds. Return whether it has ended."""
        self._stop.set()
        ended = [each.stop() for each in (self._schedule, self._disk_watch, *self._leaving)]
        return all(ended)

    def replace(self, cleanup: Cleanup) -> None:
        """Go by another `[cleanup]` from now on. A run under way ends after the item in hand."""
        self._stop.set()
        parts = (self._schedule, self._disk_watch, *self._leaving)
        self._leaving = [each for each in parts if not each.stop(0)]
        earlier = self._schedule
        self._tally.pressed({})
        if self._leaving:
            logger.info("the run under way ends after what it is at")
        self._go_by(cleanup, {})  # nothing was missed: watchd was there
        self._schedule.take_over(earlier, {policy.name for policy in cleanup.policies})
        self.start()

    def wake(self) -> None:
        """Have the schedule look at the clock."""
        self._schedule.wake()

    def next_run(self) -> tuple[float, frozenset[str]] | None:
        """Return when policies run next by their schedules, in seconds since the epoch, and which."""
        return self._schedule.next_run()

    @property
    def pulses(self) -> tuple[Pulse, ...]:
        """What shows that it makes progress."""
        return self._running, self._schedule.pulse

    def _run_due(self, due: frozenset[str]) -> None:
        """Run policies by schedule. In quiet hours nothing is in force, and they have one more run at their end."""
        quiet = self._quiet_until()
        if quiet is not None:
            self._schedule.put_off(due, quiet)
        self._run(Occasion(due=due, quiet_until=quiet), due)

    def _run_for_room(self, due: frozenset[str]) -> int | None:
        """Run policies that act under pressure. Return how many objects went; None: not now."""
        if self._quiet_until() is not None:
            return None
        outcomes = self._run(Occasion(due=due, acting=due), due)
        return None if outcomes is None else sum(outcome is Outcome.REMOVED for outcome in outcomes.values())

    def _quiet_until(self) -> float | None:
        return quiet_until(self._cleanup.quiet_hours, time.time(), self._cleanup.timezone)

    def _run(self, occasion: Occasion, due: Collection[str]) -> Outcomes | None:
        """Plan for what is due and carry out what is in force. Return the outcomes; None: that could not be done."""
        with self._one_at_a_time, self._running.busy():
            began = time.time()
            succeeded = False
            client, cleanup, stop = self._client, self._cleanup, self._stop  # a reload brings others
            try:
                prepared = prepare(client, cleanup, self._usage, occasion=occasion)
                settle_now(client, self._store, prepared.plan.engine.id)
                outcomes = self._carry_out(prepared, client, due, stop)
                succeeded = not prepared.plan.incomplete and not any(each in _FAILURES for each in outcomes.values())
            except WatchdError as error:
                logger.warning("the run of %s did not take place: %s", ", ".join(sorted(due)), error)
                return None
            finally:
                self._note(due, LastRun(began, began if succeeded else None))
            return outcomes

    def _carry_out(
        self, prepared: Prepared, client: EngineClient, due: Collection[str], stop: threading.Event
    ) -> Outcomes:
        plan = prepared.plan
        self._tally.planned(plan, due)
        for line in report.plan(plan, dry_run=not plan.in_force):
            if line:
                logger.info("plan %s: %s", plan.plan_id, line.strip())
        if not plan.in_force:
            return {}
        before = {each.path: each for each in prepared.snapshot.disks.values()}
        outcomes = carry_out(prepared, client, self._store, stop=stop, done=self._done)
        for path, then in before.items():
            now = disk.again(then)
            if now is not None:
                self._tally.freed(path, then.used - now.used)
        logger.info("plan %s: %s", plan.plan_id, report.result(plan, outcomes))
        return outcomes

    def _done(self, item: Item, outcome: Outcome, detail: str) -> None:
        self._running.beat()
        self._tally.done(item, outcome)
        level = logging.WARNING if outcome in _FAILURES else logging.INFO
        logger.log(level, "%s", report.outcome(item, outcome, detail))

    def _note(self, due: Collection[str], run: LastRun) -> None:
        self._tally.ran(due, run, time.time() - run.ran)
        try:
            self._store.ran(due, run.ran, run.succeeded)
        except StateError as error:
            logger.warning("when policies ran is not on record: %s", error)

    def _locate(self) -> Mapping[Kind, Disk]:
        try:
            return disk.measure(self._client.info(), self._client.containers(), self._client.images(), find_own())
        except EngineError as error:
            logger.debug("the engine's disks cannot be looked for: %s", error)
            return {}
