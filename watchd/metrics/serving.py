"""The composition of metrics: their parts, their threads, and the page of a scrape."""

import logging
import time

from prometheus_client import Summary, disable_created_metrics

from watchd.config import Config
from watchd.engine.client import EngineClient
from watchd.engine.watch.watcher import Watch
from watchd.kernel.cgroup_paths import Hierarchy
from watchd.kernel.proc_mount import has_totals, restrictions
from watchd.metrics import exposition
from watchd.metrics.collectors import Collector, Collectors
from watchd.metrics.containers.choice import Choice
from watchd.metrics.containers.collector import ContainerCollector
from watchd.metrics.containers.event_counts import EventCounts
from watchd.metrics.containers.labels import ContainerLabels, RenderedLabels
from watchd.metrics.exits.exit_metrics import ExitMetrics
from watchd.metrics.exits.exits import Exits
from watchd.metrics.exits.last_reading import LastReadings
from watchd.metrics.groups import groups_named
from watchd.metrics.host.conntrack import Conntrack
from watchd.metrics.host.filesystems import Filesystems
from watchd.metrics.host.host import Host
from watchd.metrics.host.machine import Machine
from watchd.metrics.place import Place
from watchd.metrics.recent.networks import NetworkOverview
from watchd.metrics.recent.overview import Overview
from watchd.metrics.recent.sampler import Sampler
from watchd.metrics.recent.traffic import Traffic
from watchd.metrics.selfmon.disk import DiskMetrics
from watchd.metrics.selfmon.engine import EngineMetrics
from watchd.metrics.selfmon.objects import ObjectMetrics
from watchd.metrics.selfmon.process import OwnProcess
from watchd.metrics.selfmon.scrape import ScrapeMetrics
from watchd.metrics.single_flight import SingleFlight
from watchd.metrics.sources.choice import find_hierarchy, make_source
from watchd.model.usage import Filesystem, Sample
from watchd.runtime.turns import urgent
from watchd.runtime.watchdog import Heartbeat
from watchd.store import Store

_log = logging.getLogger(__name__)

_LONGEST_SCRAPE = 300.0  # seconds: scrapes wait for the one before


