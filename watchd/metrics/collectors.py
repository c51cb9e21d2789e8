"""The registry of collectors: each adds its families to a scrape, with its success and duration.

A new collector is a class with `collect`, and a line in `serving`.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol, TypeVar

from prometheus_client import Metric

from watchd.metrics.exposition import text_of

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Collector(Protocol):
    """Metric families as they are at the moment of a scrape."""

    def collect(self) -> Iterable[Metric]:
        """Return the families."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The last run of a collector."""

    success: bool
    seconds: float


def _no_errors() -> int:
    return 0


class Collectors:
    """Run collectors. One that raises costs its own families only; it is counted, and logged once until it succeeds."""

    def __init__(self) -> None:
        self.errors: Counter[str] = Counter()
        self._collectors: dict[str, tuple[Collector, Callable[[], int]]] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._failing: set[str] = set()

    def register(self, name: str, collector: Collector, errors: Callable[[], int] = _no_errors) -> None:
        """Add a collector. `errors` counts those that it handles itself; with a new one it had no success either."""
        self._collectors[name] = collector, errors

    def text(self) -> str:
        """Run the registered collectors, and render their families."""
        return "".join(
            self.run(name, lambda collector=collector: text_of(collector.collect()), errors) or ""  # type: ignore[misc]
            for name, (collector, errors) in self._collectors.items()
        )

    def run(self, name: str, collect: Callable[[], T], errors: Callable[[], int] = _no_errors) -> T | None:
        """Run one collector, registered or not. Return None where it raises."""
        result, handled = None, errors()
        began = perf_counter()
        try:
            result = collect()
        except Exception as error:  # noqa: BLE001 - a bug in one collector must not cost the others
            self.errors[name] += 1
            if name not in self._failing:
                _log.error("the collector %s failed: %s", name, error, exc_info=True)
            self._failing.add(name)
            success = False
        else:
            self._failing.discard(name)
            success = errors() == handled
        self._outcomes[name] = Outcome(success, perf_counter() - began)
        return result

    @property
    def outcomes(self) -> Mapping[str, Outcome]:
        """The last run of each collector."""
        return self._outcomes
