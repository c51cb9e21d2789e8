"""Schedule the runs of policies. Only this module imports APScheduler."""

import logging
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from watchd.config import Cleanup
from watchd.config.schedules import Cron, Interval, parse_schedule
from watchd.runtime.watchdog import Heartbeat
from watchd.units import format_duration, time_zone

logger = logging.getLogger(__name__)

_SET_BACK = 60.0  # seconds that the clock has to be set back by for the next runs to be computed again
_MAKE_UP_AFTER = timedelta(minutes=1)  # from the start to missed runs: then what watchd knows is up to date again


class _Scheduler(BackgroundScheduler):  # type: ignore[misc] # it has no types
    """APScheduler's scheduler, with a heartbeat at each turn."""

    def __init__(self, heartbeat: Heartbeat, **settings: Any) -> None:
        self._heartbeat = heartbeat  # first: the base class's constructor already needs it
        super().__init__(**settings)

    def _process_jobs(self) -> Any:
        self._heartbeat.idle()
        return super()._process_jobs()


class _CronTrigger(BaseTrigger):  # type: ignore[misc] # it has no types
    """A crontab line. APScheduler's own trigger runs a fixed hour twice in autumn, where the clock shows it twice."""

    def __init__(self, cron: Cron, timezone: str) -> None:
        self._cron = cron
        self._timezone = timezone
        self.jitter: int | None = None

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """Return the first time after the last run, or after now if none was missed."""
        after = now.timestamp() if previous_fire_time is None else min(now, previous_fire_time).timestamp()
        found = self._cron.next_after(after, self._timezone)
        if found is None:
            return None
        late: datetime = self._apply_jitter(datetime.fromtimestamp(found, time_zone(self._timezone)), self.jitter, now)
        return late


class Schedule:
    """Call `run` with the names of the policies that are due, one call after the other, in a thread of its own.

    `since` has when policies ran last or were first scheduled, in seconds since the epoch: an interval goes on from
    then, and a policy that missed runs meanwhile runs once. `step` returns what the current run is doing, for the log.
    """

    def __init__(
        self,
        cleanup: Cleanup,
        run: Callable[[frozenset[str]], object],
        since: Mapping[str, float],
        *,
        step: Callable[[], str] = lambda: "",
    ) -> None:
        self._cleanup = cleanup
        self._run = run
        self._step = step
        self._clock = time.time()
        self._jobs: dict[str, Any] = {}  # by schedule
        self._stopped = False
        self._put_off: frozenset[str] = frozenset()  # policies that were due in quiet hours
        self._put_off_until = 0.0
        self.waiting: frozenset[str] = frozenset()  # policies that came due since they last began to run
        self._waiting_lock = threading.Lock()
        self._unfinished: frozenset[str] = frozenset()  # policies whose run gave way
        self._due: queue.SimpleQueue[tuple[str, frozenset[str]] | None] = queue.SimpleQueue()  # None: the end
        self._overdue = Overdue()
        self._thread = threading.Thread(target=self._work, name="watchd-schedule", daemon=True)
        self._heartbeat = Heartbeat("the schedule", thread="APScheduler")
        # Without a grace time a job is skipped when its second is missed; runs missed by more than one time (a laptop
        # that slept) are made up for once. Jobs only queue their policies, so the scheduler's own thread runs them.
        self._scheduler = _Scheduler(
            self._heartbeat,
            timezone=cleanup.timezone,
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
            executors={"default": DebugExecutor()},
            daemon=True,
        )
        now = datetime.now(UTC)
        for schedule, names in _by_schedule(cleanup).items():
            trigger, name = _trigger(schedule, cleanup), f"{schedule}: {', '.join(sorted(names))}"
            began = {each: min(now, datetime.fromtimestamp(since.get(each, now.timestamp()), UTC)) for each in names}
            missed = frozenset(each for each in names if _was_missed(trigger, began[each], now))
            if isinstance(trigger, IntervalTrigger):
                first = min((began[each] for each in names - missed), default=now) + trigger.interval
                trigger.start_date = max(first, now + min(trigger.interval, _MAKE_UP_AFTER))
            self._jobs[schedule] = self._scheduler.add_job(self._queue, trigger, args=[schedule, names], name=name)
            if missed:
                soon = DateTrigger(now + _MAKE_UP_AFTER)
                missed_name = f"made up for, it was missed: {', '.join(sorted(missed))}"
                self._scheduler.add_job(self._queue, soon, args=["", missed], name=missed_name)

    def start(self) -> None:
        """Begin to run policies when they are due."""
        self._thread.start()
        self._scheduler.start()
        for job in self._scheduler.get_jobs():
            logger.info("next run %s (%s)", job.next_run_time.isoformat(timespec="seconds"), job.name)

    def put_off(self, due: frozenset[str], until: float) -> None:
        """Run policies once more at a time, in seconds since the epoch, together with those put off before."""
        self._put_off |= due
        self._put_off_until = until
        moment = datetime.fromtimestamp(until, UTC)
        self._scheduler.add_job(self._make_up, DateTrigger(moment), id="put off", replace_existing=True)

    def resume_later(self, due: frozenset[str]) -> None:
        """Run policies once more when no other run waits. Called by the current run."""
        self._unfinished |= due

    def take_over(self, earlier: "Schedule", policies: Collection[str]) -> None:
        """Take over what an earlier schedule had put off or not finished, of these policies."""
        self._unfinished = earlier._unfinished.intersection(policies)  # noqa: SLF001 - its own class's
        due = earlier._put_off.intersection(policies)  # noqa: SLF001 - the same
        if due:
            self.put_off(due, earlier._put_off_until)  # noqa: SLF001 - the same

    def next_run(self) -> tuple[float, frozenset[str]] | None:
        """Return when policies run next, in seconds since the epoch, and which; None if there are none."""
        runs = [
            (job.next_run_time.timestamp(), job.args[-1] if job.args else self._put_off)
            for job in self._scheduler.get_jobs()
            if getattr(job, "next_run_time", None) is not None  # before the start it has none
        ]
        if not runs:
            return None
        first = min(moment for moment, _ in runs)
        return first, frozenset().union(*(due for moment, due in runs if moment == first))

    def wake(self) -> None:
        """Re-evaluate the schedule: by itself it sleeps as long as it once computed, even if the clock was set."""
        if not self._scheduler.running:
            return
        before, self._clock = self._clock, time.time()
        if self._clock < before - _SET_BACK:
            logger.warning(
                "the clock was set back by %s: next runs are computed again", format_duration(before - self._clock)
            )
            for schedule, job in self._jobs.items():
                job.reschedule(_trigger(schedule, self._cleanup))
        self._heartbeat.probe(self._scheduler.wakeup)

    def stop(self) -> None:
        """Start no further run. The current one goes on."""
        self._stopped = True
        self._due.put(None)
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
            self._heartbeat.idle()  # a probe is no longer answered

    def _queue(self, schedule: str, due: frozenset[str]) -> None:
        """Queue a run; `schedule` is empty if the run must not be skipped."""
        with self._waiting_lock:
            self.waiting |= due
        if schedule and not self._overdue.begin(schedule):
            if self._overdue.is_news(schedule):
                logger.warning(
                    "the run of %s takes longer than its schedule (%s), it is still %s: what comes due is skipped",
                    ", ".join(sorted(due)),
                    schedule,
                    self._step() or "waiting for its turn",
                )
            return
        self._due.put((schedule, due))

    def _make_up(self) -> None:
        due, self._put_off = self._put_off, frozenset()
        self._queue("", due)

    def _work(self) -> None:
        while not self._stopped and (item := self._next()) is not None:
            schedule, due = item
            if not self._stopped:
                with self._waiting_lock:
                    self.waiting -= due
                self._unfinished -= due
                self._run(due)
            self._overdue.end(schedule)

    def _next(self) -> tuple[str, frozenset[str]] | None:
        """Return the next run: what waits, then what is not finished."""
        if self._unfinished and self._due.empty():
            return "", self._unfinished
        return self._due.get()