class Metrics:
    """The parts behind `/metrics`, and their threads from `start` to `close`.

    `client` only reads; `watch` feeds the parts that follow containers. Raise NoCgroups where only cgroups are wanted
    and there are none.
    """

    def __init__(self, config: Config, client: EngineClient, watch: Watch) -> None:
        settings = config.metrics
        procfs, cgroupfs = settings.roots()
        hierarchy = find_hierarchy(settings, procfs, cgroupfs)
        for text in restrictions(procfs):
            _log.warning("%s", text)
        missing = hierarchy.missing_controllers if hierarchy is not None else ()
        for controller in missing:
            _log.warning(
                "the kernel has no cgroup controller %s: the metrics of containers that it counts are missing"
                " (start the machine without cgroup_disable=%s, or with cgroup_enable=%s)",
                *(controller,) * 3,
            )
        self._filesystems = Filesystems(procfs)
        mirror = self._mirror = watch.mirror
        place = self._place = Place(mirror, client.disks, config.engine.host, procfs)
        self._host = Host(procfs, self._filesystems, groups_named(settings.groups)) if has_totals(procfs) else None
        counts = EventCounts()
        self._disks = DiskMetrics(mirror, client.disks)
        self._exits, self._last_readings = _exits(hierarchy)
        self._source = make_source(config, client, hierarchy, procfs, place)
        self._containers = ContainerCollector(
            mirror,
            counts,
            self._source,
            RenderedLabels(ContainerLabels(settings.container_id, settings.container_labels)),
            Choice(settings.include, settings.exclude),
            host=self._sample_host,
            disk=self._engine_disk if "disk" in settings.groups else lambda: None,
        )
        self._sampler = Sampler(self._containers, self._source)
        self.overview = Overview(watch, self._source, self._containers, place)
        traffic = Traffic(self._containers.recent, lambda: procfs if self._source.name == "cgroup" else None)
        self.networks = NetworkOverview(self.overview, traffic)

        self._most_series = settings.max_series
        self._durations = Summary(
            "watchd_scrape_duration_seconds", "Time that it took to make the page.", registry=None
        )
        disable_created_metrics()  # type: ignore[no-untyped-call] # a second series for each counter, of no use to Prometheus
        self._collectors = Collectors()
        machine = Machine(lambda: mirror.engine, lambda: place.is_here() and has_totals(procfs), procfs=procfs)
        self._collectors.register("engine", EngineMetrics(watch, counts, client.requests_made))
        self._collectors.register("objects", ObjectMetrics(mirror))
        self._collectors.register("engine_disk", self._disks)
        if "tcp" in settings.groups:
            self._collectors.register("conntrack", Conntrack(procfs, place.is_here))
        self._collectors.register("exits", ExitMetrics(self._exits))
        self._collectors.register("machine", machine, machine.errors.total)
        self._collectors.register("own_process", OwnProcess())
        self._scrape = ScrapeMetrics(
            self._source,
            self._containers,
            self._collectors,
            self._durations,
            (machine.errors, *((self._host.errors,) if self._host else ())),
            missing,
        )

        self._scraping = Heartbeat("a scrape", _LONGEST_SCRAPE)
        self.page = SingleFlight(self._page)
        """Make the page, compressed with gzip."""
        watch.add_listeners(counts, self._exits)

    def add_collector(self, name: str, collector: Collector) -> None:
        """Add the families of another package to the page."""
        self._collectors.register(name, collector)

    def start(self) -> None:
        """Start the threads."""
        if self._last_readings is not None:
            self._last_readings.start()
            if not self._last_readings.available:
                self._exits.cannot_read("no_inotify")
        self._sampler.start()

    def close(self) -> None:
        """Stop the threads, and forget all containers."""
        if self._last_readings is not None:
            self._last_readings.stop()
        self._exits.close()
        self._sampler.stop()
        self._source.close()

    def save(self, store: Store) -> None:
        """Record the exits of containers since the last call."""
        engine = self._mirror.engine
        if engine is not None:
            self._exits.save(store, engine.id)

    def _page(self) -> bytes:
        with self._scraping.busy(), urgent():
            with self._durations.time():
                page = self._collectors.run("containers", self._container_page, self._source.errors.total)
            page = page or exposition.page(())
            self._log_limit(was_reached=self._scrape.left_out > 0, left_out=page.left_out)
            self._scrape.series, self._scrape.left_out = page.series, page.left_out
            page.text.add(self._collectors.text().encode())
            own = self._collectors.run("scrape", lambda: exposition.text_of(self._scrape.collect()))
            page.text.add((own or "").encode())
            return page.text.finished()

    def _container_page(self) -> exposition.Page:
        return exposition.page(self._containers.collect(time.time()), self._most_series)

    def _sample_host(self, now: float) -> Sample | None:
        host = self._host
        if host is None or not self._place.is_here():
            return None
        return self._collectors.run("host", lambda: host.sample(now), host.errors.total)

    def _engine_disk(self) -> Filesystem | None:
        """Measure the file system that writable layers are on; None where it cannot be seen from here."""
        root = self._disks.root_of_layers() if self._place.is_here() else None
        return self._filesystems.of(root) if root else None

    def _log_limit(self, *, was_reached: bool, left_out: int) -> None:
        if left_out and not was_reached:
            _log.warning("metrics.max_series (%d) is reached: %d containers are left out", self._most_series, left_out)
        elif was_reached and not left_out:
            _log.info("metrics.max_series (%d) is no longer reached: no container is left out", self._most_series)


def _exits(hierarchy: Hierarchy | None) -> tuple[Exits, LastReadings | None]:
    """Make the counter of exits, and the reader of their cgroups where these can be read at all."""
    if hierarchy is None:
        return Exits("api"), None
    if hierarchy.unified is None:
        return Exits("cgroup_v1"), None
    exits = Exits(None)
    return exits, LastReadings(hierarchy, exits.ended)
