"""All metrics of containers, in one table. What a kernel or an engine does not tell has no series there.

Names, types and labels of `container_*` are cAdvisor's; the series with id="/" are the host's.
"""

from dataclasses import dataclass
from typing import Literal

MetricType = Literal["counter", "gauge"]
Label = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric, or one of several that share a name and differ in their fixed labels (these stand together)."""

    name: str
    unit: str
    group: str  # a field of watchd.metrics.usage's Sample or Usage; lifecycle, spec, state and health are always there
    field: str  # of the group's record
    text: str
    source: str  # the kernel file, on cgroup v1 and v2, or the engine's endpoint
    labels: tuple[str, ...] = ()  # fields of the record that are labels too
    fixed: tuple[Label, ...] = ()  # labels that are always the same

    @property
    def type(self) -> MetricType:
        """Whether it only rises: so its name says, with one exception of cAdvisor's."""
        return "counter" if self.name.endswith(("_total", "_failcnt")) else "gauge"

    @property
    def help(self) -> str:
        """The HELP line."""
        return f"{self.text} ({self.source})."


def _lifecycle(name: str, unit: str, field: str, text: str, source: str) -> Metric:
    return Metric(f"container_{name}", unit, "lifecycle", field, text, source)


def _spec(name: str, unit: str, field: str, text: str, source: str) -> Metric:
    return Metric(f"container_spec_{name}", unit, "spec", field, text, source)


def _cpu(name: str, unit: str, field: str, text: str, source: str, *fixed: Label) -> Metric:
    return Metric(f"container_cpu_{name}", unit, "cpu", field, text, source, fixed=fixed)


def _memory(name: str, unit: str, field: str, text: str, source: str, *fixed: Label) -> Metric:
    return Metric(f"container_memory_{name}", unit, "memory", field, text, source, fixed=fixed)


def _faults(failure_type: str, scope: str, field: str) -> Metric:
    text = "Page faults, in spite of the name; on v2 both scopes include the cgroups below"
    source = "memory.stat pgfault, pgmajfault; scope hierarchy: v1 total_pgfault, total_pgmajfault"
    fixed = (("failure_type", failure_type), ("scope", scope))
    return _memory("failures_total", "faults", field, text, source, *fixed)


def _network(name: str, unit: str, field: str, text: str) -> Metric:
    source = "/proc/<pid>/net/dev"
    return Metric(f"container_network_{name}", unit, "network", field, text, source, ("interface",))


def _disk(name: str, unit: str, field: str, text: str, source: str) -> Metric:
    return Metric(f"container_fs_{name}", unit, "disk", field, text, source, ("device",))


def _filesystem(name: str, unit: str, field: str, text: str, source: str) -> Metric:
    return Metric(f"container_fs_{name}", unit, "filesystem", field, text, source, ("device",))


def _blkio(operation: str, field: str) -> Metric:
    name = "container_blkio_device_usage_total"
    text, source = "Bytes read and written", "v1 blkio.*io_service_bytes; v2 io.stat rbytes, wbytes"
    labels, fixed = ("device", "major", "minor"), (("operation", operation),)
    return Metric(name, "bytes", "disk", field, text, source, labels, fixed)


def _pressure(name: str, field: str, text: str, source: str) -> Metric:
    return Metric(f"container_pressure_{name}_seconds_total", "seconds", "pressure", field, text, source)


def _state(name: str, unit: str, field: str, text: str, source: str, *labels: str) -> Metric:
    return Metric(f"watchd_container_{name}", unit, "state", field, text, source, labels)


def _process(name: str, unit: str, field: str, text: str, source: str) -> Metric:
    return Metric(f"container_{name}", unit, "process", field, text, source)


