"""One collector that fails costs its own families, is counted at each scrape, and logged once."""

from collections import Counter
from collections.abc import Iterator
from typing import get_args

import pytest
from prometheus_client import Metric, Summary
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.conftest import Host, collector_of
from watchd.config.schema.config import MetricGroup
from watchd.families import gauge
from watchd.metrics.collectors import Collectors
from watchd.metrics.exposition import text_of
from watchd.metrics.selfmon.scrape import ScrapeMetrics


class Flaky:
    """Yields one family, and raises before the second one while it is broken."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_broken = False

    def collect(self) -> Iterator[Metric]:
        yield gauge(f"{self.name}_first", "A.", 1)
        if self.is_broken:
            raise ZeroDivisionError
        yield gauge(f"{self.name}_second", "B.", 2)


def _names(text: str) -> set[str]:
    return {family.name for family in text_string_to_metric_families(text)}


def test_one_that_raises_costs_its_own_families_only(caplog: pytest.LogCaptureFixture) -> None:
    collectors, good, bad = Collectors(), Flaky("good"), Flaky("bad")
    collectors.register("bad", bad)
    collectors.register("good", good)
    assert _names(collectors.text()) == {"bad_first", "bad_second", "good_first", "good_second"}

    bad.is_broken = True
    for _ in range(3):
        assert _names(collectors.text()) == {"good_first", "good_second"}, "and no half of the other"

    assert collectors.errors == {"bad": 3}
    assert [record.message for record in caplog.records] == ["the collector bad failed: "]
    assert {name: outcome.success for name, outcome in collectors.outcomes.items()} == {"bad": False, "good": True}
    assert all(outcome.seconds > 0 for outcome in collectors.outcomes.values())

    bad.is_broken = False
    assert "bad_second" in _names(collectors.text())
    assert collectors.outcomes["bad"].success
    bad.is_broken = True
    collectors.text()
    assert len(caplog.records) == 2, "it is logged again after it had succeeded"


def test_errors_that_a_collector_handles_are_no_success() -> None:
    collectors, errors = Collectors(), Counter[str]()

    def read() -> str:
        errors["host_cpu"] += 1
        return "the rest"

    assert collectors.run("host", read, errors.total) == "the rest"
    assert not collectors.outcomes["host"].success
    collectors.run("host", lambda: "all", errors.total)
    assert collectors.outcomes["host"].success


def test_each_group_of_a_scrape_has_its_success_and_duration(own_host: Host) -> None:
    source, collectors = own_host.source(), Collectors()
    containers = collector_of(source, own_host.containers.values())
    scrape = ScrapeMetrics(source, containers, collectors, Summary("duration", "", registry=None), ({"host_cpu": 7},))

    def values(name: str) -> dict[str, float]:
        collectors.run("containers", lambda: containers.collect(0.0), source.errors.total)
        families = text_string_to_metric_families(text_of(scrape.collect()))
        (family,) = (family for family in families if family.name == name)
        return {next(iter(sample.labels.values())): sample.value for sample in family.samples}

    groups = set(get_args(MetricGroup))
    assert values("watchd_scrape_collector_success") == dict.fromkeys((*groups, "containers"), 1)
    seconds = values("watchd_scrape_collector_duration_seconds")
    assert 0 < sum(seconds[group] for group in groups) < seconds["containers"]
    next(own_host.cgroupfs.rglob(f"*{own_host.containers['busy'].id}*/memory.stat")).write_text("junk")
    assert values("watchd_scrape_collector_success") == {**dict.fromkeys(groups, 1), "memory": 0, "containers": 0}
    errors = values("watchd_scrape_errors")
    assert (errors["memory"], errors["cpu"], errors["host_cpu"]) == (2, 0, 7), "once at each scrape"
    source.close()
