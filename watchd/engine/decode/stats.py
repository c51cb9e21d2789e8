"""`GET /containers/{id}/stats` of one container, as the fields that its cgroup's files would fill.

Pure. Every function raises `MalformedReply`, and nothing else, whatever it is given: this is the engine's JSON and no
file of the kernel. The engine passes on what containerd read from the same files, with times in nanoseconds; it leaves
out what is zero, and writes null for an empty list.

A container that runs has used CPU time and memory, and has a thread: where these are 0 or missing, the kernel lacks the
controller that counts them, and the engine fills with 0 what it does not know.

What it does not pass on is None: pressure, the number of processes, bursts, kernel memory, swap and refaults; on v2
also the most memory in use, memory events (its `failcnt` counts another one), and of disks all but the bytes.

Limits are those that the container was given, which runtimes write into the files: its stats have the machine's memory
where there is no limit.
"""

from collections.abc import Callable, Mapping
from typing import Any

from watchd.engine.decode.fields import MalformedReply
from watchd.engine.decode.quirks import interfaces
from watchd.kernel.parse.cgroup_v2 import cpu_weight
from watchd.kernel.parse.netdev import is_own
from watchd.model import Limits
from watchd.model.usage import Cpu, Device, Interface, Memory, Process, Spec

_NANO = 1_000_000_000
_UNLIMITED = 1 << 62  # as in cgroup_v1; "max" of pids.max comes as the largest number there is
_PAGE = 4096  # bytes, in which the kernel counts limits; where its pages are larger, odd limits are a little off
_DEFAULT_PERIOD = 100_000  # microseconds
_DEFAULT_SHARES = 1024
_FEWEST_SHARES, _MOST_SHARES = 2, 262_144
_DEFAULT_SHARES_V2 = cpu_weight(b"100")

# Which key of memory_stats.stats has which field.
_MEMORY_V1 = {
    "rss": "total_rss",
    "cache": "total_cache",
    "mapped_file": "total_mapped_file",
    "active_file": "total_active_file",
    "inactive_file": "total_inactive_file",
    "dirty_file": "total_dirty",
    "writeback_file": "total_writeback",
    "faults": "pgfault",
    "major_faults": "pgmajfault",
    "tree_faults": "total_pgfault",
    "tree_major_faults": "total_pgmajfault",
}
_MEMORY_V2 = {
    "rss": "anon",
    "cache": "file",
    "mapped_file": "file_mapped",
    "active_file": "active_file",
    "inactive_file": "inactive_file",
    "dirty_file": "file_dirty",
    "writeback_file": "file_writeback",
    "faults": "pgfault",
    "major_faults": "pgmajfault",
    "tree_faults": "pgfault",
    "tree_major_faults": "pgmajfault",
    "pages_scanned": "pgscan",
    "pages_reclaimed": "pgsteal",
}


def is_of_a_running_container(raw: Any) -> bool:
    """Return whether the stats are of a running container: one that has ended has stats of the year 1."""
    read = _get(raw, "read", str)
    return read is not None and not read.startswith("0001-")


def _cgroup_version(raw: Any) -> int | None:
    """1, 2, or None where the stats do not show it: engines other than Docker leave much out."""
    stats = _table(_table(raw, "memory_stats"), "stats")
    if "anon" in stats:
        return 2
    if "total_rss" in stats or _list(_table(_table(raw, "cpu_stats"), "cpu_usage"), "percpu_usage"):
        return 1
    return None


