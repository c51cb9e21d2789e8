"""Open descriptors and their limit. Off by default: it looks at each descriptor of each process."""

from watchd.kernel.processes import MOST_DESCRIPTORS, MOST_PROCESSES, Processes
from watchd.metrics.groups.group import Group, Label, Metric


def _files(name: str, unit: str, field: str, text: str, source: str, *fixed: Label) -> Metric:
    return Metric(name, "gauge", unit, "files", field, text, source, fixed=fixed)


# fmt: off
METRICS = (
    _files("container_file_descriptors", "descriptors", "descriptors",
           "Open descriptors of all processes", "/proc/<pid>/fd"),
    _files("container_sockets", "sockets", "sockets",
           "Open descriptors that are sockets", "/proc/<pid>/fd"),
    _files("container_ulimits_soft", "files", "open_files_limit",
           "Soft limit of the first process, -1: none", "/proc/<pid>/limits", ("ulimit", "max_open_files")),
    _files("watchd_container_files_uncounted", "", "uncounted",
           f"1 where sockets, of more than {MOST_DESCRIPTORS:,} descriptors, or the descriptors of more than"
           f" {MOST_PROCESSES:,} processes are not counted", "/proc/<pid>/fd"),
)
# fmt: on

GROUP = Group(name="files", metrics=METRICS, on=False, live=Processes.files)
