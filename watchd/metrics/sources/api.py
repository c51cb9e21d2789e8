"""The source "api": reads running containers through the engine's API, where their cgroups cannot be read.

It costs the engine a hundred times what reading cgroups does, and Docker before 25 delays every request to its next
tick, up to a second. So several requests are made at once, scrapes that follow each other closely share values, and a
scrape waits for a limited time: late answers are there for the next one.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Protocol

from watchd.engine.decode import stats as api_stats
from watchd.errors import EngineError, EngineRefused, EngineUnreachable
from watchd.kernel.parse.netdev import has_own
from watchd.metrics.groups import GROUPS
from watchd.metrics.groups.group import Context, Group
from watchd.metrics.sources.source import Reading
from watchd.model import Container
from watchd.model.usage import Usage
from watchd.runtime.watchdog import Heartbeat

_log = logging.getLogger(__name__)

MOST_REQUESTS = 100
"""Requests at once, and so connections of the engine client.

On Docker before 25 so many containers are read a second; newer engines are as quick with fewer, and no slower.
"""

# Seconds.
FRESH_FOR = 5.0  # a reading is used again
DEADLINE = 8.0  # for all answers; Prometheus waits for 10 s by default
OLDEST = 60.0  # older readings are dropped

_NOT_RUNNING = frozenset({404, 409})


class Stats(Protocol):
    """The part of `EngineClient` that is used."""

    def stats(self, container_id: str) -> Any:
        """Return the stats of a container. Raise EngineError."""


@dataclass(slots=True, eq=False)
class _Followed:
    """One run of a container. A restart makes a new one, so that late answers of the old run are not used."""

    container: Container
    reading: Reading | None = None
    is_late: bool = False  # it missed a deadline and has not answered since
    has_failed: bool = False
    is_gone: bool = False


class ApiSource:
    """Keep the last reading of all running containers, and request new ones when they are not fresh.

    Threads are started when there are requests to make: at most `at_once`, and no more than containers. `device_name`
    gives "/dev/sda" for "8:0"; `clock` the time in seconds since the epoch.
    """

    name = "api"

    def __init__(
        self,
        client: Stats,
        *,
        groups: Sequence[Group] = GROUPS,
        device_name: Callable[[str], str] = str,
        at_once: int = MOST_REQUESTS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.errors: Counter[str] = Counter()
        self.durations: Mapping[str, float] = {}  # the engine's answers come with all groups at once
        self._client = client
        self._groups = groups
        self._device_name = device_name
        self._at_once = at_once
        self._clock = clock
        self._queue: SimpleQueue[_Followed | None] = SimpleQueue()  # None: check whether the thread is still needed
        self._threads = self._threads_needed = 0
        self._heartbeat = Heartbeat("asking for stats", thread="watchd-stats")
        self._followed: dict[str, _Followed] = {}
        self._warned_of_memory = False
        self._requested: set[_Followed] = set()  # queued or under way, also of removed containers
        self._is_unreachable = False
        self._changed = threading.Condition()  # guards everything that changes

    def read(self, containers: Sequence[Container], now: float) -> Mapping[str, Reading]:
        """Return the readings of the running ones of `containers` at `now`, and forget all others.

        A container has no reading once it has ended, or when there was no answer for OLDEST seconds. A late answer is
        not waited for again: a hanging engine makes one scrape slow, not all.
        """
        with self._changed:
            self._follow(containers)
            self._request_due(now)
            self._changed.wait_for(lambda: all(followed.is_late for followed in self._requested), DEADLINE)
            for followed in self._requested:
                followed.is_late = True
            return {
                container_id: followed.reading
                for container_id, followed in self._followed.items()
                if followed.reading is not None and _is_within(OLDEST, followed.reading, now)
            }

    def close(self) -> None:
        """Forget all containers. Threads end now, or after the request under way."""
        with self._changed:
            self._follow(())
            self._set_threads(0)

    def _follow(self, containers: Sequence[Container]) -> None:
        """Follow the running ones, and nothing else."""
        before, self._followed = self._followed, {}
        for container in containers:
            if container.is_running:
                followed = before.get(container.id)
                if followed is None or _run(followed.container) != _run(container):
                    followed = _Followed(container)
                followed.container = container
                self._followed[container.id] = followed
        for container_id, followed in before.items():
            followed.is_gone = self._followed.get(container_id) is not followed

    def _request_due(self, now: float) -> None:
        """Queue requests for readings that are not fresh, the oldest first."""
        due = [
            followed
            for followed in self._followed.values()
            if followed not in self._requested
            and not (followed.reading and _is_within(FRESH_FOR, followed.reading, now))
        ]
        for followed in sorted(due, key=lambda followed: followed.reading.at if followed.reading else 0.0):
            self._requested.add(followed)
            self._queue.put(followed)
        self._set_threads(min(self._at_once, max(len(self._followed), len(self._requested))))

    def _set_threads(self, needed: int) -> None:
        """Start or end threads. They are daemons: an engine that hangs must not keep watchd from ending."""
        self._threads_needed = needed
        for _ in range(self._threads, needed):
            threading.Thread(target=self._work, name="watchd-stats", daemon=True).start()
            self._threads += 1
        for _ in range(needed, self._threads):
            self._queue.put(None)

    def _work(self) -> None:
        while True:
            followed = self._queue.get()
            if followed is None:
                with self._changed:
                    if self._threads > self._threads_needed:
                        self._threads -= 1
                        return
            else:
                with self._heartbeat.busy():
                    self._process(followed)

    def _process(self, followed: _Followed) -> None:
        """Request the stats of one container, and keep the reading."""
        try:
            reading = None if followed.is_gone else self._reading(followed.container)  # gone since it was queued
        except Exception as error:  # noqa: BLE001 - the thread serves all containers
            with self._finished(followed):
                self._failed(followed, error)
        else:
            with self._finished(followed):
                followed.reading = reading
                followed.is_late = followed.has_failed = self._is_unreachable = False

    @contextmanager
    def _finished(self, followed: _Followed) -> Iterator[None]:
        """Change what is known of a container whose request has ended."""
        with self._changed:
            self._requested.discard(followed)
            yield
            self._changed.notify_all()

    def _reading(self, container: Container) -> Reading | None:
        """Request the stats of one container; None: it does not run. Raise EngineError."""
        try:
            raw = self._client.stats(container.id)
        except EngineRefused as error:
            if error.status in _NOT_RUNNING:
                return None
            raise
        at = self._clock()  # the engine's clock may be another machine's
        if not api_stats.is_of_a_running_container(raw):
            return None
        return Reading(self._usage(raw, container), at)

    def _usage(self, raw: Any, container: Container) -> Usage:
        usage = Usage(api_stats.spec(raw, container.limits))
        context = Context(self._device_name, has_cpu_quota=container.limits.cpu_quota > 0)
        for group in self._groups:
            if group.api is not None and (has_own(container.network_mode) or not group.own_network):
                setattr(usage, group.name, group.api(raw, context))
        if usage.memory is not None and usage.memory.usage is None and not self._warned_of_memory:
            self._warned_of_memory = True
            _log.warning(
                "the engine tells of no memory in use by container %s: its kernel may have no cgroup controller memory"
                " (start the machine without cgroup_disable=memory, or with cgroup_enable=memory)",
                container.name,
            )
        return usage

    def _failed(self, followed: _Followed, error: Exception) -> None:
        """Count a failure, and log it once for a container; an unreachable engine is logged for one container only."""
        self.errors[self.name] += 1
        is_unreachable = isinstance(error, EngineUnreachable)
        if not (followed.has_failed or (is_unreachable and self._is_unreachable)):
            is_defect = not isinstance(error, EngineError)
            _log.warning("cannot read stats of container %s: %s", followed.container.name, error, exc_info=is_defect)
        followed.has_failed = True
        self._is_unreachable |= is_unreachable


def _run(container: Container) -> tuple[int, float | None]:
    """Return the key of a run: a restart changes it."""
    return container.pid, container.started_at


def _is_within(seconds: float, reading: Reading, now: float) -> bool:
    """Return whether a reading is at most so many seconds from `now`: also after it, in case the clock was set back."""
    return abs(now - reading.at) <= seconds
