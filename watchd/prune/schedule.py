"""When policies run. Nothing else in watchd imports APScheduler."""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from watchd.config import Cleanup
from watchd.cron import Interval, parse_schedule
from watchd.pulse import Pulse
from watchd.units import format_duration

logger = logging.getLogger(__name__)

_SET_BACK = 60.0  # seconds that the clock has to be set back by for schedules to be reckoned anew
_MAKE_UP_AFTER = 60.0  # seconds after the start, when what watchd knows is up to date again


class _Scheduler(BackgroundScheduler):  # type: ignore[misc] # it has no types
    """APScheduler's, which shows at each turn that it goes round."""

    def __init__(self, pulse: Pulse, **settings: Any) -> None:
        self._pulse = pulse  # first: the base class's constructor comes to use what is here
        super().__init__(**settings)

    def _process_jobs(self) -> Any:
        self._pulse.rest()
        return super()._process_jobs()


class Schedule:
    """Calls `run` with the names of the policies that are due, one call after the other.

    `last_runs` has when policies ran last, in seconds since the epoch: what would have been due since then, had anyone
    been there, is made up for once.
    """

    def __init__(
        self, cleanup: Cleanup, run: Callable[[frozenset[str]], None], last_runs: Mapping[str, float] | None = None
    ) -> None:
        self._cleanup = cleanup
        self._policies = run
        self._clock = time.time()
        self._jobs: dict[str, Any] = {}  # by schedule
        self._idle = threading.Event()
        self._idle.set()
        self._stopped = False
        self._put_off: frozenset[str] = frozenset()  # policies that were due in quiet hours
        self._put_off_until = 0.0
        self.pulse = Pulse("the schedule")
        # Without a grace time a job is skipped when its second is missed; runs missed by more than one time (a laptop
        # that slept) are made up for once.
        defaults = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        self._scheduler = _Scheduler(
            self.pulse,
            timezone=cleanup.timezone,
            job_defaults=defaults,
            executors={"default": ThreadPoolExecutor(1)},
            daemon=True,
        )
        now = datetime.now(UTC)
        for schedule, names in _by_schedule(cleanup).items():
            trigger, name = _trigger(schedule, cleanup), f"{schedule}: {', '.join(sorted(names))}"
            self._jobs[schedule] = self._scheduler.add_job(self._run, trigger, args=[names], name=name)
            missed = frozenset(each for each in names if _was_missed(trigger, (last_runs or {}).get(each), now))
            if missed:
                soon = DateTrigger(now + timedelta(seconds=_MAKE_UP_AFTER))
                missed_name = f"made up for, it was missed: {', '.join(sorted(missed))}"
                self._scheduler.add_job(self._run, soon, args=[missed], name=missed_name)

    def start(self) -> None:
        """Begin to run policies when they are due."""
        self._scheduler.start()
        for job in self._scheduler.get_jobs():
            logger.info("next run %s (%s)", job.next_run_time.isoformat(timespec="seconds"), job.name)

    def put_off(self, due: frozenset[str], until: float) -> None:
        """Run policies once more at a time, in seconds since the epoch; with them those put off before."""
        self._put_off |= due
        self._put_off_until = until
        moment = datetime.fromtimestamp(until, UTC)
        self._scheduler.add_job(self._make_up, DateTrigger(moment), id="put off", replace_existing=True)

    def take_over(self, earlier: "Schedule", policies: Collection[str]) -> None:
        """Take over what an earlier schedule has put off, of these policies."""
        due = earlier._put_off.intersection(policies)  # noqa: SLF001 - its own class's
        if due:
            self.put_off(due, earlier._put_off_until)  # noqa: SLF001 - the same

    def next_run(self) -> tuple[float, frozenset[str]] | None:
        """Return when policies run next, in seconds since the epoch, and which; None: none does."""
        runs = [
            (job.next_run_time.timestamp(), job.args[0] if job.args else self._put_off)
            for job in self._scheduler.get_jobs()
            if getattr(job, "next_run_time", None) is not None  # before the start it has none
        ]
        if not runs:
            return None
        first = min(moment for moment, _ in runs)
        return first, frozenset().union(*(due for moment, due in runs if moment == first))

    def wake(self) -> None:
        """Have it look at the clock. By itself it waits as long as it once reckoned, whatever the clock did since."""
        if not self._scheduler.running:
            return
        before, self._clock = self._clock, time.time()
        if self._clock < before - _SET_BACK:
            logger.warning(
                "the clock was set back by %s: next runs are reckoned anew", format_duration(before - self._clock)
            )
            for schedule, job in self._jobs.items():
                job.reschedule(_trigger(schedule, self._cleanup))
        self.pulse.prod(self._scheduler.wakeup)

    def stop(self, timeout: float = 1.5) -> bool:
        """Start no further run, and wait at most `timeout` seconds for one under way. Return whether it has ended."""
        self._stopped = True
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        return self._idle.wait(timeout)

    def _make_up(self) -> None:
        due, self._put_off = self._put_off, frozenset()
        self._run(due)

    def _run(self, due: frozenset[str]) -> None:
        self._idle.clear()
        try:
            if not self._stopped:  # it may have been waiting for its turn since before
                self._policies(due)
        finally:
            self._idle.set()


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
    trigger = CronTrigger(
        minute=schedule.minute,
        hour=schedule.hour,
        day=schedule.day,
        month=schedule.month,
        day_of_week=schedule.day_of_week,
        timezone=cleanup.timezone,
    )
    first = trigger.get_next_fire_time(None, datetime.now(UTC))
    second = trigger.get_next_fire_time(first, first)
    trigger.jitter = _jitter(cleanup, (second - first).total_seconds())
    return trigger


def _was_missed(trigger: BaseTrigger, last_run: float | None, now: datetime) -> bool:
    """Return whether a policy should have run since it last did. What never ran has missed nothing."""
    if last_run is None:
        return False
    last = datetime.fromtimestamp(min(last_run, now.timestamp()), UTC)
    if isinstance(trigger, IntervalTrigger):
        return bool(last + trigger.interval <= now)
    due = trigger.get_next_fire_time(last, last + timedelta(seconds=1))
    return bool(due is not None and due <= now)


def _jitter(cleanup: Cleanup, period: float) -> int | None:
    """Return the seconds by which a run may be late: half the time to the next at the most, or runs would be lost."""
    return round(min(cleanup.jitter, period / 2)) or None
