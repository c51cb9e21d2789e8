"""Processes and threads."""

from watchd.engine.decode import stats
from watchd.kernel.parse import cgroup_v1, cgroup_v2
from watchd.metrics.groups.group import Group, Metric


def _process(name: str, unit: str, field: str, text: str, source: str) -> Metric:
    return Metric(f"container_{name}", "gauge", unit, "process", field, text, source)


METRICS = (
    _process("processes", "processes", "processes", "Processes, cgroups below included", "cgroup.procs"),
    _process("threads", "threads", "threads", "Threads, cgroups below included", "pids.current"),
)

GROUP = Group(
    name="process",
    metrics=METRICS,
    v1=lambda read, _: cgroup_v1.process(read),
    v2=lambda read, _: cgroup_v2.process(read),
    api=lambda raw, _: stats.process(raw),
)
