"""Shadow lives: an object that a policy in report mode would have removed is absent until it is needed. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from watchd.cleanup.plan.plan import Item
from watchd.model import Key
from watchd.store import Absence

_OF_ORIGIN = frozenset(("built_for",))  # clocks that an object keeps when it comes again


def newly_absent(
    items: Iterable[Item], absences: Mapping[Key, Absence], now: float, grace: float = 0.0
) -> Iterator[Item]:
    """Yield what would go now in report mode, and is not gone already.

    What was needed again arrived then: it has `grace` (seconds), and no clock of it has run for longer.
    """
    for item in items:
        if item.action == "remove" and item.mode == "report":
            absence = absences.get(item.subject)
            if absence is None or (absence.until is not None and _goes(item, now - absence.until, grace)):
                yield item


def _goes(item: Item, age: float, grace: float) -> bool:
    """Return whether an object that arrived `age` seconds ago would go."""
    clocks: Mapping[str, Any] = item.facts.get("clocks", {})
    return age >= grace and all(age >= clock["needs"] for name, clock in clocks.items() if name not in _OF_ORIGIN)
