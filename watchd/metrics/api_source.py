"""Reads all running containers through the engine's API, where their cgroups are out of reach.

That costs the engine a hundred times what reading the cgroups does, and Docker before 25 lets every request wait for
its next tick, up to a second: so several are under way at once, scrapes that follow each other closely get the same
values, and a scrape does not wait for what takes too long. What comes too late for one scrape is there for the next.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Protocol

from watchd.errors import EngineError, EngineRefused, EngineUnreachable
from watchd.metrics import api_stats
from watchd.metrics.netdev import has_own
from watchd.metrics.source import Reading
from watchd.metrics.usage import GROUPS
from watchd.model import Container

_log = logging.getLogger(__name__)

AT_ONCE = 100
"""How many requests are under way at once: the engine client should keep as many connections.

On Docker before 25 so many containers are read a second; newer engines are as quick with fewer, and no slower.
"""

# Seconds.
FRESH_FOR = 5.0  # a reading is given again and the engine is not asked
DEADLINE = 8.0  # for all answers; Prometheus waits for 10 s unless told otherwise
OLDEST = 60.0  # older readings are not given any more

_NOT_RUNNING = frozenset({404, 409})


class Stats(Protocol):
    """What is needed of an `EngineClient`."""

    def stats(self, container_id: str) -> Any:
        """Return the engine's stats of a container. Raise EngineError."""


@dataclass(slots=True, eq=False)
class _Followed:
    """One run of a container: after a restart it is another one, which the old one's values never reach."""

    container: Container
    reading: Reading | None = None
    is_late: bool = False  # it missed a deadline, and has not answered since
    has_failed: bool = False
    is_gone: bool = False


class ApiSource:
    """Keeps the last reading of all running containers, and asks the engine for new ones when those are not fresh.

    The threads that ask are made when there is something to ask, never more than `at_once` or than containers.
    `device_name` gives "/dev/sda" for "8:0"; `clock` the time in seconds since the epoch.
    """

    name = "api"

    def __init__(
        self,
        client: Stats,
        *,
        groups: Iterable[str] = GROUPS,
        device_name: Callable[[str], str] = str,
        at_once: int = AT_ONCE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.errors: Counter[str] = Counter()
        self._client = client
        self._groups = frozenset(groups)
        self._device_name = device_name
        self._at_once = at_once
        self._clock = clock
        self._queue: SimpleQueue[_Followed | None] = SimpleQueue()  # None: see whether you are still needed
        self._threads = self._threads_needed = 0
        self._followed: dict[str, _Followed] = {}
        self._asked: set[_Followed] = set()  # in the queue or under way, also of containers that are gone by now
        self._is_unreachable = False
        self._changed = threading.Condition()  # guards everything that changes

    def read(self, containers: Sequence[Container], now: float) -> Mapping[str, Reading]:
        """Give the readings of the running ones of `containers` at `now`, and let go of all others.

        A container has no reading once it has ended, or when it has not answered for OLDEST seconds. One that misses
        the deadline is not waited for again until it has answered: a hanging engine makes one scrape slow, not all.
        """
        with self._changed:
            self._follow(containers)
            self._ask(now)
            self._changed.wait_for(lambda: all(followed.is_late for followed in self._asked), DEADLINE)
            for followed in self._asked:
                followed.is_late = True
            return {
                container_id: followed.reading
                for container_id, followed in self._followed.items()
                if followed.reading is not None and _is_within(OLDEST, followed.reading, now)
            }

    def close(self) -> None:
        """Let go of all containers. Threads end now, or when what they wait for has come."""
        with self._changed:
            self._follow(())
            self._employ(0)

    def _follow(self, containers: Sequence[Container]) -> None:
        """Follow the running ones, each run anew, and nothing else."""
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

    def _ask(self, now: float) -> None:
        """Have the engine asked for what is not fresh and not asked for yet, the oldest first."""
        due = [
            followed
            for followed in self._followed.values()
            if followed not in self._asked and not (followed.reading and _is_within(FRESH_FOR, followed.reading, now))
        ]
        for followed in sorted(due, key=lambda followed: followed.reading.at if followed.reading else 0.0):
            self._asked.add(followed)
            self._queue.put(followed)
        self._employ(min(self._at_once, max(len(self._followed), len(self._asked))))

    def _employ(self, needed: int) -> None:
        """Have so many threads. They are daemons: an engine that hangs cannot keep watchd from ending."""
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
                self._serve(followed)

    def _serve(self, followed: _Followed) -> None:
        """Ask for one container, and keep the answer for whoever reads now or next."""
        reading, error = None, None
        try:
            if not followed.is_gone:  # while it was in the queue
                reading = self._reading(followed.container)
        except Exception as raised:  # noqa: BLE001 - a thread that ends would be missed by all containers
            error = raised
        with self._changed:
            self._asked.discard(followed)
            if error is None:
                followed.reading = reading
                followed.is_late = followed.has_failed = self._is_unreachable = False
            else:
                self._failed(followed, error)
            self._changed.notify_all()

    def _reading(self, container: Container) -> Reading | None:
        """Ask for one container; None: it does not run. Raise EngineError."""
        try:
            raw = self._client.stats(container.id)
        except EngineRefused as error:
            if error.status in _NOT_RUNNING:
                return None
            raise
        at = self._clock()  # and not the engine's, which may be of another machine
        if not api_stats.is_of_a_running_container(raw):
            return None
        groups = self._groups if has_own(container.network_mode) else self._groups - {"network"}
        return Reading(api_stats.usage(raw, container.limits, groups, self._device_name), at)

    def _failed(self, followed: _Followed, error: Exception) -> None:
        """Count it, and tell it once: not at every scrape, and of an engine that is gone not for every container."""
        self.errors[self.name] += 1
        is_unreachable = isinstance(error, EngineUnreachable)
        if not (followed.has_failed or (is_unreachable and self._is_unreachable)):
            is_defect = not isinstance(error, EngineError)
            _log.warning("cannot read stats of container %s: %s", followed.container.name, error, exc_info=is_defect)
        followed.has_failed = True
        self._is_unreachable |= is_unreachable


def _run(container: Container) -> tuple[int, float | None]:
    """What is another one after a restart."""
    return container.pid, container.started_at


def _is_within(seconds: float, reading: Reading, now: float) -> bool:
    """Whether a reading is of these seconds before `now`; or after it, as it may be when the clock is set."""
    return abs(now - reading.at) <= seconds
