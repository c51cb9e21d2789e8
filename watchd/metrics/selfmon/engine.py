"""The engine, its events and the requests made of it."""

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric

from watchd.engine.connection.transport import Requests
from watchd.engine.watch.watcher import Watch
from watchd.families import counters, gauge
from watchd.metrics.containers.event_counts import EventCounts


@dataclass(frozen=True, slots=True)
class EngineMetrics:
    """Metrics of the engine and of the watch on it. `requests`: of all connections to the engine."""

    watch: Watch
    counts: EventCounts
    requests: Requests

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        engine = self.watch.mirror.view.engine
        if engine.version:
            yield InfoMetricFamily(
                "watchd_engine",
                "The engine, as it was when its containers were last listed.",
                {
                    "version": engine.version,
                    "api_version": engine.api_version,
                    "storage_driver": engine.storage_driver,
                    "cgroup_version": engine.cgroup_version,
                    "cgroup_driver": engine.cgroup_driver,
                },
            )
        yield gauge("watchd_engine_up", "1 while the engine answers and its events are followed.", self.watch.reachable)
        # cAdvisor's own: whether it could list containers.
        yield gauge(
            "container_scrape_error", "1 while the containers are not known to be all there are.", not self.watch.ready
        )
        yield CounterMetricFamily(
            "watchd_event_stream_reconnects",
            "Times that a lost event stream was established again.",
            self.watch.reconnects,
        )
        yield counters("watchd_events", "Events of the engine.", ["type", "action"], self.counts.events().items())
        yield counters(
            "watchd_reconciliation_drift",
            "Containers that a full list, after a reconnection, showed to be other than events had told.",
            ["difference"],
            (([difference], count) for difference, count in self.counts.drift().items()),
        )
        yield counters(
            "watchd_mirror_drift",
            "Objects that a fresh list showed to be other than events had told.",
            ["kind"],
            (([kind], count) for kind, count in self.watch.drift.counts().items()),
        )
        made = self.requests.made()
        yield counters(
            "watchd_engine_requests",
            "Requests made of the engine.",
            ["method", "endpoint"],
            ((key, count) for key, (count, _) in made.items()),
        )
        yield counters(
            "watchd_engine_request_seconds",
            "Time that the engine took to answer: its share of what watching costs.",
            ["method", "endpoint"],
            ((key, seconds) for key, (_, seconds) in made.items()),
        )
