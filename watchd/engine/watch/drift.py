"""Drift: differences between the mirror and a fresh list that no event explains within two seconds."""

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from watchd.model import Container, EngineView, Image, Key, Kind, Subject, Volume

IN_FLIGHT = 2.0  # seconds that an event may take
_REMEMBERED = 300.0  # seconds: a fresh list of a large host may take as long
KINDS: tuple[Kind, ...] = ("container", "image", "network", "volume")

Found = Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Suspicion:
    """Keys that differ. Times are monotonic."""

    due: float  # when to decide
    since: float  # what was touched later is explained
    keys: frozenset[Key]
    then: Found | None


class Drift:
    """Counts differences that no event explained within `IN_FLIGHT` seconds. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._touched: dict[Key, float] = {}  # monotonic; the one that changed last is last
        self._suspected: list[_Suspicion] = []
        self._counts: Counter[str] = Counter(dict.fromkeys(KINDS, 0))

    def counts(self) -> Mapping[str, int]:
        """Return how many objects of each kind were found to differ."""
        with self._lock:
            return dict(self._counts)

    def touch(self, keys: Iterable[Key]) -> None:
        """Mark these as explained by events."""
        now = time.monotonic()
        with self._lock:
            for key in keys:
                self._touched.pop(key, None)
                self._touched[key] = now
            while self._touched and now - next(iter(self._touched.values())) > _REMEMBERED:
                del self._touched[next(iter(self._touched))]

    def suspect(self, keys: Collection[Key], *, seen: float | None = None, then: Found | None = None) -> None:
        """Count these unless an event explains them; call `then` if any is counted.

        `seen` is the (monotonic) time at which the fresh list began; None: a while ago.
        """
        if keys:
            now = time.monotonic()
            since = now - _REMEMBERED if seen is None else seen - IN_FLIGHT
            with self._lock:
                self._suspected.append(_Suspicion(now + IN_FLIGHT, since, frozenset(keys), then))

    def due(self) -> float | None:
        """Return when (monotonic) to decide next."""
        with self._lock:
            return min((each.due for each in self._suspected), default=None)

    def decide(self) -> None:
        """Count the differences that were suspected long enough ago."""
        now = time.monotonic()
        with self._lock:
            due = [each for each in self._suspected if each.due <= now]
            self._suspected = [each for each in self._suspected if each.due > now]
            found = [
                (each, {key for key in each.keys if self._touched.get(key, -math.inf) < each.since}) for each in due
            ]
            self._counts.update(kind for _, keys in found for kind, _ in keys)
        for each, keys in found:
            if keys and each.then:
                each.then()


def differences(one: EngineView, other: EngineView) -> set[Key]:
    """Return the keys of the objects that one view has and the other has not, or has in another state."""
    failed = {*one.failures, *other.failures}
    facts = [
        {subject.key: _fact(subject) for subject in view.subjects() if subject.kind in KINDS} for view in (one, other)
    ]
    keys = facts[0].keys() | facts[1].keys()
    return {key for key in keys if key[0] not in failed and facts[0].get(key) != facts[1].get(key)}


def _fact(subject: Subject) -> object:
    """Return the fields of a kind that events report, and that lists and inspects agree on."""
    match subject:
        case Container():
            return subject.status
        case Image():
            return subject.tags
        case Volume():
            return subject.identity
        case _:
            return subject.names
