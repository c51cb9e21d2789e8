"""The source of container metrics, and the host's cgroups, as the configuration says."""

import logging
from pathlib import Path

from watchd.config import Config
from watchd.config.schema.config import Metrics as MetricsSettings
from watchd.engine.client import EngineClient
from watchd.engine.own_container import find_own
from watchd.errors import WatchdError
from watchd.kernel.block_devices import BlockDevices
from watchd.kernel.cgroup_paths import Hierarchy, NoCgroups
from watchd.metrics.groups import groups_named
from watchd.metrics.place import Place
from watchd.metrics.sources.api import MOST_REQUESTS, ApiSource
from watchd.metrics.sources.auto import AutoSource
from watchd.metrics.sources.cgroup import CgroupSource
from watchd.metrics.sources.source import Source

_log = logging.getLogger(__name__)


def find_hierarchy(settings: MetricsSettings, procfs: Path, cgroupfs: Path) -> Hierarchy | None:
    """Return the host's cgroups; None where they are not wanted.

    Raise NoCgroups where they are and there are none, and WatchdError where `procfs` is no /proc.
    """
    if not (procfs / "self").exists():
        raise WatchdError(f"metrics.procfs: {procfs} is no /proc")
    if settings.source == "api":
        return None
    try:
        return Hierarchy.read(procfs, cgroupfs)
    except NoCgroups as error:
        if settings.source == "cgroup" or settings.cgroupfs is not None:
            raise
        _log.info("%s", error)
        return None


def make_source(
    config: Config,
    watcher: EngineClient,
    hierarchy: Hierarchy | None,
    procfs: Path,
    place: Place,
) -> Source:
    """Make the configured source."""
    groups = groups_named(config.metrics.groups)
    client = EngineClient(config.engine, read_only=True, beside=watcher, connections=MOST_REQUESTS)
    devices = BlockDevices(procfs, lambda _: None)
    api = ApiSource(
        client, groups=groups, device_name=lambda number: devices.name(number) if place.is_here() else number
    )
    if hierarchy is None:
        _log.info("the metrics of containers come from the source api")
        return api
    cgroup = CgroupSource(hierarchy, procfs=procfs, groups=groups)
    if config.metrics.source == "cgroup":
        return cgroup
    return AutoSource(cgroup, api, find_own().container_id, place.has_cgroups)