def spec(raw: Any, limits: Limits) -> Spec:
    """Limits that the container was given, as its kernel would show them."""
    version = _cgroup_version(raw)
    memory = _table(raw, "memory_stats")
    has_memory = bool(_count(memory, "usage"))  # a kernel may be without, whatever was asked for
    period = limits.cpu_period or _DEFAULT_PERIOD
    memory_limit = _pages(limits.memory) if has_memory else None
    swap_limit = _swap_limit(limits, memory, version) if has_memory else None
    has_swap_limit = swap_limit is not None and memory_limit and limits.memory_swap > 0
    return Spec(
        cpu_period=period,
        cpu_quota=limits.cpu_quota if limits.cpu_quota > 0 else None,
        cpu_shares=_shares(limits.cpu_shares, version),
        memory_limit=memory_limit,
        memory_swap_limit=swap_limit,
        swap_limit=_pages(limits.memory_swap - limits.memory) if has_swap_limit else None,
        effective_memory_limit=memory_limit or None,
        effective_cpus=limits.cpu_quota / period if limits.cpu_quota > 0 else None,
        memory_reservation=_pages(limits.memory_reservation) if has_memory else None,
        threads=_threads_limit(_table(raw, "pids_stats")),
    )


def _shares(shares: int, version: int | None) -> int | None:
    """CPU shares. What weight a runtime makes of given shares on v2 cannot be known: runc 1.3.2 changed it."""
    if version == 1:
        return max(_FEWEST_SHARES, min(shares, _MOST_SHARES)) if shares else _DEFAULT_SHARES
    return _DEFAULT_SHARES_V2 if version == 2 and not shares else None


def _swap_limit(limits: Limits, memory: Mapping[str, Any], version: int | None) -> int | None:
    """The limit of memory and swap together (v1), of swap alone (v2); 0: none.

    A v1 kernel that does not count swap has no such file, and shows no limit that holds. (On v2 the stats do not show
    whether it counts: 0 is true of both.)
    """
    if version == 1:
        return _pages(limits.memory_swap) if _count(_table(memory, "stats"), "hierarchical_memsw_limit") else None
    return (_pages(limits.memory_swap - limits.memory) if limits.memory_swap > 0 else 0) if version == 2 else None


def _pages(limit: int) -> int:
    """Bytes of whole pages; 0 for no limit."""
    return max(limit, 0) // _PAGE * _PAGE


def _threads_limit(pids: Mapping[str, Any]) -> int | None:
    """The limit of threads, 0: none. A kernel that does not count them reports no limit either."""
    limit = _count(pids, "limit") or 0
    return (0 if limit > _UNLIMITED else limit) if _count(pids, "current") else None


def cpu(raw: Any, *, limited: bool) -> Cpu:
    """CPU time and, where a quota is set, throttling."""
    stats = _table(raw, "cpu_stats")
    used = _table(stats, "cpu_usage")
    if not _count(used, "total_usage"):
        used = {}
    throttling = _table(stats, "throttling_data") if limited else {}
    return Cpu(
        usage=_seconds(used, "total_usage"),
        user=_seconds(used, "usage_in_usermode"),
        system=_seconds(used, "usage_in_kernelmode"),
        periods=_count(throttling, "periods"),
        throttled_periods=_count(throttling, "throttled_periods"),
        throttled=_seconds(throttling, "throttled_time"),
    )


def memory(raw: Any) -> Memory:
    """Memory."""
    version = _cgroup_version(raw)
    memory = _table(raw, "memory_stats")
    stats = _table(memory, "stats")
    keys = {1: _MEMORY_V1, 2: _MEMORY_V2}.get(version or 0, {})
    fields = {field: _count(stats, key) for field, key in keys.items()}
    used, inactive_file = _count(memory, "usage"), fields.get("inactive_file")
    if not used:
        return Memory()
    return Memory(
        usage=used,
        working_set=None if inactive_file is None else max(used - inactive_file, 0),
        max_usage=_count(memory, "max_usage") or None,
        failures=(_count(memory, "failcnt") or 0) if version == 1 and stats else None,
        **fields,
    )


def network(raw: Any) -> tuple[Interface, ...] | None:
    """The interfaces that the engine made; None where it made none."""
    networks = interfaces(_table(raw, "networks"))
    if not networks:
        return None
    return tuple(_interface(name, _table(networks, name)) for name in networks if is_own(name))


