"""Threads by state. Off by default: it reads a file for each thread."""

from watchd.kernel.processes import MOST_THREADS, Processes
from watchd.metrics.groups.group import Group, Metric


def _state(name: str) -> Metric:
    text = "Threads by state, cgroups below included; uninterruptible: waiting for input or output, mostly"
    source, fixed = "/proc/<pid>/task/<tid>/stat", (("state", name),)
    return Metric("container_tasks_state", "gauge", "threads", "tasks", name, text, source, fixed=fixed)


METRICS = (
    *map(_state, ("running", "sleeping", "stopped", "uninterruptible")),
    Metric(
        "watchd_container_tasks_uncounted",
        "gauge",
        "",
        "tasks",
        "uncounted",
        f"1 where there are more than {MOST_THREADS:,} threads, which are not counted by state",
        "/proc/<pid>/task",
    ),
)

GROUP = Group(name="tasks", metrics=METRICS, on=False, live=Processes.tasks)
