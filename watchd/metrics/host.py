"""The host itself, as the series with id="/" show it: `/proc`, the same on cgroup v1 and v2."""

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TypeVar

from watchd.metrics import cgroup_v2
from watchd.metrics.filesystems import Filesystems
from watchd.metrics.formats import Malformed, flat_keyed, number
from watchd.metrics.kernel_files import read_file
from watchd.metrics.netdev import net_dev
from watchd.metrics.usage import Cpu, Device, Interface, Lifecycle, Memory, Sample, Spec, Usage

_log = logging.getLogger(__name__)

_USER_HZ = 100  # ticks a second in /proc/stat: so on every architecture that Docker runs on
_SECTOR = 512  # bytes, in /proc/diskstats, whatever the device's own are
_DOCKERS_BRIDGES = "br-"  # what crosses them has crossed, or never crosses, a network card
_NO_DISKS = ("loop", "ram", "zram")

T = TypeVar("T")


class Host:
    """Reads the host's totals from `procfs`, the host's /proc. What cannot be read is left out, and logged once."""

    def __init__(self, procfs: Path, filesystems: Filesystems, groups: Iterable[str]) -> None:
        self._procfs = procfs
        self._filesystems = filesystems
        self._groups = frozenset(groups) | {"spec"}
        self._told: set[str] = set()

    def sample(self, now: float) -> Sample:
        """The sample with id="/"; `now` in seconds since the epoch."""
        read = cache(self._read)  # some files tell of several groups
        info = cache(lambda: meminfo(read("meminfo")))
        booted = self._group("spec", lambda: boot_time(read("stat")))
        usage = Usage(
            spec=self._group("spec", lambda: Spec(memory_limit=info().get("MemTotal"))),
            cpu=self._group("cpu", lambda: cpu(read("stat"))),
            memory=self._group("memory", lambda: memory(info(), read("vmstat"))),
            network=self._group("network", self._network),
            disk=self._group("disk", self._disks),
            filesystem=self._group("disk", self._filesystems.on_disks),
            pressure=self._group("pressure", lambda: cgroup_v2.pressure(self._pressure_file)),
        )
        return Sample("/", 'id="/"', Lifecycle(seen=now, created=booted, started=booted), usage)

    def _network(self) -> tuple[Interface, ...]:
        interfaces = net_dev(self._read("1/net/dev"))
        return tuple(found for found in interfaces if not found.interface.startswith(_DOCKERS_BRIDGES))

    def _disks(self) -> tuple[Device, ...]:
        return tuple(device for device in diskstats(self._read("diskstats")) if _is_whole(device.device))

    def _pressure_file(self, name: str) -> bytes | None:
        """`/proc/pressure/cpu` for "cpu.pressure"; None where the kernel has none, or does not let it be read."""
        try:
            return self._read(f"pressure/{name.removesuffix('.pressure')}")
        except OSError:
            return None

    def _read(self, name: str) -> bytes:
        return read_file(f"{self._procfs}/{name}")

    def _group(self, group: str, read: Callable[[], T]) -> T | None:
        if group not in self._groups:
            return None
        try:
            return read()
        except (OSError, Malformed) as error:
            if group not in self._told:
                self._told.add(group)
                _log.warning("the host's %s cannot be read: %s", group, error)
            return None


def cpu(data: bytes) -> Cpu:
    """`/proc/stat`, the line "cpu": all CPUs together. Waiting for the disk and what a hypervisor took do not count."""
    line = data.partition(b"\n")[0].split()
    if len(line) < 8 or line[0] != b"cpu":
        raise Malformed(f"not the first line of stat: {data[:80]!r}")
    user, nice, system, _idle, _iowait, irq, softirq = map(number, line[1:8])
    in_user, in_kernel = user + nice, system + irq + softirq
    return Cpu(usage=(in_user + in_kernel) / _USER_HZ, user=in_user / _USER_HZ, system=in_kernel / _USER_HZ)


def boot_time(data: bytes) -> float:
    """`/proc/stat`, the line "btime": seconds since the epoch."""
    for line in data.splitlines():
        if line.startswith(b"btime "):
            return float(number(line[6:]))
    raise Malformed("stat has no btime")


def memory(info: Mapping[str, int], vmstat: bytes) -> Memory:
    """What `meminfo` gives and the faults of `/proc/vmstat`, put together as the kernel does for a v2 cgroup."""
    faults = flat_keyed(vmstat)
    cache = _sum(info.get("Cached"), info.get("Buffers"), info.get("SwapCached"))
    usage = _sum(info.get("AnonPages"), cache)
    inactive_file = info.get("Inactive(file)")
    swap_total, swap_free = info.get("SwapTotal"), info.get("SwapFree")
    return Memory(
        usage=usage,
        working_set=None if usage is None or inactive_file is None else max(usage - inactive_file, 0),
        rss=info.get("AnonPages"),
        cache=cache,
        swap=None if swap_total is None or swap_free is None else swap_total - swap_free,
        mapped_file=info.get("Mapped"),
        kernel=_sum(info.get("Slab"), info.get("KernelStack"), info.get("PageTables")),
        active_file=info.get("Active(file)"),
        inactive_file=inactive_file,
        dirty_file=info.get("Dirty"),
        writeback_file=info.get("Writeback"),
        faults=faults(b"pgfault"),
        major_faults=faults(b"pgmajfault"),
        tree_faults=faults(b"pgfault"),
        tree_major_faults=faults(b"pgmajfault"),
    )


def meminfo(data: bytes) -> dict[str, int]:
    """`/proc/meminfo`: bytes by name (what it counts in pages, as HugePages_Total, is left out). Raise Malformed."""
    values = {}
    for line in data.splitlines():
        name, colon, value = line.partition(b":")
        fields = value.split()
        if not colon or not fields:
            raise Malformed(f"not a line of meminfo: {line[:80]!r}")
        if fields[1:] == [b"kB"]:
            values[name.decode(errors="replace")] = number(fields[0]) * 1024
    return values


def diskstats(data: bytes) -> list[Device]:
    """`/proc/diskstats` (Documentation/admin-guide/iostats.rst): disks and their partitions. Raise Malformed."""
    devices = []
    for line in data.splitlines():
        fields = line.split()
        if len(fields) < 13:
            raise Malformed(f"not a line of diskstats: {line[:80]!r}")
        major, minor, name, *counts = fields
        reads, merged_reads, read, reading, writes, merged_writes, written, writing, queued, busy = map(
            number, counts[:10]
        )
        devices.append(
            Device(
                device=f"/dev/{name.decode(errors='replace')}",
                major=major.decode(errors="replace"),
                minor=minor.decode(errors="replace"),
                read_bytes=read * _SECTOR,
                written_bytes=written * _SECTOR,
                reads=reads,
                writes=writes,
                merged_reads=merged_reads,
                merged_writes=merged_writes,
                read_time=reading / 1000,
                write_time=writing / 1000,
                io_time=busy / 1000,
                queued=queued,
            )
        )
    return devices


def _is_whole(device: str, sysfs: Path = Path("/sys")) -> bool:
    """Whether it is a disk and no partition of one, whose counts the disk's have in them."""
    name = device.removeprefix("/dev/")
    return not name.startswith(_NO_DISKS) and (sysfs / "block" / name.replace("/", "!")).exists()


def _sum(*values: int | None) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
