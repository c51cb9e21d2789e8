"""Groups of container metrics. Pure. A new group is a file here, a line in `GROUPS`, and a name in the schema.

Names, types and labels of `container_*` are cAdvisor's. A value that a kernel or an engine does not have has no series.
"""

from collections.abc import Collection

from watchd.metrics.groups import always, cpu, disk, files, memory, network, pressure, process, tasks, tcp
from watchd.metrics.groups.group import Group, Metric

GROUPS: tuple[Group, ...] = (
    cpu.GROUP,
    memory.GROUP,
    network.GROUP,
    disk.GROUP,
    pressure.GROUP,
    process.GROUP,
    tcp.GROUP,
    files.GROUP,
    tasks.GROUP,
)

METRICS: tuple[Metric, ...] = (*always.METRICS, *(metric for group in GROUPS for metric in group.metrics))


def groups_named(names: Collection[str]) -> tuple[Group, ...]:
    """The groups that have these names."""
    return tuple(group for group in GROUPS if group.name in names)
