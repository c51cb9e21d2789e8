"""Totals and versions of the machine, under cAdvisor's names. They do not change while the machine runs."""

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import psutil
from prometheus_client.metrics_core import Metric

from watchd import __version__
from watchd.families import gauge, gauges
from watchd.model import EngineInfo

_log = logging.getLogger(__name__)

_MIB = 2**20


class Machine:
    """machine_* and cadvisor_version_info. `is_known`: whether `procfs` has the totals of the engine's machine."""

    def __init__(
        self,
        engine: Callable[[], EngineInfo | None],
        is_known: Callable[[], bool],
        *,
        procfs: Path,
        sysfs: Path = Path("/sys"),
    ) -> None:
        self._engine = engine
        self._is_known = is_known
        self._procfs = procfs
        self._sysfs = sysfs
        self._is_logged = False
        self.errors: Counter[str] = Counter({"machine": 0})

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        yield self._version()
        if not self._is_known():
            return
        totals: list[Metric] = []
        try:
            totals = self._gauges
        except OSError as error:
            self.errors["machine"] += 1
            if not self._is_logged:
                self._is_logged = True
                _log.warning("the machine's totals cannot be read: %s", error)
        yield gauge("machine_scrape_error", "1 where the machine's totals cannot be read.", not totals)
        yield from totals

    def _version(self) -> Metric:
        engine = self._engine()
        labels = {
            "cadvisorRevision": "",
            "cadvisorVersion": f"watchd-{__version__}",  # dashboards show it as the exporter's version
            "dockerVersion": engine.version if engine else "",
            "kernelVersion": engine.kernel_version if engine else os.uname().release,
            "osVersion": engine.operating_system if engine else "",
        }
        text = "Versions of kernel, operating system, engine and watchd."
        return gauges("cadvisor_version_info", text, list(labels), [(list(labels.values()), 1)])

    @cached_property
    def _gauges(self) -> list[Metric]:
        psutil.PROCFS_PATH = str(self._procfs)
        topology = self._sysfs / "devices/system/cpu"
        # A kernel that has no drawers and books (all but s390's) has no such files, and so no series.
        totals = [
            ("machine_cpu_cores", "Logical CPUs", psutil.cpu_count()),
            ("machine_cpu_physical_cores", "Physical cores", psutil.cpu_count(logical=False)),
            ("machine_cpu_sockets", "CPU sockets", _distinct(topology, "physical_package_id")),
            ("machine_cpu_books", "CPU books", _distinct(topology, "book_id")),
            ("machine_cpu_drawers", "CPU drawers", _distinct(topology, "drawer_id")),
            ("machine_memory_bytes", "Memory, /proc/meminfo MemTotal", psutil.virtual_memory().total),
            ("machine_swap_bytes", "Swap space, /proc/meminfo SwapTotal", psutil.swap_memory().total),
        ]
        identity = self._identity()
        names, values = list(identity), list(identity.values())
        families: list[Metric] = []
        for name, text, value in totals:
            if value is not None:
                families.append(gauges(name, f"{text}.", names, [(values, value)]))
        counts, sizes = self._memory_modules()
        for name, text, by_type in (
            ("machine_dimm_count", "Memory modules by type", counts),
            ("machine_dimm_capacity_bytes", "Bytes of memory modules by type", sizes),
        ):
            if by_type:
                rows = [([*values, type_], value) for type_, value in by_type.items()]
                families.append(gauges(name, f"{text}, /sys/devices/system/edac.", [*names, "type"], rows))
        return families

    def _identity(self) -> dict[str, str]:
        return {
            "boot_id": _text(self._procfs / "sys/kernel/random/boot_id"),
            "machine_id": _text(self._procfs / "1/root/etc/machine-id") or _text(Path("/etc/machine-id")),
            "system_uuid": next(filter(None, map(_text, self._system_uuids())), ""),
        }

    def _system_uuids(self) -> Iterator[Path]:
        """Yield the files that have it, in the order of cAdvisor: of a PC, of POWER, of s390."""
        yield self._sysfs / "class/dmi/id/product_uuid"
        yield self._procfs / "device-tree/system-id"
        yield self._procfs / "device-tree/vm,uuid"
        yield self._procfs / "1/root/etc/machine-id"
        yield Path("/etc/machine-id")

    def _memory_modules(self) -> tuple[Counter[str], Counter[str]]:
        """Return the memory modules and their bytes, by type; none where the kernel has no EDAC driver."""
        counts, sizes = Counter[str](), Counter[str]()
        for module in (self._sysfs / "devices/system/edac/mc").glob("mc*/dimm*"):
            type_, size = _text(module / "dimm_mem_type"), _text(module / "size")
            if type_ and size.isdigit():
                counts[type_] += 1
                sizes[type_] += int(size) * _MIB
        return counts, sizes


def _distinct(topology: Path, name: str) -> int | None:
    """Count the different values of a file of each CPU's topology; None where there is no such file."""
    values = {_text(file) for file in topology.glob(f"cpu[0-9]*/topology/{name}")} - {"", "-1"}
    return len(values) or None


def _text(path: Path) -> str:
    with suppress(OSError):  # the product's UUID, for one, only root may read
        return path.read_text(errors="replace").strip("\0 \n")
    return ""
