"""Everything that metrics are made of, put together as the configuration says."""

import logging
import time
from pathlib import Path

import psutil
from prometheus_client import CollectorRegistry, Summary, disable_created_metrics
from prometheus_client.registry import Collector as PrometheusCollector

from watchd.config import Config
from watchd.config.schema import Metrics as MetricsSettings
from watchd.engine.client import EngineClient
from watchd.engine.own import find_own
from watchd.engine.watch import Watch
from watchd.errors import StateError, WatchdError
from watchd.metrics import exposition
from watchd.metrics.api_source import AT_ONCE, ApiSource
from watchd.metrics.auto_source import AutoSource
from watchd.metrics.cgroup_source import CgroupSource
from watchd.metrics.collector import Collector
from watchd.metrics.exit_metrics import ExitMetrics
from watchd.metrics.exits import Exits
from watchd.metrics.filesystems import Filesystems
from watchd.metrics.hierarchy import Hierarchy, NoCgroups
from watchd.metrics.host import Host
from watchd.metrics.inventory import Inventory
from watchd.metrics.labels import ContainerLabels, RenderedLabels
from watchd.metrics.last_reading import LastReadings
from watchd.metrics.machine import Machine
from watchd.metrics.objects import Objects
from watchd.metrics.overview import Overview
from watchd.metrics.own import OwnMetrics, Served
from watchd.metrics.own_process import OwnProcess
from watchd.metrics.partitions import BlockDevices
from watchd.metrics.sampler import Sampler
from watchd.metrics.shared import Shared
from watchd.metrics.source import Source
from watchd.model import DiskUsage, Image
from watchd.pulse import Pulse
from watchd.store import Store

_log = logging.getLogger(__name__)

_LONGEST_SCRAPE = 300.0  # seconds: nobody waits for so long, and those that come meanwhile wait for it


class Metrics:
    """What `/metrics` shows, and the threads that keep it up to date, from `start` to `close`.

    `client` only reads; `watch` tells what happens. Raise NoCgroups where only cgroups are wanted and there are none.
    """

    def __init__(self, config: Config, client: EngineClient, watch: Watch) -> None:
        settings = config.metrics
        procfs, cgroupfs = settings.roots()
        if not (procfs / "stat").is_file():
            raise WatchdError(f"metrics.procfs: {procfs} is no /proc")
        is_local = config.engine.host.startswith("unix://")  # else its processes and disks are another machine's
        hierarchy = _hierarchy(settings, procfs, cgroupfs) if is_local else None
        self._inventory = Inventory()
        self._source = _source(config, client, hierarchy, procfs, self._inventory)
        self._exits, self._last_readings = _exits(hierarchy)
        self._objects = Objects(client)
        filesystems = Filesystems(procfs) if is_local else None
        self._collector = Collector(
            self._inventory,
            self._source,
            RenderedLabels(ContainerLabels(settings.container_id, settings.container_labels)),
            self._objects,
            host=Host(procfs, filesystems, settings.groups) if filesystems else None,
            filesystems=filesystems if "disk" in settings.groups else None,
        )
        self.overview = Overview(
            self._inventory, watch, self._source, self._collector, psutil.cpu_count() if is_local else None
        )
        self._sampler = Sampler(self._collector, self._source)
        self._most_series = settings.max_series
        self._served = Served()
        self._registry = CollectorRegistry()
        self._registry.register(
            OwnMetrics(
                self._inventory,
                watch,
                self._source,
                self._collector,
                self._objects,
                client.requests_made,
                self._served,
                filesystems,
            )
        )
        self._registry.register(ExitMetrics(self._exits))
        self._registry.register(Machine(lambda: self._inventory.engine, procfs=procfs if is_local else None))
        self._registry.register(OwnProcess())
        disable_created_metrics()  # type: ignore[no-untyped-call] # a second series for each counter, which Prometheus has no use for
        self._durations = Summary(
            "watchd_scrape_duration_seconds", "Time that it took to make the page.", registry=self._registry
        )
        self._trouble = ""
        self._scraping = Pulse("a scrape", _LONGEST_SCRAPE)
        self.pulses = (self._scraping, self._sampler.pulse)
        self.page = Shared(self._page)
        """Makes the page, compressed with gzip. Who asks for it at the same time shares it."""
        watch.tell(self._inventory, self._objects, self._exits)

    def show(self, further: PrometheusCollector) -> None:
        """Show further metrics, of what is none of this package's business."""
        self._registry.register(further)

    def start(self) -> None:
        """Start the threads."""
        if self._last_readings is not None:
            self._last_readings.start()
            if not self._last_readings.available:
                self._exits.cannot_read("no_inotify")
        self._objects.start()
        self._sampler.start()

    def close(self) -> None:
        """Stop the threads, and let go of all containers."""
        if self._last_readings is not None:
            self._last_readings.stop()
        self._exits.close()
        self._sampler.stop()
        self._objects.stop()
        self._source.close()

    def list_images(self) -> list[Image]:
        """List the engine's images, and show how many there are."""
        return self._objects.list_images()

    def sizes(self) -> DiskUsage | None:
        """Return what was last measured of sizes, at most some ten minutes ago."""
        return self._objects.sizes

    def save(self, store: Store) -> None:
        """Put on record which containers ended since the last time."""
        engine = self._inventory.engine
        if engine is None:
            return
        exits = self._exits.unsaved()
        if not exits:
            return
        try:
            store.record_exits(engine.id, exits)
        except StateError as error:
            if str(error) != self._trouble:  # once, not every time
                _log.warning("%d ends of containers are not on record: %s", len(exits), error)
            self._trouble = str(error)
        else:
            self._trouble = ""

    def _page(self) -> bytes:
        with self._scraping.busy(), self._durations.time():
            page = exposition.page(self._collector.collect(time.time()), self._most_series)
        if bool(page.left_out) != bool(self._served.left_out):
            if page.left_out:
                _log.warning(
                    "metrics.max_series (%d) is reached: %d containers are left out", self._most_series, page.left_out
                )
            else:
                _log.info("metrics.max_series (%d) is no longer reached: no container is left out", self._most_series)
        self._served.series, self._served.left_out = page.series, page.left_out
        page.text.add(exposition.text_of(self._registry.collect()).encode())
        return page.text.finished()


