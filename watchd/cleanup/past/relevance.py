"""The objects about which a run may decide otherwise than the run before it. Pure.

Most runs on most objects decide as before: no clock has come to its end, and nothing that the decision rests on has
changed. A plan of the others alone, with what their decisions rest on, decides about them as a plan of all objects.
"""

import heapq
import math
from collections.abc import Collection, Iterable, Iterator

from watchd.cleanup.past.host.things import Thing
from watchd.cleanup.past.relations import Relations
from watchd.cleanup.plan.plan import Item
from watchd.cleanup.plan.reasons import Reason
from watchd.cleanup.plan.rules.protected import KEEP_LABEL
from watchd.config import Cleanup, ContainerPolicy, Policy
from watchd.model import Container, Image, Key

_EARLY = 0.001  # seconds: sums of times are not exact
_LASTING = frozenset(
    (
        Reason.IN_USE,
        Reason.SWARM,
        Reason.COMPOSE_ACTIVE,
        Reason.RESTART_POLICY,
        Reason.TAG_OF_IN_USE,
        Reason.HAS_CHILDREN,
        Reason.NAMED_VOLUME,
        Reason.NOT_SELECTED,
        Reason.UNKNOWN_CLOCK,
    )
)
"""Reasons that no time alone changes."""


class Relevance:
    """The objects for the runs of some policies: those that wait for a clock, are open, or are decided for now."""

    def __init__(self, cleanup: Cleanup, due: Collection[str], relations: Relations) -> None:
        self._policies = [policy for policy in cleanup.policies if policy.name in due]
        self._grace = cleanup.grace
        self._relations = relations
        self._at: dict[Key, float] = {}  # the earliest time at which an object may go
        self._waiting: list[tuple[float, Key]] = []
        self._open: set[Key] = set()
        self._decided: set[Key] = set()

    def change(self, key: Key, thing: Thing | None, resting: Iterable[Key]) -> None:
        """Take an object as it is now, None if it is gone; decisions about those `resting` on it may change."""
        self._open.discard(key)
        self._decided.discard(key)
        at = math.inf if thing is None else self._earliest(thing)
        if at == math.inf:
            self._at.pop(key, None)
        else:
            self._at[key] = at
            heapq.heappush(self._waiting, (at, key))
        reopened = self._decided.intersection(resting)
        self._decided -= reopened
        self._open |= reopened

    def reopen_all(self) -> None:
        """Let every decision be made anew."""
        self._open |= self._decided
        self._decided.clear()

    def open_at(self, now: float) -> bool:
        """Return whether a run may remove anything."""
        while self._waiting and self._waiting[0][0] <= now:
            at, key = heapq.heappop(self._waiting)
            if self._at.get(key) == at and key not in self._decided:
                self._open.add(key)
        return bool(self._open)

    def keys(self) -> set[Key]:
        """Return the objects to plan for: open ones, what may go with them, and what their decisions rest on."""
        candidates = set(self._open)
        stack = list(candidates)
        while stack:
            freed = {key for key in self._relations.needed_by(stack.pop()) if key in self._decided} - candidates
            candidates |= freed
            stack += freed
        chosen: set[Key] = set()
        stack = list(candidates)
        while stack:
            key = stack.pop()
            if key not in chosen:
                chosen.add(key)
                stack += self._relations.context(key)
        return chosen

    def has_open(self, kind: str) -> bool:
        """Return whether an object of a kind is open."""
        return any(key[0] == kind for key in self._open)

    def settle(self, decided: Iterable[tuple[Item, Key]]) -> None:
        """Note what a plan decided for as long as nothing changes."""
        for item, key in decided:
            if item.action == "keep" and key in self._open and _lasts(item):
                self._open.discard(key)
                self._decided.add(key)

    def _earliest(self, thing: Thing) -> float:
        """Return the earliest time at which a policy may remove an object as it is now."""
        seen = thing.seen
        if thing.users or (isinstance(thing.subject, Container) and thing.subject.is_running):
            return math.inf
        # Without a grace nothing waits for `first_seen`, which is later than the arrival where nobody watched.
        after_grace = max(seen.first_seen, seen.arrived_at) + self._grace if self._grace else -math.inf
        policies = (policy for policy in self._policies if _is_for(policy, thing))
        times = (max(_ends(policy, thing, after_grace), default=-math.inf) for policy in policies)
        return min(times, default=math.inf) - _EARLY


def _is_for(policy: Policy, thing: Thing) -> bool:
    takes_volumes = isinstance(policy, ContainerPolicy) and policy.anonymous_volumes
    return policy.kind == thing.subject.kind or (takes_volumes and thing.subject.kind == "volume")


def _ends(policy: Policy, thing: Thing, after_grace: float) -> Iterator[float]:
    """Yield when grace ends and when each condition of a policy may hold."""
    if policy.kind != thing.subject.kind:
        return  # a volume that goes with its containers
    yield after_grace
    for clock, needs in policy.when.items():
        since = _since(clock, thing)
        yield math.inf if since is None else since + needs


def _since(clock: str, thing: Thing) -> float | None:
    """Return since when a clock runs; None: it does not, or is not known."""
    subject, seen = thing.subject, thing.seen
    match clock:
        case "finished_for":
            return subject.finished_at if isinstance(subject, Container) else None
        case "never_started_for":
            never = isinstance(subject, Container) and subject.status == "created" and subject.finished_at is None
            return subject.created_at if never else None
        case "unused_for":
            return max(seen.arrived_at, seen.last_used or 0.0)
        case "arrived_for":
            return seen.arrived_at
        case "dangling_for":
            return seen.dangling_since if isinstance(subject, Image) and not subject.tags else None
    return subject.created_at


def _lasts(item: Item) -> bool:
    """Return whether a decision stays until something changes that it rests on."""
    if item.reason is Reason.KEEP:
        return "within" not in item.facts and "repository_unknown_for" not in item.facts
    if item.reason is Reason.PROTECTED:
        return str(item.facts.get(KEEP_LABEL, "true")).strip().lower() == "true"
    return item.reason in _LASTING
