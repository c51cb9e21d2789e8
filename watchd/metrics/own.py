"""watchd's metrics about itself and its engine, collected by prometheus_client: few, so its cost does not matter."""

import platform
from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from watchd import __version__
from watchd.metrics.inventory import Inventory

# Docker's states, all of them: a state that no container is in has the value 0.
_STATES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")


class OwnMetrics(Collector):
    """Reads what other parts know at the moment of the scrape."""

    def __init__(
        self,
        inventory: Inventory,
        *,
        engine_up: Callable[[], bool],
        reconnects: Callable[[], int],
        scrape_errors: Callable[[], dict[str, int]],
    ) -> None:
        self._inventory = inventory
        self._engine_up = engine_up
        self._reconnects = reconnects
        self._scrape_errors = scrape_errors

    def collect(self) -> Iterator[Metric]:
        """Yield watchd_* families."""
        yield InfoMetricFamily(
            "watchd_build",
            "watchd's version and the Python that runs it.",
            {"version": __version__, "python_version": platform.python_version()},
        )
        yield GaugeMetricFamily(
            "watchd_engine_up",
            "1 while the engine answers and its events are followed.",
            float(self._engine_up()),
        )
        yield CounterMetricFamily(
            "watchd_event_stream_reconnects",
            "Times that a lost event stream was established again.",
            self._reconnects(),
        )
        containers = GaugeMetricFamily("watchd_containers", "Containers by state.", labels=["state"])
        states = Counter(container.status for container in self._inventory.current())
        for state in sorted({*_STATES, *states}):
            containers.add_metric([state], states[state])
        yield containers
        events = CounterMetricFamily(
            "watchd_events", "Events of the engine, by type and action.", labels=["type", "action"]
        )
        for (type_, action), count in sorted(self._inventory.events().items()):
            events.add_metric([type_, action], count)
        yield events
        errors = CounterMetricFamily(
            "watchd_scrape_errors", "Containers that could not be read at a scrape, by source.", labels=["source"]
        )
        for source, count in sorted(self._scrape_errors().items()):
            errors.add_metric([source], count)
        yield errors
