"""What the files of cgroup v2 say of one container; on a hybrid host only pressure comes from here.

Pure: every function takes `read`, which gives a file's content by name, and raises nothing but `Malformed`. The kernel
describes the files in Documentation/admin-guide/cgroup-v2.rst.
"""

from collections.abc import Callable

from watchd.metrics.formats import Malformed, Read, flat_keyed, limit, number, seconds, single_value
from watchd.metrics.usage import Cpu, Device, Memory, Pressure, Process, Spec

_MICRO = 1_000_000


def spec(read: Read) -> Spec:
    """Limits, from `cpu.max`, `cpu.weight`, `memory.max`, `memory.swap.max`, `memory.low` and `pids.max`."""
    quota, period = cpu_max(read("cpu.max"))
    return Spec(
        cpu_period=period,
        cpu_quota=quota,
        cpu_shares=cpu_weight(read("cpu.weight")),
        memory_limit=limit(read("memory.max")),
        memory_swap_limit=limit(read("memory.swap.max")),
        memory_reservation=limit(read("memory.low")),  # where Docker writes --memory-reservation
        threads=limit(read("pids.max")),
    )


def steady(spec: Spec) -> tuple[str, ...]:  # noqa: ARG001 - called as cgroup_v1's is
    """The files that do not change while these limits hold: none."""
    return ()


def cpu(read: Read, *, limited: bool) -> Cpu:
    """CPU time and, where a quota is set, throttling, from `cpu.stat`."""
    stat = flat_keyed(read("cpu.stat"))
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
    stat = flat_keyed(read("memory.stat"))
    events = flat_keyed(read("memory.events"))
    usage = single_value(read("memory.current"))
    inactive_file = stat(b"inactive_file")
    return Memory(
        usage=usage,
        working_set=None if usage is None or inactive_file is None else max(usage - inactive_file, 0),
        rss=stat(b"anon"),
        cache=stat(b"file"),
        swap=single_value(read("memory.swap.current")),
        mapped_file=stat(b"file_mapped"),
        kernel=stat(b"kernel"),
        max_usage=single_value(read("memory.peak")),
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
    """Input and output by block device, from `io.stat`. `device_name` gives "/dev/sda" for "8:0"."""
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
        for key, counts in io_stat(read("io.stat")).items()
    )


def process(read: Read) -> Process:
    """Processes, from `cgroup.procs`; threads, from `pids.current`."""
    procs = read("cgroup.procs")
    return Process(
        processes=None if procs is None else procs.count(b"\n"),
        threads=single_value(read("pids.current")),
    )


def pressure(read: Read) -> Pressure:
    """Stall times, from `cpu.pressure`, `memory.pressure` and `io.pressure`, which are there on a hybrid host too."""
    cpu, memory, io = (pressure_file(read(f"{resource}.pressure")) for resource in ("cpu", "memory", "io"))
    return Pressure(
        cpu_waiting=seconds(cpu.get(b"some"), _MICRO),
        cpu_stalled=seconds(cpu.get(b"full"), _MICRO),
        memory_waiting=seconds(memory.get(b"some"), _MICRO),
        memory_stalled=seconds(memory.get(b"full"), _MICRO),
        io_waiting=seconds(io.get(b"some"), _MICRO),
        io_stalled=seconds(io.get(b"full"), _MICRO),
    )


def cpu_max(data: bytes | None) -> tuple[int | None, int | None]:
    """`cpu.max`: quota (None: "max", no limit) and period in microseconds; both None for an absent file."""
    if data is None:
        return None, None
    fields = data.split()
    if len(fields) != 2:
        raise Malformed(f"not a quota and a period: {data[:40]!r}")
    return None if fields[0] == b"max" else number(fields[0]), number(fields[1])


def cpu_weight(data: bytes | None) -> int | None:
    """`cpu.weight` (1 to 10000) on the scale of v1's shares (2 to 262144), as runtimes convert it back."""
    weight = single_value(data)
    return None if weight is None else 2 + max(weight - 1, 0) * 262142 // 9999


def io_stat(data: bytes | None) -> dict[str, dict[str, int]]:
    """`io.stat`: the counts of each device, "8:0" to "rbytes" to a number. Empty for an absent file.

    Read by tokens and not by lines: some kernels print a device without counts without the end of its line.
    """
    devices: dict[str, dict[str, int]] = {}
    counts: dict[str, int] | None = None
    for token in (data or b"").split():
        key, equals, value = token.partition(b"=")
        if not equals and b":" in token:
            counts = devices.setdefault(token.decode(errors="replace"), {})
        elif not equals or counts is None:
            raise Malformed(f"not of an io.stat file: {token[:40]!r}")
        elif value.isdigit():  # the root's cost.vrate=100.00 is no count
            counts[key.decode(errors="replace")] = number(value)
    return {device: counts for device, counts in devices.items() if counts}


def pressure_file(data: bytes | None) -> dict[bytes, int]:
    """`*.pressure`: total stall time in microseconds by "some" and "full". Empty for an absent file."""
    totals = {}
    for line in (data or b"").splitlines():
        averages, found, total = line.partition(b" total=")  # some avg10=0.00 avg60=0.00 avg300=0.00 total=0
        if not found:
            raise Malformed(f"not a line of a pressure file: {line[:80]!r}")
        totals[averages.partition(b" ")[0]] = number(total)
    return totals
