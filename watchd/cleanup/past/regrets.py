"""Removals in a replay, and needs that end them. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from watchd.cleanup.evidence.needs import Need, marks_of
from watchd.cleanup.past.host.things import Thing
from watchd.cleanup.past.result import Judged, NeededAgain, Removed
from watchd.config import Cleanup, Policy
from watchd.model import Image, Key


@dataclass(slots=True)
class Absence:
    """A removal, with the marks of its object and the references that it had last, and when it was needed again."""

    key: Key
    removed: Removed
    marks: tuple[str, ...]
    names: frozenset[str]
    needed_at: float | None = None
    regret: NeededAgain | None = None


@dataclass(slots=True)
class Absences:
    """All removals, and those that are not needed again so far. A need within `window` seconds is a regret."""

    window: float
    _all: list[Absence] = field(default_factory=list)
    _by_mark: defaultdict[str, dict[Key, Absence]] = field(default_factory=lambda: defaultdict(dict))

    @property
    def waiting(self) -> bool:
        """Return whether anything is gone that may be needed."""
        return bool(self._by_mark)

    def begin(self, key: Key, removed: Removed, thing: Thing) -> None:
        """Note a removal."""
        subject = thing.subject
        names = frozenset(subject.last_references) if isinstance(subject, Image) else frozenset[str]()
        absence = Absence(key, removed, marks_of(subject, thing.seen, stays=True), names)
        self._all.append(absence)
        for mark in absence.marks:
            self._by_mark[mark][key] = absence

    def needed(self, need: Need) -> Iterator[Absence]:
        """Yield the absences that a need ends."""
        marked = (self._by_mark[mark].values() for mark in need.marks if mark in self._by_mark)
        for absence in {each.key: each for absences in marked for each in absences}.values():
            if absence.removed.time < need.time and need.not_before.isdisjoint(absence.names):
                for mark in absence.marks:
                    del self._by_mark[mark][absence.key]
                    if not self._by_mark[mark]:
                        del self._by_mark[mark]
                yield absence

    def end(self, absence: Absence, need: Need, fetched: int) -> None:
        """Note that an object is needed again, and the bytes to fetch for it."""
        absence.needed_at = need.time
        if need.time - absence.removed.time <= self.window:
            absence.regret = NeededAgain(absence.removed, need.time, fetched, need.why)

    def judged(self, policy: Policy, cleanup: Cleanup, watched_after: Callable[[float], float]) -> Judged:
        """Return what a policy would have done."""
        own = [absence for absence in self._all if absence.removed.policy == policy.name]
        undecided = [each for each in own if each.needed_at is None and watched_after(each.removed.time) < self.window]
        return Judged(
            name=policy.name,
            kind=policy.kind,
            mode=cleanup.mode_of(policy),
            removed=tuple(each.removed for each in own),
            regrets=tuple(each.regret for each in own if each.regret is not None),
            undecided=len(undecided),
        )
