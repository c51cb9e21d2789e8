"""Data kept for a container, an image, a label, a parent cgroup or a path goes with it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any

import pytest

from tests.unit.conftest import collector_of
from tests.unit.entries import entries
from watchd.metrics import exposition
from watchd.metrics.containers.event_counts import STAYS
from watchd.metrics.exits.exits import MOST_SETS, Exits
from watchd.metrics.sources.api import ApiSource
from watchd.metrics.sources.source import Reading
from watchd.model import Container, Event, Exit
from watchd.model.usage import Cpu, Device, Interface, Usage

NOW = 1_800_000_000.0


class _Source:
    """Reads containers of which each has an interface and a device of its own."""

    name = "cgroup"

    def __init__(self) -> None:
        self.errors: Counter[str] = Counter()
        self.durations: dict[str, float] = {}

    def read(self, containers: Sequence[Container], now: float) -> Mapping[str, Reading]:
        return {each.id: Reading(_usage(each), now, f"{each.cgroup_parent}/{each.id}") for each in containers}

    def close(self) -> None:
        pass


def _usage(container: Container) -> Usage:
    interface = Interface(f"eth-{container.name}", *range(8))
    return Usage(cpu=Cpu(usage=1.0), network=(interface,), disk=(Device(f"/dev/{container.name}", "8", "1"),))


def _container(number: int) -> Container:
    return Container(
        f"{number:064x}",
        f"name-{number}",
        f"image-{number}:1",
        f"sha256:{number}",
        "running",
        1.0,
        started_at=NOW,
        pid=number + 1,
        labels={f"label-{number}": "x"},
        cgroup_parent=f"/parent-{number}",
    )


class _Engine:
    """The engine's stats of containers that run."""

    def stats(self, _: str) -> Any:
        return {"read": "2026-01-01T00:00:00Z", "cpu_stats": {"cpu_usage": {"total_usage": 1}}}


class _Database:
    """Takes exits."""

    def record_exits(self, engine: str, exits: Iterable[Exit]) -> None:
        assert list(exits), engine


def _events(action: str, containers: Sequence[Container]) -> list[Event]:
    return [
        Event("container", action, each.id, int(NOW * 1e9), {"exitCode": "0", "image": each.image, "name": each.name})
        for each in containers
    ]


def test_a_thousand_containers_of_all_kinds_leave_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "watchd.metrics.containers.event_counts.STAYS", -1.0
    )  # what waits for a time is forgotten at once
    monkeypatch.setattr("watchd.metrics.exits.exits.PATIENCE", -1.0)
    collector = collector_of(_Source(), ())
    exits, api = Exits(None), ApiSource(_Engine(), clock=lambda: NOW)
    mirror, numbers = collector._mirror, count()

    def tell(actions: Sequence[str], containers: Sequence[Container], *, there: bool) -> None:
        before = mirror.view
        after = mirror.update({each.key: each if there else None for each in containers})
        for action in actions:
            for listener in (collector._counts, exits):
                listener.on_events(_events(action, containers), before, after, listed=False)

    def live(number: int) -> None:
        """Start, read and remove containers, then scrape once more, long after."""
        containers = [_container(next(numbers)) for _ in range(number)]
        tell(("start", "oom"), containers, there=True)
        exposition.page(collector.collect(NOW))
        assert len(api.read(containers, NOW)) == number
        tell(("die", "destroy"), containers, there=False)
        exposition.page(collector.collect(NOW))
        exposition.page(collector.collect(NOW + STAYS + 1))
        api.read((), NOW)
        exits.totals()
        exits.save(_Database(), "engine")

    live(MOST_SETS + 10)  # counters of exits stay, of a bounded number of images
    before = entries(collector, mirror, exits, api)
    live(1_000)
    assert entries(collector, mirror, exits, api) == before
    api.close()
