"""Usage of containers over their whole life, counted when they end: nothing is lost between two scrapes.

Two things come together: the engine's event says which container died, when, and with which exit code; the last
reading of its cgroup says what it had used. Either may come first.
"""

import math
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from watchd.engine.decode.quirks import DIED, GONE, exit_code
from watchd.metrics.exits.life import LastReading
from watchd.metrics.exits.unsaved import ExitTable, UnsavedExits
from watchd.model import COMPOSE_PROJECT, COMPOSE_SERVICE, Container, EngineView, Event, Exit

PATIENCE = 5.0  # seconds that an end waits for its reading, or a reading for its end
MOST_SETS = 500
"""Most label sets; further containers count as the image "other"."""
_CLOCKS_APART = 1.0  # seconds that a reading may seem to come after the event, whose time the engine took


class Owner(NamedTuple):
    """Whom exits are counted for."""

    image: str
    project: str  # of Compose; "": none
    service: str


OTHER = Owner("other", "", "")


@dataclass(slots=True)
class Totals:
    """Usage of the ended containers of one owner. Seconds and bytes."""

    cpu: float | None = None
    run: float | None = None
    memory_peak: int | None = None  # the highest of all
    by_exit_code: Counter[int] = field(default_factory=Counter)


@dataclass(slots=True)
class _Life:
    """One run of a container, as far as it is known."""

    name: str
    owner: Owner
    started: float | None = None


@dataclass(frozen=True, slots=True)
class _Death:
    """An end that waits for its reading."""

    life: _Life
    not_before: float  # when the container ended the time before: what was read earlier is not of this run
    time: float
    exit_code: int | None
    deadline: float  # monotonic