# fmt: off
METRICS: tuple[Metric, ...] = (
    # lifecycle and spec: always there
    _lifecycle("last_seen", "seconds", "seen",
               "When the container was last seen running, in seconds since the epoch; stays 10 minutes after its end",
               "its cgroup"),
    _lifecycle("start_time_seconds", "seconds", "started",
               "When the container was last started, in seconds since the epoch", "inspect; of the host /proc/stat"),
    _lifecycle("creation_time_seconds", "seconds", "created",
               "When the container was created, in seconds since the epoch", "inspect; of the host /proc/stat"),
    _lifecycle("health_state", "", "health",
               "1: healthy, 0: starting or unhealthy (watchd_container_health tells which), -1: no health check",
               "inspect State.Health"),
    _lifecycle("oom_events_total", "events", "oom_events",
               "Processes killed for want of memory since watchd first saw it; stays 10 minutes after its end",
               "events"),
    _spec("cpu_period", "microseconds", "cpu_period",
          "Period of the CPU quota", "v1 cpu.cfs_period_us; v2 cpu.max"),
    _spec("cpu_quota", "microseconds", "cpu_quota",
          "CPU time in a period, where limited", "v1 cpu.cfs_quota_us; v2 cpu.max"),
    _spec("cpu_shares", "shares", "cpu_shares",
          "Weight of the CPU time", "v1 cpu.shares; v2 cpu.weight, on the scale of v1"),
    _spec("memory_limit_bytes", "bytes", "memory_limit",
          "Memory limit, 0: none", "v1 memory.limit_in_bytes; v2 memory.max"),
    _spec("memory_swap_limit_bytes", "bytes", "memory_swap_limit",
          "Limit of memory and swap together (v1), of swap alone (v2), 0: none",
          "v1 memory.memsw.limit_in_bytes; v2 memory.swap.max"),
    _spec("memory_reservation_limit_bytes", "bytes", "memory_reservation",
          "Memory reservation, 0: none", "v1 memory.soft_limit_in_bytes; v2 memory.low"),
    Metric("container_threads_max", "threads", "spec", "threads", "Limit of threads, 0: none", "pids.max"),
    # cpu
    _cpu("usage_seconds_total", "seconds", "usage",
         "CPU time, of all CPUs together", "v1 cpuacct.usage; v2 cpu.stat usage_usec", ("cpu", "total")),
    _cpu("user_seconds_total", "seconds", "user",
         "CPU time in user mode", "v1 cpuacct.stat user; v2 cpu.stat user_usec"),
    _cpu("system_seconds_total", "seconds", "system",
         "CPU time in kernel mode", "v1 cpuacct.stat system; v2 cpu.stat system_usec"),
    _cpu("cfs_periods_total", "periods", "periods", "Elapsed periods of the CPU quota", "cpu.stat nr_periods"),
    _cpu("cfs_throttled_periods_total", "periods", "throttled_periods",
         "Periods in which the quota was used up", "cpu.stat nr_throttled"),
    _cpu("cfs_throttled_seconds_total", "seconds", "throttled",
         "Time spent throttled", "v1 cpu.stat throttled_time; v2 cpu.stat throttled_usec"),
    _cpu("cfs_burst_periods_total", "periods", "burst_periods",
         "Periods in which saved-up quota was used", "cpu.stat nr_bursts"),
    _cpu("cfs_burst_seconds_total", "seconds", "burst",
         "CPU time above the quota", "v1 cpu.stat burst_time; v2 cpu.stat burst_usec"),
    # memory
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
            "Kernel memory", "v1 memory.kmem.usage_in_bytes; v2 memory.stat kernel"),
    _memory("max_usage_bytes", "bytes", "max_usage",
            "The most memory ever in use", "v1 memory.max_usage_in_bytes; v2 memory.peak, from Linux 5.19 on"),
    _memory("failcnt", "hits", "failures",
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
    _memory("events_high_total", "events", "events_high",
            "How often usage went over memory.high", "v2 memory.events high"),
    _memory("events_max_total", "events", "events_max",
            "How often usage was about to go over memory.max", "v2 memory.events max"),
    _memory("pgscan_total", "pages", "pages_scanned", "Pages looked at for reclaim", "v2 memory.stat pgscan"),
    _memory("pgsteal_total", "pages", "pages_reclaimed", "Pages reclaimed", "v2 memory.stat pgsteal"),
    _memory("workingset_refault_file_total", "pages", "refaults_file",
            "Evicted file pages read again", "memory.stat workingset_refault_file"),
    _memory("workingset_refault_anon_total", "pages", "refaults_anon",
            "Evicted anonymous pages read again", "memory.stat workingset_refault_anon"),
    # network
    _network("receive_bytes_total", "bytes", "received_bytes", "Bytes received"),
    _network("receive_packets_total", "packets", "received_packets", "Packets received"),
    _network("receive_packets_dropped_total", "packets", "received_dropped", "Packets dropped while receiving"),
    _network("receive_errors_total", "errors", "received_errors", "Errors while receiving"),
    _network("transmit_bytes_total", "bytes", "sent_bytes", "Bytes sent"),
    _network("transmit_packets_total", "packets", "sent_packets", "Packets sent"),
    _network("transmit_packets_dropped_total", "packets", "sent_dropped", "Packets dropped while sending"),
    _network("transmit_errors_total", "errors", "sent_errors", "Errors while sending"),
    # disk
    _disk("reads_bytes_total", "bytes", "read_bytes",
          "Bytes read", "v1 blkio.*io_service_bytes Read; v2 io.stat rbytes; of the host /proc/diskstats"),
    _disk("writes_bytes_total", "bytes", "written_bytes",
          "Bytes written", "v1 blkio.*io_service_bytes Write; v2 io.stat wbytes"),
    _disk("reads_total", "reads", "reads", "Reads completed", "v1 blkio.*io_serviced Read; v2 io.stat rios"),
    _disk("writes_total", "writes", "writes", "Writes completed", "v1 blkio.*io_serviced Write; v2 io.stat wios"),
    _disk("reads_merged_total", "reads", "merged_reads", "Reads merged", "v1 blkio.*io_merged Read"),
    _disk("writes_merged_total", "writes", "merged_writes", "Writes merged", "v1 blkio.*io_merged Write"),
    _disk("read_seconds_total", "seconds", "read_time", "Time spent reading", "v1 blkio.*io_service_time Read"),
    _disk("write_seconds_total", "seconds", "write_time", "Time spent writing", "v1 blkio.*io_service_time Write"),
    _disk("io_time_seconds_total", "seconds", "io_time",
          "Time spent reading and writing", "v1 blkio.*io_service_time Read and Write"),
    _disk("io_current", "requests", "queued", "Reads and writes under way", "v1 blkio.*io_queued Read and Write"),
    _disk("io_cost_usage_seconds_total", "seconds", "cost_usage",
          "Device time by the cost model", "v2 io.stat cost.usage"),
    _disk("io_cost_wait_seconds_total", "seconds", "cost_wait",
          "Time spent waiting for device time", "v2 io.stat cost.wait"),
    _disk("io_cost_indebt_seconds_total", "seconds", "cost_indebt",
          "Time spent in debt of device time", "v2 io.stat cost.indebt"),
    _disk("io_cost_indelay_seconds_total", "seconds", "cost_indelay",
          "Time spent delayed for that debt", "v2 io.stat cost.indelay"),
    _filesystem("usage_bytes", "bytes", "usage",
                "Bytes of the writable layer, taken every ten minutes; of the host bytes in use",
                "/system/df SizeRw; of the host statfs"),
    _filesystem("limit_bytes", "bytes", "limit", "Size of the file system it is on", "statfs"),
    _filesystem("inodes_total", "inodes", "inodes", "Inodes of the file system it is on", "statfs"),
    _filesystem("inodes_free", "inodes", "inodes_free", "Free inodes of the file system it is on", "statfs"),
    _blkio("Read", "read_bytes"),
    _blkio("Write", "written_bytes"),
    # pressure: on v1 from the v2 tree beside it, where there is one
    _pressure("cpu_waiting", "cpu_waiting", "Time in which some task waited for a CPU", "cpu.pressure some"),
    _pressure("cpu_stalled", "cpu_stalled", "Time in which all tasks waited for a CPU", "cpu.pressure full"),
    _pressure("memory_waiting", "memory_waiting",
              "Time in which some task waited for memory", "memory.pressure some"),
    _pressure("memory_stalled", "memory_stalled",
              "Time in which all tasks waited for memory", "memory.pressure full"),
    _pressure("io_waiting", "io_waiting", "Time in which some task waited for input or output", "io.pressure some"),
    _pressure("io_stalled", "io_stalled", "Time in which all tasks waited for input or output", "io.pressure full"),
    # process
    _process("processes", "processes", "processes", "Processes of the container's own cgroup", "cgroup.procs"),
    _process("threads", "threads", "threads", "Threads, cgroups below included", "pids.current"),
    # state and health: always there, and as long as the container exists
    _state("state", "", "held", "1 for the state that the container is in", "inspect State.Status", "state"),
    Metric("watchd_container_health", "", "health", "held",
           "1 for what the container's health check says", "inspect State.Health.Status", ("status",)),
    _state("exit_code", "", "exit_code", "Exit code of the last run, where it has ended", "inspect State.ExitCode"),
    _state("oom_killed", "", "oom_killed",
           "1 where a process was killed for want of memory in the last run, told when that has ended",
           "inspect State.OOMKilled"),
    _state("restarts_total", "restarts", "restarts", "Restarts by its restart policy", "inspect RestartCount"),
    _state("writable_layer_bytes", "bytes", "writable_layer",
           "Bytes of the writable layer, taken every ten minutes", "/system/df SizeRw"),
    _state("root_fs_bytes", "bytes", "root_fs",
           "Bytes of the root file system, its image included, taken every ten minutes", "/system/df SizeRootFs"),
)
# fmt: on
