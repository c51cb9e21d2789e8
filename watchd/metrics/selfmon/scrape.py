"""The scrape itself: its collectors, what could not be read, and what was left out."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import Summary
from prometheus_client.core import InfoMetricFamily
from prometheus_client.metrics_core import Metric

from watchd.families import counters, gauge, gauges
from watchd.metrics.collectors import Collectors, Outcome
from watchd.metrics.containers.collector import ContainerCollector
from watchd.metrics.groups import GROUPS
from watchd.metrics.sources.source import Source

_OF_CONTAINERS = (*(group.name for group in GROUPS), "spec")


@dataclass(slots=True)
class ScrapeMetrics:
    """Metrics of the scrape under way: to be collected after all others. `errors`: counters of further parts."""

    source: Source
    containers: ContainerCollector
    collectors: Collectors
    durations: Summary
    errors: Sequence[Mapping[str, int]]
    missing_controllers: Sequence[str] = ()  # of cgroups, that this kernel lacks
    series: int = 0  # of containers
    left_out: int = 0  # containers, because of max_series
    _errors_before: Mapping[str, int] = field(default_factory=dict)

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        sampler = {"source": self.source.name}
        if self.missing_controllers:
            sampler["missing_controllers"] = ",".join(self.missing_controllers)
        yield InfoMetricFamily("watchd_sampler", "Where container metrics are read.", sampler)
        yield from self.durations.collect()
        errors = self._all_errors()
        yield counters(
            "watchd_scrape_errors",
            "Failures to read, at each scrape, by what was to be read.",
            ["source"],
            (([source], count) for source, count in errors.items()),
        )
        outcomes = {**self._group_outcomes(errors), **self.collectors.outcomes}
        self._errors_before = errors
        yield gauges(
            "watchd_scrape_collector_success",
            "1 where the collector read everything at the last scrape.",
            ["collector"],
            (([name], outcome.success) for name, outcome in outcomes.items()),
        )
        yield gauges(
            "watchd_scrape_collector_duration_seconds",
            "Time that the collector took at the last scrape.",
            ["collector"],
            (([name], outcome.seconds) for name, outcome in outcomes.items()),
        )
        if self.containers.oldest is not None:
            yield gauge(
                "watchd_sample_age_seconds",
                "Age of the oldest container sample: seconds where the engine's API gives them.",
                max(0.0, time.time() - self.containers.oldest),
            )
        yield gauge("watchd_container_series", "Series of containers at the last scrape.", self.series)
        yield gauge(
            "watchd_containers_left_out",
            "Containers without series at the last scrape, since metrics.max_series was reached.",
            self.left_out,
        )
        yield gauge(
            "watchd_containers_excluded",
            "Containers without series, as metrics.include and metrics.exclude say.",
            self.containers.excluded,
        )

    def _all_errors(self) -> Mapping[str, int]:
        """Count errors by what was to be read; a part that never failed has 0."""
        errors = Counter(dict.fromkeys((*_OF_CONTAINERS, self.source.name), 0))
        for part in (self.source.errors, self.collectors.errors, *self.errors):
            errors.update(dict(part))  # a copy: threads add to it
        return errors

    def _group_outcomes(self, errors: Mapping[str, int]) -> Mapping[str, Outcome]:
        """Outcomes of the groups of container metrics that are read one by one."""
        return {
            group: Outcome(errors[group] == self._errors_before.get(group, 0), seconds)
            for group, seconds in self.source.durations.items()
        }
