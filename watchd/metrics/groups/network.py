"""Network interfaces of a container's own network namespace."""

import re
from dataclasses import replace

from watchd.engine.decode import stats
from watchd.kernel.parse.formats import Read, Reader
from watchd.kernel.parse.netdev import net_dev
from watchd.metrics.groups.group import Context, Group, Metric
from watchd.model.usage import Interface

_DOCKERS_BRIDGES = re.compile("br-[0-9a-f]{12}")  # their traffic also crosses a network card, or never leaves the host


def _network(name: str, unit: str, field: str, text: str) -> Metric:
    source = "/proc/<pid>/net/dev"
    return Metric(f"container_network_{name}", "counter", unit, "network", field, text, source, ("interface",))


METRICS = (
    _network("receive_bytes_total", "bytes", "received_bytes", "Bytes received"),
    _network("receive_packets_total", "packets", "received_packets", "Packets received"),
    _network("receive_packets_dropped_total", "packets", "received_dropped", "Packets dropped while receiving"),
    _network("receive_errors_total", "errors", "received_errors", "Errors while receiving"),
    _network("transmit_bytes_total", "bytes", "sent_bytes", "Bytes sent"),
    _network("transmit_packets_total", "packets", "sent_packets", "Packets sent"),
    _network("transmit_packets_dropped_total", "packets", "sent_dropped", "Packets dropped while sending"),
    _network("transmit_errors_total", "errors", "sent_errors", "Errors while sending"),
)


def _of_process(read: Read, _: Context) -> tuple[Interface, ...] | None:
    """The interfaces; None once the process's first thread has ended: the way to its namespace is gone."""
    data = read("net/dev")
    return None if data is None else net_dev(data, read.odd)


def _of_host(read: Reader[bytes], context: Context) -> tuple[Interface, ...]:
    interfaces = net_dev(read(context.net_dev), read.odd)
    return tuple(
        replace(found, is_stacked=found.interface in context.stacked_interfaces)
        for found in interfaces
        if not _DOCKERS_BRIDGES.fullmatch(found.interface)
    )


GROUP = Group(
    name="network",
    metrics=METRICS,
    own_network=True,
    process=_of_process,
    api=lambda raw, _: stats.network(raw),
    host=_of_host,
)
