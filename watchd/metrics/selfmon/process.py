"""watchd's build, and process_* of its own process under the names of Prometheus' client libraries."""

import os
import platform
import resource
import time
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric

from watchd import __version__
from watchd.families import gauge
from watchd.kernel.files import read_file

_SELF = Path("/proc/self")  # not the host's /proc, in which a container's processes have other numbers
_DESCRIPTORS = _SELF / "fd"


class OwnProcess:
    """Like prometheus_client's own, which lists every descriptor: they are over a dozen for each container."""

    def __init__(self) -> None:
        after_name = read_file(f"{_SELF}/stat").rpartition(b")")[2].split()
        ticks = int(after_name[19])  # starttime in proc_pid_stat(5)
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
        self._started = time.time() - age

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        yield InfoMetricFamily(
            "watchd_build",
            "watchd's version and the Python that runs it.",
            {"version": __version__, "python_version": platform.python_version()},
        )
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
