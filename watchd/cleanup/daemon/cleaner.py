"""The daemon's cleaner: one generation of `[cleanup]` settings, from one reload to the next."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from watchd.cleanup import report
from watchd.cleanup.daemon.daemon_run import DaemonRun
from watchd.cleanup.daemon.disk_watch import DiskWatch, Removed
from watchd.cleanup.daemon.gate import RunGate
from watchd.cleanup.daemon.prune_metrics import PruneMetrics
from watchd.cleanup.daemon.schedule import Schedule
from watchd.cleanup.evidence.journal import Journal
from watchd.cleanup.evidence.shadow import newly_absent
from watchd.cleanup.observe.observer import Observer
from watchd.cleanup.plan.plan import Outcome
from watchd.cleanup.plan.planner import Trigger
from watchd.cleanup.report import notification
from watchd.cleanup.report.notification import Notification
from watchd.cleanup.run.planning import Prepared
from watchd.cleanup.run.run import RunContext, RunResult, run_cleanup
from watchd.config import Cleanup
from watchd.config.schedules import quiet_until
from watchd.engine.client import EngineClient
from watchd.engine.data import disks
from watchd.engine.data.disks import Measured
from watchd.errors import StateError, WatchdError
from watchd.model import EngineView, Event
from watchd.store import Cause, LastRun, Store

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CleanerParts:
    """Parts that all generations share.

    `connect` makes a client, read-only or not; `locate_disks` finds the disks of the engine's data, as far as they
    are proven to be the engine's, None before it was listed; `followed` returns the view of the watch, None while it
    does not follow the engine; `on_fresh_view` gets the view of each run; `clock` is in seconds since the epoch;
    `notify` gets a notification of each run that removed something or failed.
    """

    connect: Callable[[bool], EngineClient]
    store: Store
    observer: Observer
    metrics: PruneMetrics
    locate_disks: Callable[[], Measured | None]
    followed: Callable[[], EngineView | None] = lambda: None
    on_fresh_view: Callable[[EngineView], None] = lambda _: None
    notify: Callable[[Notification], None] = lambda _: None
    clock: Callable[[], float] = time.time
    gate: RunGate = field(default_factory=RunGate)


class Cleaner:
    """Run the policies of one configuration, on schedule and under disk pressure, one run at a time.

    A reload makes a new Cleaner and closes this one; a closed Cleaner starts no run, and ends the current one after
    the current object. `before` are the settings that it replaces: a policy whose schedule changed begins anew.
    """

    def __init__(self, cleanup: Cleanup, parts: CleanerParts, *, before: Cleanup | None = None) -> None:
        self._cleanup = cleanup
        self._parts = parts
        self._gate = parts.gate
        self._lock = threading.Lock()  # of the two below
        self._closed = threading.Event()
        self._exhausted: set[str] = set()  # policies under pressure that can make no more room
        self._runs = False  # whether the current run is this generation's
        parts.metrics.set_policies(cleanup)
        # A generation that only plans needs no connection that can write.
        enforces = any(cleanup.mode_of(policy) == "enforce" for policy in cleanup.policies)
        client = parts.connect(not enforces)
        client.on_answer = self._gate.heartbeat.beat
        self._context = RunContext(client, parts.store, parts.observer, cleanup, parts.followed)
        self._schedule = Schedule(cleanup, self._run, self._scheduled_since(before), step=lambda: self._gate.step)
        self._disk_watch = DiskWatch(
            cleanup,
            parts.locate_disks,
            disks.again,
            self._run_under_pressure,
            self._on_pressure,
            is_quiet=lambda: self._quiet_until() is not None,
        )

    def start(self) -> None:
        """Log the policies, and begin to run them."""
        for line in report.policies(self._cleanup, None):
            logger.info("policy %s", line)
        self._schedule.start()
        self._disk_watch.start()

    def close(self) -> None:
        """Start no further run, and end the current one after the current object."""
        with self._lock:
            self._closed.set()
            if self._runs:
                logger.info("the current run stops after the current object")
        self._schedule.stop()
        self._disk_watch.stop()
        self._parts.metrics.on_pressure({})

    def wait_until_idle(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for the current run of any generation to end. Return whether it has."""
        return self._gate.wait_until_idle(timeout)

    def replaced_by(self, cleanup: Cleanup) -> "Cleaner":
        """Close this generation. Return the next one, with what quiet hours delayed; it has still to be started."""
        self.close()
        successor = Cleaner(cleanup, self._parts, before=self._cleanup)
        successor._schedule.take_over(self._schedule, {policy.name for policy in cleanup.policies})
        return successor

    def wake(self) -> None:
        """Re-evaluate the schedule, for example after the clock was set."""
        self._schedule.wake()

    def on_events(self, events: Sequence[Event]) -> None:
        """Let policies that found nothing to remove under pressure try again, if something may go by now."""
        self._disk_watch.on_events(events)

    def next_run(self) -> tuple[float, frozenset[str]] | None:
        """Return when policies run next by their schedules, in seconds since the epoch, and which."""
        return self._schedule.next_run()

    def _scheduled_since(self, before: Cleanup | None) -> Mapping[str, float]:
        """Return when policies ran last or, if they never ran, were first scheduled."""
        policies = self._cleanup.policies
        try:
            since = self._parts.store.schedule([policy.name for policy in policies], self._parts.clock())
        except StateError as error:
            logger.warning("cannot read when policies ran last, so their schedules begin now: %s", error)
            return {}
        if before is None:
            return since
        schedules = {policy.name: before.schedule_of(policy) for policy in before.policies}
        return {
            policy.name: since[policy.name]
            for policy in policies
            if schedules.get(policy.name) == self._cleanup.schedule_of(policy)
        }

    def _run_under_pressure(self, due: frozenset[str]) -> Removed | None:
        """Run policies that need disk space. Return what was removed, None if there was no full run."""
        result = self._run(due, acting=due)
        if result is None or self._closed.is_set():
            return None
        removed = sum(outcome is Outcome.REMOVED for outcome in (result.outcomes or {}).values())
        return Removed(removed, result.in_vain)

    def _run(self, due: frozenset[str], acting: frozenset[str] = frozenset()) -> RunResult | None:
        """Run policies. Return None if closed, if quiet hours prevent or end the run, or if it fails.

        In quiet hours only plan, and run the policies once more when the hours end.
        """
        with self._begin() as may_run:
            if not may_run:
                return None
            quiet = self._quiet_until()  # after the wait for other runs
            if quiet is not None:
                if acting:
                    return None
                self._schedule.put_off(due, quiet)
            return self._run_now(Trigger(due=due, acting=acting, quiet_until=quiet, by_hand=False), due)

    @contextmanager
    def _begin(self) -> Iterator[bool]:
        """Wait for the current run to end; yield whether this generation may still run."""
        with self._gate.one_run():
            with self._lock:
                self._runs = not self._closed.is_set()
            try:
                yield self._runs
            finally:
                self._runs = False

    def _run_now(self, trigger: Trigger, due: frozenset[str]) -> RunResult | None:
        parts, began, succeeded = self._parts, self._parts.clock(), False
        control = DaemonRun(
            due,
            under_pressure=bool(trigger.acting),
            stop=self._closed,
            gate=self._gate,
            metrics=parts.metrics,
            quiet_until=self._quiet_until,
            on_fresh_view=parts.on_fresh_view,
            containers_due=(lambda: False) if trigger.acting else self._containers_due,
        )
        try:
            result = run_cleanup(self._context, control, trigger)
            control.on_result(result)
            if trigger.quiet_until is None:
                self._record_reported(result.prepared, control.cause)
            succeeded = result.succeeded
            self._notify_of(result, trigger, succeeded=not result.failed if control.gave_way else succeeded)
        except WatchdError as error:
            logger.warning("run of %s failed: %s", ", ".join(sorted(due)), error)
            parts.notify(notification.of_error(error, due))
            return None
        finally:
            self._record_run(due, LastRun(began, began if succeeded else None))
        if control.gave_way:
            self._schedule.resume_later(due)
        if control.paused_until is None:
            return result
        if not trigger.acting:  # the disk watch tries again by itself
            self._schedule.put_off(due, control.paused_until)
        return None

    def _record_reported(self, prepared: Prepared, cause: Cause) -> None:
        """Record the removals that policies in report mode would have made."""
        plan, store = prepared.plan, self._parts.store
        journal = Journal(prepared.view, prepared.observations)
        now, engine = prepared.view.taken_at, plan.engine.id
        try:
            reported = (item.subject for item in plan.items if (item.action, item.mode) == ("remove", "report"))
            absences = store.absences(engine, reported)
            absent = newly_absent(plan.items, absences, now, self._cleanup.grace)
            store.record_reported(journal.removal(item, plan.plan_id, now, cause) for item in absent)
        except StateError as error:
            logger.warning("cannot record what policies in report mode would have removed: %s", error)

    def _notify_of(self, result: RunResult, trigger: Trigger, *, succeeded: bool) -> None:
        plan, under_pressure = result.prepared.plan, bool(trigger.acting)
        told = notification.of_run(plan, result.outcomes, succeeded=succeeded, under_pressure=under_pressure)
        if told is not None:
            self._parts.notify(told)

    def _containers_due(self) -> bool:
        waiting = self._schedule.waiting
        return any(policy.kind == "container" and policy.name in waiting for policy in self._cleanup.policies)

    def _record_run(self, due: frozenset[str], run: LastRun) -> None:
        self._parts.metrics.on_run(due, run, self._parts.clock() - run.ran)
        try:
            self._parts.store.ran(due, run.ran, run.succeeded)
        except StateError as error:
            logger.warning("cannot record the last run: %s", error)

    def _on_pressure(self, acting: Mapping[str, bool]) -> None:
        with self._lock:
            if self._closed.is_set():  # the next generation reports
                return
            self._parts.metrics.on_pressure(acting)
        exhausted = {policy for policy, is_exhausted in acting.items() if is_exhausted}
        for policy in exhausted - self._exhausted:
            self._parts.notify(notification.of_exhausted(policy))
        self._exhausted = exhausted

    def _quiet_until(self) -> float | None:
        return quiet_until(self._cleanup.quiet_hours, self._parts.clock(), self._cleanup.timezone)
