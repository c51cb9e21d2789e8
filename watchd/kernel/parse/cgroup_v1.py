"""Parsers of a container's files of cgroup v1 (Documentation/admin-guide/cgroup-v1).

Pure: every function takes `read`, which returns a file's content by name and takes note of what is not understood.
"""

from collections.abc import Callable, Mapping, Sequence

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
from watchd.model.usage import Cpu, Device, Memory, Process, Spec

_USER_HZ = 100  # ticks a second in cpuacct.stat: so on every architecture that Docker runs on
_UNLIMITED = 1 << 62  # the kernel writes "no limit" as the largest multiple of its page size
_NANO = 1_000_000_000

_ReadsAndWrites = tuple[int | None, int | None]
_NEITHER: _ReadsAndWrites = (None, None)

_MOST_LAYOUTS = 64
_layouts: dict[tuple[int | bytes, ...], Mapping[str, tuple[int, int]]] = {}
"""`blkio.*` files that were read before, by all words but the numbers: the places of each device's reads and writes.

Such a file is read by words, which takes half of what lines do.
"""

_BLKIO_COUNTS = ("io_service_bytes", "io_serviced", "io_merged", "io_service_time", "io_queued")
_BLKIO_SCHEDULERS, _BLKIO_THROTTLE = (
    tuple(tuple(family.format(count) for count in _BLKIO_COUNTS) for family in families)
    for families in (
        ("blkio.bfq.{}_recursive", "blkio.{}_recursive"),
        ("blkio.throttle.{}_recursive", "blkio.throttle.{}"),
    )
)
"""Families of files, of which the I/O scheduler decides; as in Docker's stats, the first with any counts is used.

The last one is for kernels without the one before: the same, without the cgroups below.
"""


def spec(read: Read) -> Spec:
    """Limits, from `cpu.cfs_*_us`, `cpu.shares`, `memory.*limit_in_bytes` and `pids.max`."""
    quota = single_value(read("cpu.cfs_quota_us"), read.odd)
    memory = limit_in_bytes(read("memory.limit_in_bytes"), read.odd)
    memory_and_swap = limit_in_bytes(read("memory.memsw.limit_in_bytes"), read.odd)
    return Spec(
        cpu_period=single_value(read("cpu.cfs_period_us"), read.odd),
        cpu_quota=None if quota is None or quota < 0 else quota,
        cpu_shares=single_value(read("cpu.shares"), read.odd),
        memory_limit=memory,
        memory_swap_limit=memory_and_swap,
        swap_limit=max(memory_and_swap - memory, 0) if memory_and_swap and memory else None,
        memory_reservation=limit_in_bytes(read("memory.soft_limit_in_bytes"), read.odd),
        threads=limit(read("pids.max"), read.odd),
    )


def steady(spec: Spec) -> tuple[str, ...]:
    """Return the files that do not change while these limits hold: without a memory limit, none can be hit."""
    return ("memory.failcnt",) if spec.memory_limit == 0 else ()


def cpu(read: Read, *, limited: bool) -> Cpu:
    """CPU time, from `cpuacct.usage` and `cpuacct.stat`; throttling, from `cpu.stat`, where a quota is set."""
    ticks = flat_keyed(read("cpuacct.stat"), read.odd)
    used = Cpu(
        usage=seconds(single_value(read("cpuacct.usage"), read.odd), _NANO),
        user=seconds(ticks(b"user"), _USER_HZ),
        system=seconds(ticks(b"system"), _USER_HZ),
    )
    if limited:
        cfs = flat_keyed(read("cpu.stat"), read.odd)
        used.periods = cfs(b"nr_periods")
        used.throttled_periods = cfs(b"nr_throttled")
        used.throttled = seconds(cfs(b"throttled_time"), _NANO)
        used.burst_periods = cfs(b"nr_bursts")
        used.burst = seconds(cfs(b"burst_time"), _NANO)
    return used


def memory(read: Read) -> Memory:
    """Memory, from `memory.stat` (its total_ lines: with the cgroups below) and the counters beside it."""
    stat = flat_keyed(read("memory.stat"), read.odd)
    usage = single_value(read("memory.usage_in_bytes"), read.odd)
    inactive_file = stat(b"total_inactive_file")
    return Memory(
        usage=usage,
        working_set=None if usage is None or inactive_file is None else max(usage - inactive_file, 0),
        rss=stat(b"total_rss"),
        cache=stat(b"total_cache"),
        swap=stat(b"total_swap"),
        mapped_file=stat(b"total_mapped_file"),
        kernel=single_value(read("memory.kmem.usage_in_bytes"), read.odd),
        max_usage=single_value(read("memory.max_usage_in_bytes"), read.odd),
        failures=single_value(read("memory.failcnt"), read.odd),
        active_file=stat(b"total_active_file"),
        inactive_file=inactive_file,
        dirty_file=stat(b"total_dirty"),
        writeback_file=stat(b"total_writeback"),
        faults=stat(b"pgfault"),
        major_faults=stat(b"pgmajfault"),
        tree_faults=stat(b"total_pgfault"),
        tree_major_faults=stat(b"total_pgmajfault"),
        refaults_file=stat(b"total_workingset_refault_file"),
        refaults_anon=stat(b"total_workingset_refault_anon"),
    )


