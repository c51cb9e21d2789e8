"""Parsers of a container's files of cgroup v2 (Documentation/admin-guide/cgroup-v2.rst).

Pure: every function takes `read`, which returns a file's content by name and takes note of what is not understood.
"""

import re
from collections.abc import Callable

from watchd.kernel.parse.formats import (
    Malformed,
    Odd,
    Read,
    flat_keyed,
    is_device_number,
    limit,
    number,
    refuse,
    seconds,
    single_value,
    understood,
)
from watchd.model.usage import Cpu, Device, Memory, Pressure, Process, Spec

_MICRO = 1_000_000
_PRESSURE = re.compile(rb"some avg[^\n]* total=([0-9]{1,20})\nfull avg[^\n]* total=([0-9]{1,20})\n")
_COUNTS = frozenset((b"rbytes", b"wbytes", b"rios", b"wios"))


def spec(read: Read) -> Spec:
    """Limits, from `cpu.max`, `cpu.weight`, `memory.max`, `memory.swap.max`, `memory.low` and `pids.max`."""
    swap = read("memory.swap.max")
    swap_limit = limit(swap, read.odd)
    quota, period = cpu_max(read("cpu.max"), read.odd)
    return Spec(
        cpu_period=period,
        cpu_quota=quota,
        cpu_shares=cpu_weight(read("cpu.weight"), read.odd),
        memory_limit=limit(read("memory.max"), read.odd),
        memory_swap_limit=swap_limit,
        swap_limit=None if swap is not None and swap.strip() == b"max" else swap_limit,
        memory_reservation=limit(read("memory.low"), read.odd),  # where Docker writes --memory-reservation
        threads=limit(read("pids.max"), read.odd),
    )


def steady(spec: Spec) -> tuple[str, ...]:  # noqa: ARG001 - called as cgroup_v1's is
    """Return the files that do not change while these limits hold: none."""
    return ()


def cpu(read: Read, *, limited: bool) -> Cpu:
    """CPU time and, where a quota is set, throttling, from `cpu.stat`."""
    stat = flat_keyed(read("cpu.stat"), read.odd)
    used = Cpu(
        usage=seconds(stat(b"usage_usec"), _MICRO),
        user=seconds(stat(b"user_usec"), _MICRO),
        system=seconds(stat(b"system_usec"), _MICRO),
    )
    if limited:
        used.periods = stat(b"nr_periods")
        used.throttled_periods = stat(b"nr_throttled")
        used.throttled = seconds(stat(b"throttled_usec"), _MICRO)
        used.burst_periods = stat(b"nr_bursts")
        used.burst = seconds(stat(b"burst_usec"), _MICRO)
    return used


def memory(read: Read) -> Memory:
    """Memory, from `memory.stat`, `memory.events` and the counters beside them; all count the cgroups below too."""
    stat = flat_keyed(read("memory.stat"), read.odd)
    events = flat_keyed(read("memory.events"), read.odd)
    usage = single_value(read("memory.current"), read.odd)
    inactive_file = stat(b"inactive_file")
    return Memory(
        usage=usage,
        working_set=None if usage is None or inactive_file is None else max(usage - inactive_file, 0),
        rss=stat(b"anon"),
        cache=stat(b"file"),
        swap=single_value(read("memory.swap.current"), read.odd),
        mapped_file=stat(b"file_mapped"),
        kernel=stat(b"kernel"),
        max_usage=single_value(read("memory.peak"), read.odd),
        failures=events(b"max"),
        active_file=stat(b"active_file"),
        inactive_file=inactive_file,
        dirty_file=stat(b"file_dirty"),
        writeback_file=stat(b"file_writeback"),
        faults=stat(b"pgfault"),
        major_faults=stat(b"pgmajfault"),
        tree_faults=stat(b"pgfault"),
        tree_major_faults=stat(b"pgmajfault"),
        events_high=events(b"high"),
        events_max=events(b"max"),
        pages_scanned=stat(b"pgscan"),
        pages_reclaimed=stat(b"pgsteal"),
        refaults_file=stat(b"workingset_refault_file"),
        refaults_anon=stat(b"workingset_refault_anon"),
    )


