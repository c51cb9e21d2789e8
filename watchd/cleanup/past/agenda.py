"""When runs are due: by the schedules without jitter, while watchd watched. Pure."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from watchd.cleanup.past.record import Span
from watchd.config import Cleanup
from watchd.config.schedules import Cron, Interval, parse_schedule

_MAKE_UP_AFTER = 60.0  # seconds from the start of a daemon to the runs that were missed

Due = frozenset[str]  # names of policies


class Agenda:
    """The runs to come, each with the policies that are due, and what quiet hours put off."""

    def __init__(self, cleanup: Cleanup, policies: Iterable[str], watched: Sequence[Span], since: float) -> None:
        by_schedule: defaultdict[str, set[str]] = defaultdict(set)
        for policy in cleanup.policies:
            if policy.name in set(policies):
                by_schedule[cleanup.schedule_of(policy)].add(policy.name)
        spans = [(began, ended) for began, ended in watched if ended > since]
        self._waiting: list[tuple[float, int, Due, Iterator[float]]] = []
        for number, (schedule, due) in enumerate(by_schedule.items()):
            times = (at for at in _times(schedule, cleanup.timezone, spans, since) if at >= since)
            self._add(number, frozenset(due), times)
        self._put_off: Due = frozenset()
        self._put_off_until = 0.0

    def next_at(self) -> float | None:
        """Return when the next run is due."""
        times = [self._waiting[0][0]] if self._waiting else []
        return min([*times, self._put_off_until] if self._put_off else times, default=None)

    def pop(self) -> Due:
        """Return the policies of the next run, and go on to the one after it."""
        if self._put_off and (not self._waiting or self._put_off_until <= self._waiting[0][0]):
            due, self._put_off = self._put_off, frozenset()
            return due
        _, number, due, times = heapq.heappop(self._waiting)
        self._add(number, due, times)
        return due

    def put_off(self, due: Due, until: float) -> None:
        """Run policies at a time, together with those put off before."""
        self._put_off |= due
        self._put_off_until = until

    def _add(self, number: int, due: Due, times: Iterator[float]) -> None:
        at = next(times, None)
        if at is not None:
            heapq.heappush(self._waiting, (at, number, due, times))


def _times(text: str, timezone: str, spans: Sequence[Span], since: float) -> Iterator[float]:
    """Yield the times of runs in watched time. A run that was missed meanwhile is made up for once."""
    schedule = parse_schedule(text)
    last = spans[0][0] if spans else since  # an interval counts from when its policies were first scheduled
    for began, ended in spans:
        missed = _is_missed(schedule, last, began, timezone)
        made_up = began + _MAKE_UP_AFTER if missed else None
        if isinstance(schedule, Interval):
            soonest = began + min(schedule.seconds, _MAKE_UP_AFTER)
            first = max((began if missed else last) + schedule.seconds, soonest)
            times = _at_intervals(schedule, first, since, ended)
        else:
            times = _by_crontab(schedule, max(began, since), ended, timezone)
        for at in times:
            if made_up is not None and made_up <= at:
                yield made_up
                made_up = None
            yield at
            last = at
        if made_up is not None and made_up <= ended:
            yield made_up
            last = made_up


def _at_intervals(schedule: Interval, first: float, since: float, ended: float) -> Iterator[float]:
    number = max(0, int((since - first) / schedule.seconds))
    while (at := first + number * schedule.seconds) <= ended:
        yield at
        number += 1


def _by_crontab(schedule: Cron, since: float, ended: float, timezone: str) -> Iterator[float]:
    next_at = schedule.next_after(since, timezone)
    while next_at is not None and next_at <= ended:
        yield next_at
        next_at = schedule.next_after(next_at, timezone)


def _is_missed(schedule: Cron | Interval, last: float, began: float, timezone: str) -> bool:
    if isinstance(schedule, Interval):
        return last + schedule.seconds <= began
    due = schedule.next_after(last, timezone)
    return due is not None and due <= began