def disk(read: Read, device_name: Callable[[str], str]) -> tuple[Device, ...]:
    """Input and output by block device, from the first family of `blkio.*` files that has counted any.

    `device_name` returns "/dev/sda" for "8:0". Read and Write alone are used: recent kernels count asynchronous writes
    twice in Total, and once more as Discard.
    """
    for family in (*_BLKIO_SCHEDULERS, *_BLKIO_THROTTLE):
        data = read(family[0])
        transferred = blkio(data, read.odd)
        if transferred or (data is not None and family in _BLKIO_THROTTLE):
            break
    if not transferred:
        return ()
    served, merged, time, queued = [blkio(read(name), read.odd) for name in family[1:]]
    devices = []
    for key, (read_bytes, written_bytes) in transferred.items():
        major, _, minor = key.partition(":")
        reads, writes = served.get(key, _NEITHER)
        merged_reads, merged_writes = merged.get(key, _NEITHER)
        read_time, write_time = time.get(key, _NEITHER)
        device = Device(
            device=device_name(key),
            major=major,
            minor=minor,
            read_bytes=read_bytes,
            written_bytes=written_bytes,
            reads=reads,
            writes=writes,
            merged_reads=merged_reads,
            merged_writes=merged_writes,
            read_time=seconds(read_time, _NANO),
            write_time=seconds(write_time, _NANO),
            io_time=seconds(_sum(read_time, write_time), _NANO),
            queued=_sum(*queued.get(key, _NEITHER)),
        )
        devices.append(device)
    return tuple(devices)


def process(read: Read) -> Process:
    """Processes, from `cgroup.procs`; threads, from `pids.current`.

    The kernel leaves out processes of other PID namespaces: all of them, for a watchd in a container. A running
    container has at least one, so 0 means that the count is not known.
    """
    procs = read("cgroup.procs")
    return Process(
        processes=procs.count(b"\n") if procs else None,
        threads=single_value(read("pids.current"), read.odd),
    )


def limit_in_bytes(data: bytes | None, odd: Odd = refuse) -> int | None:
    """`memory.*limit_in_bytes`: 0 for no limit, None for an absent file."""
    value = single_value(data, odd)
    return 0 if value is not None and value > _UNLIMITED else value


def blkio(data: bytes | None, odd: Odd = refuse) -> Mapping[str, _ReadsAndWrites]:
    """`blkio.*`: reads and writes of each device, "8:0". Empty for an absent file."""
    if data is None:
        return {}
    words = data.split()
    places = _layouts.get((len(words), *words[::3], *words[1:-2:3]))
    if places is None:
        return _by_lines(data, words, odd)
    try:
        return {
            device: (number(words[of_reads]), number(words[of_writes]))
            for device, (of_reads, of_writes) in places.items()
        }
    except Malformed:  # its line is told
        return _by_lines(data, words, odd)


def _by_lines(data: bytes, words: Sequence[bytes], odd: Odd) -> Mapping[str, _ReadsAndWrites]:
    """Read a file as `blkio` does, and keep its layout if it is as usual.

    That is lines of three words, with reads and writes for each device, then the sum.
    """
    lines = data.splitlines()
    found = list(understood(_operation, lines, odd))
    devices: dict[str, dict[bytes, int]] = {}
    places: dict[str, dict[bytes, int]] = {}
    for line_number, of_line in enumerate(found):
        if of_line is not None:
            device, operation, count = of_line
            devices.setdefault(device, {})[operation] = count
            places.setdefault(device, {})[operation] = 3 * line_number + 2
    is_usual = len(found) == len(lines) and words[-2:-1] == [b"Total"] and len(words) == 3 * len(lines) - 1
    has_both = all(len(operations) == 2 for operations in places.values())
    if is_usual and has_both and len(_layouts) < _MOST_LAYOUTS:
        _layouts[len(words), *words[::3], *words[1:-2:3]] = {
            device: (operations[b"Read"], operations[b"Write"]) for device, operations in places.items()
        }
    return {device: (counts.get(b"Read"), counts.get(b"Write")) for device, counts in devices.items()}


def _operation(line: bytes) -> tuple[str, bytes, int] | None:
    """Parse one line: device, Read or Write, number. None for other operations, and for the sum over all devices."""
    fields = line.split()
    if len(fields) == 2 and fields[0] == b"Total":
        return None
    if len(fields) != 3 or not is_device_number(fields[0]):
        raise Malformed(f"not a line of a blkio file: {line[:80]!r}")
    if fields[1] not in {b"Read", b"Write"}:
        return None
    return fields[0].decode(), fields[1], number(fields[2])


def _sum(reads: int | None, writes: int | None) -> int | None:
    return None if reads is None or writes is None else reads + writes
