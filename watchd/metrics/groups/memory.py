"""Memory, and what the kernel did to reclaim it."""

from watchd.engine.decode import stats
from watchd.kernel.parse import cgroup_v1, cgroup_v2, procfs
from watchd.metrics.groups.group import Group, Label, Metric


def _memory(name: str, unit: str, field: str, text: str, source: str) -> Metric:
    return Metric(f"container_memory_{name}", "gauge", unit, "memory", field, text, source)


def _counter(name: str, unit: str, field: str, text: str, source: str, *fixed: Label) -> Metric:
    return Metric(f"container_memory_{name}", "counter", unit, "memory", field, text, source, fixed=fixed)


def _faults(failure_type: str, scope: str, field: str) -> Metric:
    text = (
        "Page faults, in spite of the name; on v2 both scopes include the cgroups below, the host has hierarchy alone"
    )
    source = "memory.stat pgfault, pgmajfault; scope hierarchy: v1 total_pgfault, total_pgmajfault"
    fixed = (("failure_type", failure_type), ("scope", scope))
    return _counter("failures_total", "faults", field, text, source, *fixed)


# fmt: off
METRICS = (
    _memory("usage_bytes", "bytes", "usage",
            "Memory in use, page cache and kernel memory included", "v1 memory.usage_in_bytes; v2 memory.current"),
    _memory("working_set_bytes", "bytes", "working_set",
            "Memory in use less inactive page cache", "memory.stat: v1 total_inactive_file; v2 inactive_file"),
    _memory("rss", "bytes", "rss",
            "Anonymous memory, not the resident size of processes", "memory.stat: v1 total_rss; v2 anon"),
    _memory("cache", "bytes", "cache", "Page cache, tmpfs included", "memory.stat: v1 total_cache; v2 file"),
    _memory("swap", "bytes", "swap", "Swap in use", "v1 memory.stat total_swap; v2 memory.swap.current"),
    _memory("mapped_file", "bytes", "mapped_file",
            "Mapped files", "memory.stat: v1 total_mapped_file; v2 file_mapped"),
    _memory("kernel_usage", "bytes", "kernel",
            "Kernel memory",
            "v1 memory.kmem.usage_in_bytes; v2 memory.stat kernel; of the host /proc/meminfo Slab, KernelStack,"
            " PageTables, SecPageTables, Percpu"),
    _memory("max_usage_bytes", "bytes", "max_usage",
            "The most memory ever in use", "v1 memory.max_usage_in_bytes; v2 memory.peak, from Linux 5.19 on"),
    _counter("failcnt", "hits", "failures",
            "How often usage hit the limit", "v1 memory.failcnt; v2 memory.events max"),
    _memory("total_active_file_bytes", "bytes", "active_file",
            "Active page cache", "memory.stat: v1 total_active_file; v2 active_file"),
    _memory("total_inactive_file_bytes", "bytes", "inactive_file",
            "Inactive page cache", "memory.stat: v1 total_inactive_file; v2 inactive_file"),
    _memory("file_dirty_bytes", "bytes", "dirty_file",
            "Page cache to be written", "memory.stat: v1 total_dirty; v2 file_dirty"),
    _memory("file_writeback_bytes", "bytes", "writeback_file",
            "Page cache being written", "memory.stat: v1 total_writeback; v2 file_writeback"),
    _faults("pgfault", "container", "faults"),
    _faults("pgfault", "hierarchy", "tree_faults"),
    _faults("pgmajfault", "container", "major_faults"),
    _faults("pgmajfault", "hierarchy", "tree_major_faults"),
    _counter("events_high_total", "events", "events_high",
            "How often usage went over memory.high", "v2 memory.events high"),
    _counter("events_max_total", "events", "events_max",
            "How often usage was about to go over memory.max", "v2 memory.events max"),
    _counter("pgscan_total", "pages", "pages_scanned", "Pages looked at for reclaim", "v2 memory.stat pgscan"),
    _counter("pgsteal_total", "pages", "pages_reclaimed", "Pages reclaimed", "v2 memory.stat pgsteal"),
    _counter("workingset_refault_file_total", "pages", "refaults_file",
            "Evicted file pages read again", "memory.stat workingset_refault_file; of the host /proc/vmstat"),
    _counter("workingset_refault_anon_total", "pages", "refaults_anon",
            "Evicted anonymous pages read again", "memory.stat workingset_refault_anon; of the host /proc/vmstat"),
)
# fmt: on

GROUP = Group(
    name="memory",
    metrics=METRICS,
    v1=lambda read, _: cgroup_v1.memory(read),
    v2=lambda read, _: cgroup_v2.memory(read),
    api=lambda raw, _: stats.memory(raw),
    host=lambda read, _: procfs.memory(procfs.meminfo(read("meminfo"), read.odd), read("vmstat"), read.odd),
)
