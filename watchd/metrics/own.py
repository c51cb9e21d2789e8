"""watchd's metrics about itself and its engine, as families of prometheus_client's."""

import platform
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from watchd import __version__
from watchd.engine.connection import Requests
from watchd.engine.watch import Watch
from watchd.families import counters, gauge, gauges
from watchd.metrics.collector import Collector as ContainerCollector
from watchd.metrics.filesystems import Filesystems
from watchd.metrics.inventory import Inventory
from watchd.metrics.objects import Objects
from watchd.metrics.source import Source
from watchd.metrics.usage import GROUPS
from watchd.model import DiskUsage, Image, ImageClass

# Docker's states, all of them: a state that no container is in has the value 0.
_STATES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")


@dataclass
class Served:
    """What the last scrape came to."""

    series: int = 0
    left_out: int = 0  # containers, for the sake of max_series


@dataclass(frozen=True, slots=True, eq=False)  # registries keep collectors in a dictionary
class OwnMetrics(Collector):
    """Reads what other parts know at the moment of the scrape. `requests`: of all connections to the engine."""

    inventory: Inventory
    watch: Watch
    source: Source
    containers: ContainerCollector
    objects: Objects
    requests: Requests
    served: Served
    filesystems: Filesystems | None

    def collect(self) -> Iterator[Metric]:
        """Yield watchd_* families."""
        yield from self._infos()
        yield from self._watching()
        yield from self._scraping()
        yield from self._holdings()

    def _infos(self) -> Iterator[Metric]:
        yield InfoMetricFamily(
            "watchd_build",
            "watchd's version and the Python that runs it.",
            {"version": __version__, "python_version": platform.python_version()},
        )
        engine = self.inventory.engine
        if engine is not None:
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
        yield InfoMetricFamily("watchd_sampler", "Where container metrics are read.", {"source": self.source.name})

    def _watching(self) -> Iterator[Metric]:
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
        yield counters("watchd_events", "Events of the engine.", ["type", "action"], self.inventory.events().items())
        yield counters(
            "watchd_reconciliation_drift",
            "Containers that a full list, after a reconnection, showed to be other than events had told.",
            ["difference"],
            (([difference], count) for difference, count in self.inventory.drift().items()),
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

    def _scraping(self) -> Iterator[Metric]:
        yield counters(
            "watchd_scrape_errors",
            "Containers that could not be read at a scrape, by what was to be read.",
            ["source"],
            (([source], self.source.errors[source]) for source in sorted({*GROUPS, "spec", self.source.name})),
        )
        if self.containers.oldest is not None:
            yield gauge(
                "watchd_sample_age_seconds",
                "Age of the oldest container sample: seconds where the engine's API gives them.",
                max(0.0, time.time() - self.containers.oldest),
            )
        yield gauge("watchd_container_series", "Series of containers at the last scrape.", self.served.series)
        yield gauge(
            "watchd_containers_left_out",
            "Containers without series at the last scrape, since metrics.max_series was reached.",
            self.served.left_out,
        )

    def _holdings(self) -> Iterator[Metric]:
        states = Counter(container.status for container in self.inventory.current())
        yield gauges(
            "watchd_containers",
            "Containers by state.",
            ["state"],
            (([state], states[state]) for state in {*_STATES, *states}),
        )
        yield from self._objects()
        engine = self.inventory.engine
        disk = self.filesystems.of(engine.root_dir) if self.filesystems and engine and engine.root_dir else None
        if engine and disk and disk.usage is not None and disk.limit is not None:
            path, text = [engine.root_dir], "the file system that the engine's data is on."
            yield gauges("watchd_disk_used_bytes", f"Bytes in use on {text}", ["path"], [(path, disk.usage)])
            yield gauges("watchd_disk_size_bytes", f"Size of {text}", ["path"], [(path, disk.limit)])
            accounted = _accounted(self.objects.sizes)
            if accounted is not None:
                help_ = "Bytes in use there beyond what the engine accounts for."
                beyond = max(0, disk.usage - accounted)
                yield gauges("watchd_disk_unaccounted_bytes", help_, ["path"], [(path, beyond)])

    def _objects(self) -> Iterator[Metric]:
        objects, sizes = self.objects, self.objects.sizes
        if objects.images is not None:
            class_of = _image_classes(objects.images)
            yield from _counted("Images", [(class_of[image.id], image.size) for image in objects.images])
        if objects.volumes is not None:
            size_of = sizes.volumes if sizes else {}
            classified = [("anonymous" if volume.is_anonymous else "named", volume) for volume in objects.volumes]
            yield from _counted("Volumes", [(class_, size_of.get(volume.name)) for class_, volume in classified])
        if objects.networks is not None:
            names = ["predefined" if network.is_predefined else "custom" for network in objects.networks]
            yield from _counted("Networks", [(name, None) for name in names])
        if sizes and sizes.build_cache is not None:
            yield gauge("watchd_build_cache_bytes", "Bytes of the build cache.", sizes.build_cache)


def _accounted(sizes: DiskUsage | None) -> int | None:
    """Return the bytes of all that the engine knows of; None where it does not tell all."""
    if sizes is None or sizes.layers is None or sizes.build_cache is None:
        return None
    layers = sum(size.writable_layer for size in sizes.containers.values())
    return layers + sizes.layers + sizes.build_cache + sum(sizes.volumes.values())


def _image_classes(images: Sequence[Image]) -> Mapping[str, ImageClass]:
    """The class of each image by ID; one that is untagged and not dangling is a step of a build that others are on."""
    parents = {image.parent_id for image in images}

    def class_of(image: Image) -> ImageClass:
        if image.tags:
            return "tagged"
        if image.digests:
            return "digest_only"
        return "untagged" if image.id in parents else "dangling"

    return {image.id: class_of(image) for image in images}


def _counted(what: str, objects: Sequence[tuple[str, int | None]]) -> Iterator[Metric]:
    """How many objects there are of each class and, where the engine tells the size of any, their bytes."""
    name = f"watchd_{what.lower()}"
    counts = Counter(class_ for class_, _ in objects)
    yield gauges(name, f"{what} by class.", ["class"], (([class_], count) for class_, count in counts.items()))
    sizes: Counter[str] = Counter()
    for class_, size in objects:
        if size is not None:
            sizes[class_] += size
    if sizes:
        text = f"Bytes of {what.lower()} by class; what several have in common counts for each."
        yield gauges(f"{name}_bytes", text, ["class"], (([class_], size) for class_, size in sizes.items()))
