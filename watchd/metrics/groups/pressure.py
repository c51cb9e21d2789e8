"""Pressure stall information: time lost waiting for CPU, memory and disks."""

import errno

from watchd.kernel.parse import cgroup_v2
from watchd.kernel.parse.formats import Reader
from watchd.metrics.groups.group import Context, Group, Metric
from watchd.model.usage import Pressure

_NOT_ON_THIS_KERNEL = (errno.ENOENT, errno.EOPNOTSUPP)  # built without it, or started with psi=0


def _pressure(name: str, field: str, text: str, source: str) -> Metric:
    return Metric(f"container_pressure_{name}_seconds_total", "counter", "seconds", "pressure", field, text, source)


# fmt: off
METRICS = (
    _pressure("cpu_waiting", "cpu_waiting", "Time in which some task waited for a CPU", "cpu.pressure some"),
    _pressure("cpu_stalled", "cpu_stalled", "Time in which all tasks waited for a CPU", "cpu.pressure full"),
    _pressure("memory_waiting", "memory_waiting",
              "Time in which some task waited for memory", "memory.pressure some"),
    _pressure("memory_stalled", "memory_stalled",
              "Time in which all tasks waited for memory", "memory.pressure full"),
    _pressure("io_waiting", "io_waiting", "Time in which some task waited for input or output", "io.pressure some"),
    _pressure("io_stalled", "io_stalled", "Time in which all tasks waited for input or output", "io.pressure full"),
)
# fmt: on


def _of_host(read: Reader[bytes], _: Context) -> Pressure:
    def pressure_file(name: str) -> bytes | None:
        try:
            return read(f"pressure/{name.removesuffix('.pressure')}")
        except OSError as error:
            if error.errno in _NOT_ON_THIS_KERNEL:
                return None
            raise

    of_cgroup = Reader(pressure_file)
    of_cgroup.odd = read.odd
    return cgroup_v2.pressure(of_cgroup)


GROUP = Group(name="pressure", metrics=METRICS, unified=lambda read, _: cgroup_v2.pressure(read), host=_of_host)
