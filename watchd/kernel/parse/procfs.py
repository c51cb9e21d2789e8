"""The machine's totals: `/proc/stat`, `meminfo`, `vmstat` and `diskstats`."""

from collections.abc import Mapping

from watchd.kernel.parse.formats import Malformed, Odd, flat_keyed, number, numbers, refuse, understood
from watchd.model.usage import SECTOR, Cpu, Device, Memory

_USER_HZ = 100  # ticks a second in /proc/stat: so on every architecture that Docker runs on


def cpu(data: bytes) -> Cpu:
    """`/proc/stat`, the line "cpu": all CPUs together, without iowait and steal. Raise Malformed."""
    line = data.partition(b"\n")[0].split()
    if len(line) < 8 or line[0] != b"cpu":
        raise Malformed(f"not the first line of stat: {data[:80]!r}")
    user, nice, system, _idle, _iowait, irq, softirq = numbers(line[1:8])
    in_user, in_kernel = user + nice, system + irq + softirq
    return Cpu(usage=(in_user + in_kernel) / _USER_HZ, user=in_user / _USER_HZ, system=in_kernel / _USER_HZ)


def boot_time(data: bytes) -> float:
    """`/proc/stat`, the line "btime": seconds since the epoch. Raise Malformed."""
    for line in data.splitlines():
        if line.startswith(b"btime "):
            return float(number(line[6:]))
    raise Malformed("stat has no btime")


def memory(info: Mapping[str, int], vmstat: bytes, odd: Odd = refuse) -> Memory:
    """`meminfo` and the page faults and refaults of `/proc/vmstat`, summed up as the kernel does for a v2 cgroup."""
    counts = flat_keyed(vmstat, odd)
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
        kernel=_sum(*map(info.get, ("Slab", "KernelStack", "PageTables", "SecPageTables", "Percpu"))),
        active_file=info.get("Active(file)"),
        inactive_file=inactive_file,
        dirty_file=info.get("Dirty"),
        writeback_file=info.get("Writeback"),
        tree_faults=counts(b"pgfault"),
        tree_major_faults=counts(b"pgmajfault"),
        refaults_file=counts(b"workingset_refault_file"),
        refaults_anon=counts(b"workingset_refault_anon"),
    )


def meminfo(data: bytes, odd: Odd = refuse) -> dict[str, int]:
    """`/proc/meminfo`: bytes by name, without the lines that count pages (HugePages_Total)."""
    lines = understood(_named_size, data.splitlines(), odd)
    return {name: size for name, size in lines if size is not None}


def memory_total(data: bytes) -> int | None:
    """`/proc/meminfo`, the line MemTotal: bytes."""
    return next((_named_size(line)[1] for line in data.splitlines() if line.startswith(b"MemTotal:")), None)


def _named_size(line: bytes) -> tuple[str, int | None]:
    name, colon, value = line.partition(b":")
    fields = value.split()
    if not colon or fields[1:] not in ([], [b"kB"]) or not fields:
        raise Malformed(f"not a line of meminfo: {line[:80]!r}")
    return name.decode(errors="replace"), number(fields[0]) * 1024 if fields[1:] == [b"kB"] else None


def diskstats(data: bytes, odd: Odd = refuse) -> list[Device]:
    """`/proc/diskstats` (Documentation/admin-guide/iostats.rst): disks and their partitions."""
    return list(understood(_device, data.splitlines(), odd))


def _device(line: bytes) -> Device:
    fields = line.split()
    if len(fields) < 14:
        raise Malformed(f"not a line of diskstats: {line[:80]!r}")
    major, minor, name, *counts = fields
    reads, merged_reads, read, reading, writes, merged_writes, written, writing, queued, busy, weighted = numbers(
        counts[:11]
    )
    return Device(
        device=f"/dev/{name.decode(errors='replace')}",
        major=major.decode(errors="replace"),
        minor=minor.decode(errors="replace"),
        read_bytes=read * SECTOR,
        written_bytes=written * SECTOR,
        reads=reads,
        writes=writes,
        merged_reads=merged_reads,
        merged_writes=merged_writes,
        read_time=reading / 1000,
        write_time=writing / 1000,
        io_time=busy / 1000,
        weighted_time=weighted / 1000,
        queued=queued,
    )


def _sum(*values: int | None) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
