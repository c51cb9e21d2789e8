"""What the files of cgroup v1 say of one container.

Pure: every function takes `read`, which gives a file's content by name, and raises nothing but `Malformed`. The kernel
describes the files in Documentation/admin-guide/cgroup-v1.
"""

from collections.abc import Callable, Mapping

from watchd.metrics.formats import Malformed, Read, flat_keyed, limit, number, seconds, single_value
from watchd.metrics.usage import Cpu, Device, Memory, Process, Spec

_USER_HZ = 100  # ticks a second in cpuacct.stat: so on every architecture that Docker runs on
_UNLIMITED = 1 << 62  # the kernel writes "no limit" as the largest multiple of its page size
_NANO = 1_000_000_000
_NOTHING: Mapping[bytes, int] = {}

_BLKIO_COUNTS = ("io_service_bytes", "io_serviced", "io_merged", "io_service_time", "io_queued")
_BLKIO_SCHEDULERS, _BLKIO_THROTTLE = (
    tuple(tuple(family.format(count) for count in _BLKIO_COUNTS) for family in families)
    for families in (
        ("blkio.bfq.{}_recursive", "blkio.{}_recursive"),
        ("blkio.throttle.{}_recursive", "blkio.throttle.{}"),
    )
)
"""Which files count depends on the I/O scheduler; as in Docker's own stats, the first family that has counted any.

Of the throttle's two the second is for kernels without the first: the same, without what the cgroups below did.
"""


def spec(read: Read) -> Spec:
    """Limits, from `cpu.cfs_*_us`, `cpu.shares`, `memory.*limit_in_bytes` and `pids.max`."""
    quota = single_value(read("cpu.cfs_quota_us"))
    return Spec(
        cpu_period=single_value(read("cpu.cfs_period_us")),
        cpu_quota=None if quota is None or quota < 0 else quota,
        cpu_shares=single_value(read("cpu.shares")),
        memory_limit=limit_in_bytes(read("memory.limit_in_bytes")),
        memory_swap_limit=limit_in_bytes(read("memory.memsw.limit_in_bytes")),
        memory_reservation=limit_in_bytes(read("memory.soft_limit_in_bytes")),
        threads=limit(read("pids.max")),
    )


def steady(spec: Spec) -> tuple[str, ...]:
    """The files that do not change while these limits hold: without a memory limit, none can be hit."""
    return ("memory.failcnt",) if spec.memory_limit == 0 else ()


def cpu(read: Read, *, limited: bool) -> Cpu:
    """CPU time, from `cpuacct.usage` and `cpuacct.stat`; throttling, from `cpu.stat`, where a quota is set."""
    ticks = flat_keyed(read("cpuacct.stat"))
    used = Cpu(
        usage=seconds(single_value(read("cpuacct.usage")), _NANO),
        user=seconds(ticks(b"user"), _USER_HZ),
        system=seconds(ticks(b"system"), _USER_HZ),
    )
    if limited:
        cfs = flat_keyed(read("cpu.stat"))
        used.periods = cfs(b"nr_periods")
        used.throttled_periods = cfs(b"nr_throttled")
        used.throttled = seconds(cfs(b"throttled_time"), _NANO)
        used.burst_periods = cfs(b"nr_bursts")
        used.burst = seconds(cfs(b"burst_time"), _NANO)
    return used


def memory(read: Read) -> Memory:
    """Memory, from `memory.stat` (its total_ lines: with the cgroups below) and the counters beside it."""
    stat = flat_keyed(read("memory.stat"))
    usage = single_value(read("memory.usage_in_bytes"))
    inactive_file = stat(b"total_inactive_file")
    return Memory(
        usage=usage,
        working_set=None if usage is None or inactive_file is None else max(usage - inactive_file, 0),
        rss=stat(b"total_rss"),
        cache=stat(b"total_cache"),
        swap=stat(b"total_swap"),
        mapped_file=stat(b"total_mapped_file"),
        kernel=single_value(read("memory.kmem.usage_in_bytes")),
        max_usage=single_value(read("memory.max_usage_in_bytes")),
        failures=single_value(read("memory.failcnt")),
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

    `device_name` gives "/dev/sda" for "8:0". Read and Write alone are used: recent kernels count asynchronous writes
    twice in Total, and once more as Discard.
    """
    for family in (*_BLKIO_SCHEDULERS, *_BLKIO_THROTTLE):
        data = read(family[0])
        transferred = blkio(data)
        if transferred or (data is not None and family in _BLKIO_THROTTLE):
            break
    if not transferred:
        return ()
    served, merged, time, queued = (blkio(read(name)) for name in family[1:])
    return tuple(
        Device(
            device=device_name(key),
            major=key.partition(":")[0],
            minor=key.partition(":")[2],
            read_bytes=transferred[key].get(b"Read"),
            written_bytes=transferred[key].get(b"Write"),
            reads=served.get(key, _NOTHING).get(b"Read"),
            writes=served.get(key, _NOTHING).get(b"Write"),
            merged_reads=merged.get(key, _NOTHING).get(b"Read"),
            merged_writes=merged.get(key, _NOTHING).get(b"Write"),
            read_time=seconds(time.get(key, _NOTHING).get(b"Read"), _NANO),
            write_time=seconds(time.get(key, _NOTHING).get(b"Write"), _NANO),
            io_time=seconds(_both(time.get(key, _NOTHING)), _NANO),
            queued=_both(queued.get(key, _NOTHING)),
        )
        for key in transferred
    )


def process(read: Read) -> Process:
    """Processes, from `cgroup.procs`; threads, from `pids.current`.

    The kernel leaves out the processes that the reader's PID namespace does not have: to a watchd in a container, all.
    A container that runs has one at least, so none is no count.
    """
    procs = read("cgroup.procs")
    return Process(
        processes=procs.count(b"\n") if procs else None,
        threads=single_value(read("pids.current")),
    )


def limit_in_bytes(data: bytes | None) -> int | None:
    """`memory.*limit_in_bytes`: 0 for no limit, None for an absent file."""
    value = single_value(data)
    return 0 if value is not None and value > _UNLIMITED else value


def blkio(data: bytes | None) -> Mapping[str, Mapping[bytes, int]]:
    """`blkio.*`: reads and writes by device, "8:0" to b"Read" to a number. Empty for an absent file."""
    devices: dict[str, dict[bytes, int]] = {}
    for line in (data or b"").splitlines():
        fields = line.split()
        if len(fields) == 3 and fields[1] in {b"Read", b"Write"}:
            devices.setdefault(fields[0].decode(errors="replace"), {})[fields[1]] = number(fields[2])
        elif len(fields) not in {2, 3}:  # three of other operations, two of the sum over all devices
            raise Malformed(f"not a line of a blkio file: {line[:80]!r}")
    return devices


def _both(operations: Mapping[bytes, int]) -> int | None:
    """Reads and writes together."""
    return operations[b"Read"] + operations[b"Write"] if len(operations) == 2 else None
