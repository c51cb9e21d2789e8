"""The file systems that the engine's data is on."""

import time
from collections.abc import Callable, Iterator

from prometheus_client.metrics_core import Metric

from watchd.engine.data.disks import EngineDisks, Measured, all_again
from watchd.engine.own_container import find_own
from watchd.engine.watch.mirror import Mirror
from watchd.families import gauges
from watchd.model import Disk, DiskUsage, Kind, Logs

LOCATE_AGAIN = 60.0  # seconds; in between each disk is measured alone
LOOK_FOR_AGAIN = 5.0  # seconds until one that is not known is looked for again


class DiskMetrics:
    """Their size and use, how much of that the engine does not account for, and which kinds' disks are not known."""

    def __init__(self, mirror: Mirror, disks: EngineDisks, clock: Callable[[], float] = time.monotonic) -> None:
        self._mirror = mirror
        self._disks = disks
        self._clock = clock
        self._located = Measured()
        self._locate_at = 0.0

    def root_of_layers(self) -> str | None:
        """Return the path of the data that containers' writable layers are in; None where it is not known."""
        engine = self._mirror.view.engine
        if engine.store != "containerd":
            return engine.root_dir or None
        disk = self._locate().disks.get("container")
        return disk.path if disk else None

    def _locate(self) -> Measured:
        view = self._mirror.view
        if view.engine.is_known and self._clock() >= self._locate_at:
            self._located = self._disks.measure(view.engine, view.containers, view.volumes, view.images, find_own())
            self._locate_at = self._clock() + (LOOK_FOR_AGAIN if self._located.unmeasured else LOCATE_AGAIN)
        return self._located

    def collect(self) -> Iterator[Metric]:
        """Yield the families; none before the engine was listed."""
        view = self._mirror.view
        if not view.engine.is_known:
            return
        by_kind = all_again(self._locate().disks)
        disks = {disk.path: disk for disk in by_kind.values()}
        text = "a file system that the engine's data is on."
        used = [((path,), disk.used) for path, disk in disks.items()]
        sizes = [((path,), disk.used + disk.available) for path, disk in disks.items()]
        yield gauges("watchd_disk_used_bytes", f"Bytes in use on {text}", ["path"], used)
        yield gauges("watchd_disk_size_bytes", f"Size of {text}", ["path"], sizes)
        logs = _logs(view.logs, self._located.log_disk)
        help_ = "Bytes of container logs there, taken once a minute."
        yield gauges("watchd_disk_log_bytes", help_, ["path"], (((path,), size) for path, size in logs.items()))
        help_ = "Bytes in use there beyond what the engine and logs account for."
        on_disk = {path: [kind for kind, disk in by_kind.items() if disk.path == path] for path in disks}
        beyond = [
            ((path,), max(0, disk.used - accounted - logs.get(path, 0)))
            for path, disk in disks.items()
            if (accounted := _accounted(view.sizes, on_disk[path])) is not None
        ]
        yield gauges("watchd_disk_unaccounted_bytes", help_, ["path"], beyond)
        help_ = "1 where it is known on which disk objects of a kind are, 0 where disk pressure cannot act for them."
        kinds = [((kind,), int(kind in by_kind)) for kind in (*self._located.disks, *self._located.unmeasured)]
        yield gauges("watchd_disk_measured", help_, ["kind"], kinds)


def _logs(logs: Logs, disk: Disk | None) -> dict[str, int]:
    """Return the bytes of all logs by the path of their disk; empty where some cannot be seen, or none was measured."""
    return {disk.path: sum(logs.sizes.values())} if disk and logs.sizes and not logs.unknown else {}


def _accounted(sizes: DiskUsage | None, kinds: list[Kind]) -> int | None:
    """Return the bytes of all objects of these kinds; None if the engine does not report them."""
    if sizes is None:
        return None
    totals = {
        "container": sum(size.writable_layer for size in sizes.containers.values()),
        "image": sizes.layers,
        "build_cache": sizes.build_cache,
        "volume": sum(sizes.volumes.values()),
    }
    known = [size for kind in kinds if (size := totals[kind]) is not None]
    return sum(known) if len(known) == len(kinds) else None