class Exits:
    """Counts ends. One of the watch's listeners; `ended` is called by the last readings.

    `unreadable`: why no cgroup is ever read for the last time on this host ("cgroup_v1"), None where they are.
    """

    def __init__(self, unreadable: str | None) -> None:
        self._unreadable = unreadable
        self._lock = threading.Lock()
        self._lives: dict[str, _Life] = {}  # by container ID: those that run
        self._ended: dict[str, float] = {}  # by container ID: the last time
        self._listed: set[str] = set()  # container IDs whose end a list has told, and no event so far
        self._deaths: dict[str, deque[_Death]] = {}  # by container ID
        self._readings: dict[str, deque[tuple[LastReading, float]]] = {}  # by container ID, with (monotonic) deadlines
        self._totals: dict[Owner, Totals] = {}
        self._unaccounted: Counter[str] = Counter()
        self._unsaved = UnsavedExits()

    def cannot_read(self, reason: str) -> None:
        """No cgroup will be read for the last time, as it has turned out."""
        with self._lock:
            self._unreadable = reason

    def close(self) -> None:
        """Wait for no reading any longer, so that `save` writes every exit."""
        with self._lock:
            self._give_up_waiting(until=math.inf)

    def totals(self) -> Mapping[Owner, Totals]:
        """Return what was counted so far."""
        with self._lock:
            self._give_up_waiting()
            return {
                owner: Totals(totals.cpu, totals.run, totals.memory_peak, Counter(totals.by_exit_code))
                for owner, totals in self._totals.items()
            }

    def unaccounted(self) -> Mapping[str, int]:
        """Return how many ends there were whose use is not known, by reason."""
        with self._lock:
            self._give_up_waiting()
            return {self._unreadable or "missed": 0, **self._unaccounted}

    def save(self, store: ExitTable, engine: str) -> None:
        """Write the exits that are not in the database yet. Those that cannot be written are kept for the next time."""
        with self._lock:
            self._give_up_waiting()
        self._unsaved.save(store, engine)

    def unrecorded(self) -> int:
        """Return the number of exits that were dropped because the database could not be written for too long."""
        return self._unsaved.dropped

    def ended(self, reading: LastReading) -> None:
        """Take in the last reading of a cgroup. Called from any thread."""
        with self._lock:
            waiting = self._deaths.get(reading.container_id, deque())
            death = next((death for death in waiting if _belong_together(death, reading)), None)
            if death is None:
                readings = self._readings.setdefault(reading.container_id, deque())
                readings.append((reading, time.monotonic() + PATIENCE))
            else:
                waiting.remove(death)
                self._account(reading.container_id, death, reading)
            self._give_up_waiting()

    def on_events(self, events: Sequence[Event], before: EngineView, after: EngineView, *, listed: bool) -> None:  # noqa: ARG002 - Listener's
        """Count the ends that events report, then those that only a list shows."""
        with self._lock:
            self._take_in(events, after.container_by_id)
            if listed:
                self._reconcile(after.container_by_id)
            self._give_up_waiting()

    def _reconcile(self, listed: Mapping[str, Container]) -> None:
        """Note which containers run; count those that ended without an event."""
        self._ended = {id_: ended for id_, ended in self._ended.items() if id_ in listed}
        self._listed &= listed.keys()
        for container_id, life in list(self._lives.items()):
            container = listed.get(container_id)
            if container is None or not container.is_running:
                self._listed.add(container_id)
            if container is None:
                self._die(container_id, time.time(), None, life)
            elif not container.is_running or container.started_at != life.started:
                exit_code = None if container.is_running else container.exit_code
                self._die(container_id, container.finished_at or time.time(), exit_code, life)
        self._lives = {id_: _life(container) for id_, container in listed.items() if container.is_running}

    def _take_in(self, events: Sequence[Event], containers: Mapping[str, Container]) -> None:
        for event in events:
            if event.type != "container":
                continue
            if event.action == "start":
                self._listed.discard(event.id)
                self._lives[event.id] = _Life(
                    _name(event), _owner(event.attributes), _start_of(event, containers.get(event.id))
                )
            elif event.action in DIED and not self._is_known(event):
                life = self._lives.pop(event.id, None) or _Life(_name(event), _owner(event.attributes))
                self._die(event.id, event.time, exit_code(event.attributes), life)
            elif event.action in GONE:
                self._ended.pop(event.id, None)
                self._listed.discard(event.id)

    def _is_known(self, event: Event) -> bool:
        """Return whether a list showed this end before its event came: after an engine was away, both come.

        The event has the time at which the engine had cleaned up after the container, on a busy machine seconds later.
        """
        if event.id in self._listed and event.id not in self._lives:
            self._listed.discard(event.id)
            return True
        life, ended = self._lives.get(event.id), self._ended.get(event.id)
        started = None if life is None else life.started
        if started is not None and event.time < started - _CLOCKS_APART:
            return True  # it is of the run before
        if ended is None or (started is not None and started > ended):
            return False
        return event.time <= ended + _CLOCKS_APART

    def _die(self, container_id: str, at: float, exit_code: int | None, life: _Life) -> None:
        totals = self._totals_of(life.owner)
        if exit_code is not None:
            totals.by_exit_code[exit_code] += 1
        if life.started is not None:
            totals.run = (totals.run or 0.0) + max(0.0, at - life.started)
        death = _Death(life, self._ended.get(container_id, 0.0), at, exit_code, time.monotonic() + PATIENCE)
        self._ended[container_id] = at
        if self._unreadable is not None:
            self._account(container_id, death, None, self._unreadable)
            return
        readings = self._readings.get(container_id, deque())
        found = next((entry for entry in readings if _belong_together(death, entry[0])), None)
        if found is None:
            self._deaths.setdefault(container_id, deque()).append(death)
        else:
            readings.remove(found)
            self._account(container_id, death, found[0])

    def _account(self, container_id: str, death: _Death, reading: LastReading | None, reason: str = "") -> None:
        if reading is None:
            self._unaccounted[reason] += 1
        else:
            totals = self._totals_of(death.life.owner)
            if reading.cpu is not None:
                totals.cpu = (totals.cpu or 0.0) + reading.cpu
            if reading.memory_peak is not None:
                totals.memory_peak = max(totals.memory_peak or 0, reading.memory_peak)
        self._unsaved.add(
            Exit(
                container_id=container_id,
                name=death.life.name,
                image=death.life.owner.image,
                project=death.life.owner.project,
                service=death.life.owner.service,
                started=death.life.started,
                ended=death.time,
                exit_code=death.exit_code,
                cpu=reading.cpu if reading else None,
                memory_peak=reading.memory_peak if reading else None,
            )
        )

    def _totals_of(self, owner: Owner) -> Totals:
        if owner not in self._totals and len(self._totals) >= MOST_SETS:
            owner = OTHER
        return self._totals.setdefault(owner, Totals())

    def _give_up_waiting(self, until: float | None = None) -> None:
        """Count the ends whose reading does not come. A reading without an end was of no container of this engine."""
        now = time.monotonic() if until is None else until
        for container_id, deaths in list(self._deaths.items()):
            while deaths and deaths[0].deadline < now:
                self._account(container_id, deaths.popleft(), None, "missed")
            if not deaths:
                del self._deaths[container_id]
        for container_id, readings in list(self._readings.items()):
            # While the engine is not followed its events may come as late as the next list.
            while readings and readings[0][1] < now and container_id not in self._lives:
                readings.popleft()
            if not readings:
                del self._readings[container_id]


def _belong_together(death: _Death, reading: LastReading) -> bool:
    # Not compared with the start: the engine reports it after the shortest containers have ended.
    return death.not_before < reading.at <= death.time + _CLOCKS_APART


def _life(container: Container) -> _Life:
    return _Life(container.name, _owner({**container.labels, "image": container.image}), container.started_at)


def _owner(attributes: Mapping[str, str]) -> Owner:
    """Of an event's attributes, which have the container's labels among them."""
    return Owner(attributes.get("image", ""), attributes.get(COMPOSE_PROJECT, ""), attributes.get(COMPOSE_SERVICE, ""))


def _start_of(event: Event, container: Container | None) -> float:
    """Return when a run began: as inspect has it, if that is of this run. Its event is made a little later."""
    inspected = container.started_at if container else None
    if inspected is not None and 0 <= event.time - inspected <= PATIENCE:
        return inspected
    return event.time


def _name(event: Event) -> str:
    return event.attributes.get("name", "")