def disk(read: Read, device_name: Callable[[str], str]) -> tuple[Device, ...]:
    """Input and output by block device, from `io.stat`. `device_name` returns "/dev/sda" for "8:0"."""
    return tuple(
        Device(
            device=device_name(key),
            major=key.partition(":")[0],
            minor=key.partition(":")[2],
            read_bytes=counts.get("rbytes"),
            written_bytes=counts.get("wbytes"),
            reads=counts.get("rios"),
            writes=counts.get("wios"),
            cost_usage=seconds(counts.get("cost.usage"), _MICRO),
            cost_wait=seconds(counts.get("cost.wait"), _MICRO),
            cost_indebt=seconds(counts.get("cost.indebt"), _MICRO),
            cost_indelay=seconds(counts.get("cost.indelay"), _MICRO),
        )
        for key, counts in io_stat(read("io.stat"), read.odd).items()
    )


def process(read: Read) -> Process:
    """Processes, from `cgroup.procs`; threads, from `pids.current`."""
    procs = read("cgroup.procs")
    return Process(
        processes=None if procs is None else procs.count(b"\n"),
        threads=single_value(read("pids.current"), read.odd),
    )


def pressure(read: Read) -> Pressure:
    """Stall times, from `cpu.pressure`, `memory.pressure` and `io.pressure`, which are there on a hybrid host too."""
    files = [read(name) for name in ("cpu.pressure", "memory.pressure", "io.pressure")]
    return Pressure(*[seconds(total, _MICRO) for data in files for total in pressure_file(data, read.odd)])


def cpu_max(data: bytes | None, odd: Odd = refuse) -> tuple[int | None, int | None]:
    """`cpu.max`: quota (None: "max", no limit) and period in microseconds; both None for an absent file."""
    return (None, None) if data is None else next(understood(_quota_and_period, (data,), odd), (None, None))


def _quota_and_period(data: bytes) -> tuple[int | None, int | None]:
    fields = data.split()
    if len(fields) != 2:
        raise Malformed(f"not a quota and a period: {data[:40]!r}")
    return None if fields[0] == b"max" else number(fields[0]), number(fields[1])


def cpu_weight(data: bytes | None, odd: Odd = refuse) -> int | None:
    """`cpu.weight` (1 to 10000) on the scale of v1's shares (2 to 262144), as runtimes convert it back."""
    weight = single_value(data, odd)
    return None if weight is None else 2 + max(weight - 1, 0) * 262142 // 9999


def io_stat(data: bytes | None, odd: Odd = refuse) -> dict[str, dict[str, int]]:
    """`io.stat`: the counts of each device, "8:0" to "rbytes" to a number. Empty for an absent file.

    Read by tokens and not by lines: some kernels print a device without counts without the end of its line. A device
    that was removed is "(unknown)" on others.
    """
    devices: dict[str, dict[str, int]] = {}
    counts: dict[str, int] = {}
    for token in (data or b"").split():
        key, equals, value = token.partition(b"=")
        if is_device_number(token):
            counts = devices.setdefault(token.decode(), {})
        elif not equals:
            odd(f"not a device of io.stat: {token[:40]!r}")
            counts = {}  # what follows is of no device
        elif value.isdigit():  # the root's cost.vrate=100.00 is no count
            counts.update((key.decode(errors="replace"), count) for count in understood(number, (value,), odd))
        elif key in _COUNTS:
            odd(f"not a count of io.stat: {token[:40]!r}")
    return {device: counts for device, counts in devices.items() if counts}


def pressure_file(data: bytes | None, odd: Odd = refuse) -> tuple[int | None, int | None]:
    """`*.pressure`: microseconds in which some tasks waited, and in which all did. None: not told."""
    usual = _PRESSURE.fullmatch(data) if data else None
    if usual:
        return int(usual[1]), int(usual[2])
    totals = dict(understood(_total, (data or b"").splitlines(), odd))
    return totals.get(b"some"), totals.get(b"full")


def _total(line: bytes) -> tuple[bytes, int]:
    averages, found, total = line.partition(b" total=")  # some avg10=0.00 avg60=0.00 avg300=0.00 total=0
    if not found:
        raise Malformed(f"not a line of a pressure file: {line[:80]!r}")
    return averages.partition(b" ")[0], number(total)
