"""Metrics of containers that ended: counters that outlive them."""

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.metrics_core import Metric

from watchd.families import counters, gauges
from watchd.metrics.exits.exits import Exits

# The names that these labels have in the series of containers.
_LABELS = ["image", "container_label_com_docker_compose_project", "container_label_com_docker_compose_service"]


@dataclass(frozen=True, slots=True)
class ExitMetrics:
    """Metrics of what `exits` has counted."""

    exits: Exits

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        totals = self.exits.totals()
        yield counters(
            "watchd_exited_containers",
            "Containers that ended.",
            [*_LABELS, "exit_code"],
            (
                ([*owner, str(code)], count)
                for owner, total in totals.items()
                for code, count in total.by_exit_code.items()
            ),
        )
        yield counters(
            "watchd_exited_container_cpu_seconds",
            "CPU time that containers had used when they ended (cpu.stat usage_usec, once their cgroup was empty).",
            _LABELS,
            ((owner, total.cpu) for owner, total in totals.items() if total.cpu is not None),
        )
        yield counters(
            "watchd_exited_container_run_seconds",
            "Time from start to end of containers that ended.",
            _LABELS,
            ((owner, total.run) for owner, total in totals.items() if total.run is not None),
        )
        yield gauges(
            "watchd_exited_container_memory_peak_bytes",
            "The most memory that any container had used that ended (v1 memory.max_usage_in_bytes; v2 memory.peak).",
            _LABELS,
            ((owner, total.memory_peak) for owner, total in totals.items() if total.memory_peak is not None),
        )
        yield counters(
            "watchd_exits_unaccounted",
            "Containers that ended whose use could not be read, by reason.",
            ["reason"],
            (([reason], count) for reason, count in self.exits.unaccounted().items()),
        )
        yield counters(
            "watchd_exits_unrecorded",
            "Containers that ended and are not on record, since the database could not be written for too long.",
            [],
            [([], self.exits.unrecorded())],
        )
