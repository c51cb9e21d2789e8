"""process_*: what watchd's own process takes, under the names that Prometheus' client libraries give it."""

import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from watchd.families import gauge
from watchd.metrics.host import boot_time
from watchd.metrics.kernel_files import read_file

_SELF = Path("/proc/self")  # not the host's /proc, in which a container's processes have other numbers
_DESCRIPTORS = _SELF / "fd"


class OwnProcess(Collector):
    """Like prometheus_client's own, which lists all descriptors each time: they are over a dozen for each container."""

    def __init__(self) -> None:
        after_name = read_file(f"{_SELF}/stat").rpartition(b")")[2].split()
        ticks = int(after_name[19])  # starttime in proc_pid_stat(5)
        self._started = boot_time(read_file("/proc/stat")) + ticks / os.sysconf("SC_CLK_TCK")

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        virtual, resident = (int(pages) * resource.getpagesize() for pages in _statm()[:2])
        yield gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", virtual)
        yield gauge("process_resident_memory_bytes", "Resident memory size in bytes.", resident)
        yield gauge("process_start_time_seconds", "Start time in seconds since the epoch.", self._started)
        yield CounterMetricFamily("process_cpu_seconds", "CPU time in user and kernel mode.", time.process_time())
        yield gauge("process_open_fds", "Open file descriptors.", _open_descriptors())
        yield gauge("process_max_fds", "Limit of open file descriptors.", resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _statm() -> list[bytes]:
    return read_file(f"{_SELF}/statm").split()


def _open_descriptors() -> int:
    return _DESCRIPTORS.stat().st_size or len(list(_DESCRIPTORS.iterdir()))  # Linux before 6.2 says that it is empty