def _hierarchy(settings: MetricsSettings, procfs: Path, cgroupfs: Path) -> Hierarchy | None:
    """The host's cgroups; None where they are not wanted, or not to be had and not asked for."""
    if settings.source == "api":
        return None
    try:
        return Hierarchy.read(procfs, cgroupfs)
    except NoCgroups as error:
        if settings.source == "cgroup" or settings.cgroupfs is not None:
            raise
        _log.info("%s", error)
        return None


def _source(
    config: Config, client: EngineClient, hierarchy: Hierarchy | None, procfs: Path, inventory: Inventory
) -> Source:
    groups = config.metrics.groups
    connections = EngineClient(config.engine, read_only=True, requests_made=client.requests_made, connections=AT_ONCE)
    is_local = config.engine.host.startswith("unix://")
    api = ApiSource(connections, groups=groups, device_name=BlockDevices(procfs).name if is_local else str)
    if hierarchy is None:
        if config.metrics.source == "cgroup":
            raise NoCgroups(
                f"metrics.source is cgroup, but the engine at {config.engine.host} is on another machine, and its"
                " cgroups with it: run watchd there, or set metrics.source to api"
            )
        _log.info("the metrics of containers come from the source api")
        return api
    cgroup = CgroupSource(hierarchy, procfs=procfs, groups=groups)
    if config.metrics.source == "cgroup":
        return cgroup
    return AutoSource(cgroup, api, find_own().container_id, lambda: inventory.container_cgroups)


def _exits(hierarchy: Hierarchy | None) -> tuple[Exits, LastReadings | None]:
    """What counts the ends of containers, and what reads their cgroups then, where they can be read at all."""
    if hierarchy is None:
        return Exits("api"), None
    if hierarchy.unified is None:
        return Exits("cgroup_v1"), None
    exits = Exits(None)
    return exits, LastReadings(hierarchy, exits.ended)
