"""An exporter as people write it with docker-py and prometheus_client: for each scrape it asks Docker for statistics.

    DOCKER_HOST=... python docker_py_exporter.py PORT [THREADS]

It is here to be compared with. Without `one_shot`, which few know of, Docker takes two samples for each answer.
"""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import docker
from docker.models.containers import Container
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class DockerCollector(Collector):
    """CPU, memory and network of all running containers, one after another or in a few threads."""

    def __init__(self, threads: int) -> None:
        self._client = docker.from_env(max_pool_size=threads)
        self._threads = ThreadPoolExecutor(threads)

    def collect(self) -> Iterator[Metric]:
        containers = self._client.containers.list()
        cpu = CounterMetricFamily("docker_container_cpu_seconds", "CPU time", labels=["name"])
        memory = GaugeMetricFamily("docker_container_memory_bytes", "Memory in use", labels=["name"])
        limit = GaugeMetricFamily("docker_container_memory_limit_bytes", "Memory limit", labels=["name"])
        received = CounterMetricFamily(
            "docker_container_received_bytes", "Bytes received", labels=["name", "interface"]
        )
        sent = CounterMetricFamily("docker_container_sent_bytes", "Bytes sent", labels=["name", "interface"])
        for container, stats in zip(containers, self._threads.map(_stats, containers), strict=True):
            name = str(container.name)
            cpu.add_metric([name], stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9)
            memory.add_metric([name], stats["memory_stats"]["usage"])
            limit.add_metric([name], stats["memory_stats"]["limit"])
            for interface, network in stats["networks"].items():
                received.add_metric([name, interface], network["rx_bytes"])
                sent.add_metric([name, interface], network["tx_bytes"])
        yield from (cpu, memory, limit, received, sent)


def _stats(container: Container) -> Any:
    return container.stats(stream=False)


def main() -> None:
    """Serve until ended."""
    registry = CollectorRegistry()  # not the default one, which would collect once when this is registered
    registry.register(DockerCollector(threads=int(sys.argv[2]) if len(sys.argv) > 2 else 1))
    _, thread = start_http_server(int(sys.argv[1]), addr="127.0.0.1", registry=registry)
    thread.join()


if __name__ == "__main__":
    main()
