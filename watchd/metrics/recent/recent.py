"""The last hour of each container, in memory, for `watchd top` and the page, which need no Prometheus."""

import math
import threading
import time
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from watchd.metrics.recent.rates import UNKNOWN, Counts, Rates, counts, rates, total
from watchd.metrics.sources.source import Reading
from watchd.model import Container
from watchd.model.usage import Interface, Usage

STEP = 15.0  # seconds from one point to the next
POINTS = 240
SERIES = ("cpu_cores", "throttled", "memory_bytes", "network_bytes_per_second", "disk_bytes_per_second")
HOST = "/"
"""The host's ID, as in its metrics."""

_LONGEST = 300.0  # seconds between two readings that give a rate
_SHORTEST = 1.0  # rates of closer ones would be noise
_THROTTLED_OVER = 60.0  # seconds: the share of a shorter time jumps
_SLEWED = 0.5  # seconds that clocks may drift apart between two readings
_SET_BACK = 4  # steps that the clock may be set back without a new series
_NONE = array("f", [math.nan]) * len(SERIES)

_Run = tuple[int, float | None]


@dataclass(slots=True)
class Use:
    """Use of a container now, and its limits in effect. Memory in bytes; None: not known, or no limit.

    `throttled` is the share of the last minute.
    """

    rates: Rates
    memory_bytes: int | None
    memory_limit_bytes: int | None
    processes: int | None
    cpu_limit_cores: float | None


class Series:
    """The last points of one container, all of `SERIES` at each step. Steps are numbered from the epoch on.

    Takes 5 kB: single precision is enough for a graph. NaN: not known.
    """

    __slots__ = ("_first", "_points", "last")

    def __init__(self, step: int) -> None:
        self._points = _NONE * POINTS  # a ring
        self._first = step
        self.last = step - 1

    def put(self, step: int, point: Sequence[float | None], *, since: int) -> None:
        """Set the point of a step, and of all steps after `since`: the point is the mean of them."""
        values = array("f", [math.nan if value is None else value for value in point])
        for each in range(max(self.last + 1, step - POINTS + 1), step + 1):
            start = each % POINTS * len(SERIES)
            self._points[start : start + len(SERIES)] = values if each > since else _NONE
        self.last = step

    def tail(self, name: str, points: int = POINTS) -> list[float | None]:
        """Return the last points of one series, the oldest first."""
        offset = SERIES.index(name)
        digits = None if "bytes" in name else 4
        values = (
            self._points[step % POINTS * len(SERIES) + offset]
            for step in range(max(self._first, self.last - min(points, POINTS) + 1), self.last + 1)
        )
        return [None if math.isnan(value) else round(value, digits) for value in values]


class _Followed:
    """One container. Its series continue after a restart; its counters do not."""

    __slots__ = ("before", "interval", "lately", "read_at", "run", "series", "stepped", "usage")

    def __init__(self) -> None:
        self.run: _Run | None = None
        self.read_at = 0.0  # time of `usage`
        self.before: Counts | None = None  # at the end of `interval`
        self.interval: tuple[Counts | None, Counts] | None = None  # of `rates`
        self.stepped: Counts | None = None  # at the last point
        self.lately: tuple[Counts, ...] = ()  # over the last minute, the oldest first, of one with a CPU quota
        self.usage: Usage | None = None  # None: it does not run
        self.series: Series | None = None

    @property
    def rates(self) -> Rates:
        """The rates between its last readings; made when they are asked for, which is less often than it is read."""
        return UNKNOWN if self.interval is None else _rates(*self.interval)


