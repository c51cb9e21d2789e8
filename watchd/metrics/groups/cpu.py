"""CPU time and throttling."""

from watchd.engine.decode import stats
from watchd.kernel.parse import cgroup_v1, cgroup_v2, procfs
from watchd.metrics.groups.group import Group, Label, Metric


def _cpu(name: str, unit: str, field: str, text: str, source: str, *fixed: Label) -> Metric:
    return Metric(f"container_cpu_{name}", "counter", unit, "cpu", field, text, source, fixed=fixed)


# fmt: off
METRICS = (
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
)
# fmt: on

GROUP = Group(
    name="cpu",
    metrics=METRICS,
    v1=lambda read, context: cgroup_v1.cpu(read, limited=context.has_cpu_quota),
    v2=lambda read, context: cgroup_v2.cpu(read, limited=context.has_cpu_quota),
    api=lambda raw, context: stats.cpu(raw, limited=context.has_cpu_quota),
    host=lambda read, _: procfs.cpu(read("stat")),
)