def _interface(name: str, counts: Mapping[str, Any]) -> Interface:
    return Interface(
        name.encode(errors="replace").decode(),
        received_bytes=_required(counts, "rx_bytes"),
        received_packets=_required(counts, "rx_packets"),
        received_errors=_required(counts, "rx_errors"),
        received_dropped=_required(counts, "rx_dropped"),
        sent_bytes=_required(counts, "tx_bytes"),
        sent_packets=_required(counts, "tx_packets"),
        sent_errors=_required(counts, "tx_errors"),
        sent_dropped=_required(counts, "tx_dropped"),
    )


def disk(raw: Any, device_name: Callable[[str], str]) -> tuple[Device, ...]:
    """Input and output by block device. `device_name` gives "/dev/sda" for "8:0"."""
    stats = _table(raw, "blkio_stats")
    transferred, served, merged, time, queued = (
        _operations(stats, f"io_{name}_recursive")
        for name in ("service_bytes", "serviced", "merged", "service_time", "queue")
    )
    return tuple(
        Device(
            device=device_name(f"{major}:{minor}"),
            major=str(major),
            minor=str(minor),
            read_bytes=counts.get("read"),
            written_bytes=counts.get("write"),
            reads=served.get((major, minor), {}).get("read"),
            writes=served.get((major, minor), {}).get("write"),
            merged_reads=merged.get((major, minor), {}).get("read"),
            merged_writes=merged.get((major, minor), {}).get("write"),
            read_time=_in_seconds(time.get((major, minor), {}).get("read")),
            write_time=_in_seconds(time.get((major, minor), {}).get("write")),
            io_time=_in_seconds(_both(time.get((major, minor), {}))),
            queued=_both(queued.get((major, minor), {})),
        )
        for (major, minor), counts in transferred.items()
    )


def _operations(stats: Mapping[str, Any], key: str) -> dict[tuple[int, int], dict[str, int]]:
    """Reads and writes of each device: "Read" on v1 and "read" on v2. v1's other operations are not to be trusted."""
    devices: dict[tuple[int, int], dict[str, int]] = {}
    for entry in _list(stats, key):
        operation = (_get(entry, "op", str) or "").lower()
        if operation in ("read", "write"):
            device = _required(entry, "major"), _required(entry, "minor")
            devices.setdefault(device, {})[operation] = _required(entry, "value")
    return devices


def _both(operations: Mapping[str, int]) -> int | None:
    return operations["read"] + operations["write"] if len(operations) == 2 else None


def process(raw: Any) -> Process:
    """Threads."""
    return Process(threads=_count(_table(raw, "pids_stats"), "current") or None)


def _get(raw: Any, key: str, type_: type) -> Any:
    """The value of a key, None where it is missing or null."""
    if not isinstance(raw, Mapping):
        raise MalformedReply(f"stats: an object with {key} was expected, not a {type(raw).__name__}")
    value = raw.get(key)
    if value is not None and (not isinstance(value, type_) or isinstance(value, bool)):
        raise MalformedReply(f"stats: {key} is a {type(value).__name__}, not a {type_.__name__}")
    return value


def _table(raw: Any, key: str) -> Mapping[str, Any]:
    table: Mapping[str, Any] = _get(raw, key, Mapping) or {}
    return table


def _list(raw: Any, key: str) -> list[Any]:
    entries: list[Any] = _get(raw, key, list) or []
    return entries


def _count(raw: Any, key: str) -> int | None:
    count: int | None = _get(raw, key, int)
    if count is not None and not 0 <= count < 1 << 64:
        raise MalformedReply(f"stats: {key} is no count of 64 bits")
    return count


def _required(raw: Any, key: str) -> int:
    count = _count(raw, key)
    if count is None:
        raise MalformedReply(f"stats: {key} is missing")
    return count


def _seconds(raw: Any, key: str) -> float | None:
    return _in_seconds(_count(raw, key))


def _in_seconds(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / _NANO