class Recent:
    """Collect every reading, of scrapes and of the sampler. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._followed: dict[str, _Followed] = {}
        self.at: float | None = None
        """Time of the last readings, in seconds since the epoch."""
        self.taken_at = -math.inf
        """The same, monotonic."""
        self._apart = 0.0  # seconds between the two clocks

    def add(self, containers: Sequence[Container], readings: Mapping[str, Reading], host: Reading | None) -> None:
        """Add the readings of the running ones of `containers`, and forget containers that were removed."""
        runs: dict[str, _Run] = {container.id: (container.pid, container.started_at) for container in containers}
        now, monotonic = time.time(), time.monotonic()
        with self._lock:
            self.at, self.taken_at = now, monotonic
            apart_before, self._apart = self._apart, now - monotonic
            if abs(self._apart - apart_before) > _SLEWED:  # the clock was set: intervals are not known
                for followed in self._followed.values():
                    followed.before, followed.stepped, followed.lately = None, None, ()
            if host is not None:
                runs[HOST] = (0, None)
                readings = {**readings, HOST: host}
            oldest = int(now // STEP) - POINTS
            for container_id in [known for known in self._followed if known not in readings]:
                followed = self._followed[container_id]
                followed.usage = followed.before = followed.stepped = None
                followed.interval, followed.lately = None, ()
                ended_long_ago = followed.series is not None and followed.series.last < oldest
                if container_id not in runs or ended_long_ago:
                    del self._followed[container_id]
            for container_id, reading in readings.items():
                followed = self._followed.get(container_id) or self._followed.setdefault(container_id, _Followed())
                _follow(followed, reading, runs[container_id])

    def use(self, container_id: str) -> Use | None:
        """Return the use of a container; None: it does not run, or was not read yet."""
        with self._lock:
            followed = self._followed.get(container_id)
            return _use(followed, followed.usage) if followed and followed.usage else None

    def interfaces(self, container_id: str) -> tuple[float, Sequence[Interface]] | None:
        """Return the network counters of a container, and when they were read; None: it has none, or does not run."""
        with self._lock:
            followed = self._followed.get(container_id)
            if followed is None or followed.usage is None or followed.usage.network is None:
                return None
            return followed.read_at, followed.usage.network

    def tails(self, container_id: str, names: Sequence[str] = SERIES, points: int = POINTS) -> dict[str, Any]:
        """Return the last points of a container's series, and the time of the last one, in seconds since the epoch.

        No points, and None, for a container that was not read in the last hour.
        """
        with self._lock:
            followed = self._followed.get(container_id)
            series = followed.series if followed else None
            return {
                "end": None if series is None else series.last * STEP,
                "step": STEP,
                "series": {name: series.tail(name, points) if series else [] for name in names},
            }


def _follow(followed: _Followed, reading: Reading, run: _Run) -> None:
    if run != followed.run:
        followed.run, followed.before, followed.stepped = run, None, None
        followed.interval, followed.lately = None, ()
    followed.usage, followed.read_at = reading.usage, reading.at
    before, stepped, series = followed.before, followed.stepped, followed.series
    step = int(reading.at // STEP)
    if series is None or step < series.last - _SET_BACK:
        series, stepped = Series(step), None
        followed.series = series
    is_close = before is not None and 0 <= reading.at - before.at < _SHORTEST
    if is_close and step <= series.last:
        return
    now = counts(reading.usage, reading.at)
    if not is_close:
        followed.before, followed.interval = now, (before, now)
        followed.lately = () if now.periods is None else _lately(followed, now)
    if step > series.last:
        of_step = followed.rates if stepped is before and not is_close else _rates(stepped, now)
        is_near = stepped is not None and now.at - stepped.at <= _LONGEST
        since = int(stepped.at // STEP) if stepped is not None and is_near else step - 1
        series.put(step, _point(reading.usage, of_step), since=since)
        followed.stepped = now


def _rates(before: Counts | None, now: Counts) -> Rates:
    return UNKNOWN if before is None or now.at - before.at > _LONGEST else rates(before, now)


def _lately(followed: _Followed, now: Counts) -> tuple[Counts, ...]:
    """Return the readings with this one, a step or more apart; the first is at least a minute old if any is."""
    readings = () if followed.rates is UNKNOWN else followed.lately
    if not readings or now.at - readings[-1].at >= STEP:
        readings = (*readings, now)
    while len(readings) > 1 and now.at - readings[1].at >= _THROTTLED_OVER:
        readings = readings[1:]
    return readings


def _use(followed: _Followed, usage: Usage) -> Use:
    known = followed.rates
    if followed.lately and followed.before:
        known = replace(known, throttled=rates(followed.lately[0], followed.before).throttled)
    return Use(
        known,
        usage.memory.working_set if usage.memory else None,
        (usage.spec.effective_memory_limit or usage.spec.memory_limit or None) if usage.spec else None,
        usage.process.processes if usage.process else None,
        usage.spec.effective_cpus if usage.spec else None,
    )


def _point(usage: Usage, of_step: Rates) -> tuple[float | None, ...]:
    """Return the values of `SERIES` at one step."""
    memory = usage.memory.working_set if usage.memory else None
    network = (of_step.network_receive_bytes_per_second, of_step.network_transmit_bytes_per_second)
    disk = (of_step.disk_read_bytes_per_second, of_step.disk_write_bytes_per_second)
    return of_step.cpu_cores, of_step.throttled, memory, total(network), total(disk)