class Overdue:
    """The schedules that have a run queued or under way, and those for which a long run was logged.

    It is logged once, and again only after a run that kept to its schedule.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: dict[str, bool] = {}  # whether the run came due again meanwhile
        self._told: set[str] = set()

    def begin(self, schedule: str) -> bool:
        """Note that a run is due. Return False if the one before has not ended."""
        with self._lock:
            if schedule in self._active:
                self._active[schedule] = True
                return False
            self._active[schedule] = False
            return True

    def is_news(self, schedule: str) -> bool:
        """Return whether to log that a run takes too long."""
        with self._lock:
            new = schedule not in self._told
            self._told.add(schedule)
            return new

    def end(self, schedule: str) -> None:
        """Note that a run has ended."""
        with self._lock:
            if not self._active.pop(schedule, False):
                self._told.discard(schedule)


def _by_schedule(cleanup: Cleanup) -> Mapping[str, frozenset[str]]:
    names: dict[str, set[str]] = defaultdict(set)
    for policy in cleanup.policies:
        names[cleanup.schedule_of(policy)].add(policy.name)
    return {schedule: frozenset(due) for schedule, due in names.items()}


def _trigger(text: str, cleanup: Cleanup) -> BaseTrigger:
    schedule = parse_schedule(text)
    if isinstance(schedule, Interval):
        jitter = _jitter(cleanup, schedule.seconds)
        return IntervalTrigger(seconds=schedule.seconds, jitter=jitter, timezone=cleanup.timezone)
    trigger = _CronTrigger(schedule, cleanup.timezone)
    first = schedule.next_after(time.time(), cleanup.timezone)
    second = None if first is None else schedule.next_after(first, cleanup.timezone)
    if first is not None and second is not None:
        trigger.jitter = _jitter(cleanup, second - first)
    return trigger


def _was_missed(trigger: BaseTrigger, began: datetime, now: datetime) -> bool:
    """Return whether a run was due after `began` and until now."""
    if isinstance(trigger, IntervalTrigger):
        return bool(began + trigger.interval <= now)
    due = trigger.get_next_fire_time(began, began + timedelta(seconds=1))
    return bool(due is not None and due <= now)


def _jitter(cleanup: Cleanup, period: float) -> int | None:
    """Return the seconds by which a run may be late: at most half the period, or runs would be lost."""
    return round(min(cleanup.jitter, period / 2)) or None
