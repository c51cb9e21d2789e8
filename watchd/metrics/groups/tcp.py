"""Sockets of a container's own network namespace, by state, and TCP's counters. Off by default: see its cost."""

from collections.abc import Callable
from dataclasses import fields

from watchd.kernel.parse import sockets
from watchd.metrics.groups.group import Context, Group, Metric
from watchd.model.sockets import Tcp, TcpCounters, TcpStates, UdpSockets


def _by_state(family: str, kind: type[TcpStates] | type[UdpSockets], text: str) -> list[Metric]:
    """One series for each field: cAdvisor's names, which end in _total though they are no counts."""
    name, label = f"container_network_{family}_usage_total", f"{family.removesuffix('6')}_state"
    source = f"/proc/<pid>/net/{family}"
    return [
        Metric(name, "gauge", "sockets", "tcp", f"{family}.{field.name}", text, source, fixed=((label, field.name),))
        for field in fields(kind)
    ]


def _counter(field: str) -> Metric:
    name = "container_network_advance_tcp_stats_total"
    text = "Counters of TCP since the network namespace was made; currestab: connections now"
    source = "/proc/<pid>/net/snmp Tcp, net/netstat TcpExt"
    return Metric(name, "gauge", "", "tcp", f"counters.{field}", text, source, fixed=(("tcp_state", field),))


def _in_use(protocol: str) -> Metric:
    name, text = "watchd_container_network_sockets", "Sockets in use, those in TIME_WAIT apart"
    source, fixed = "/proc/<pid>/net/sockstat, sockstat6", (("protocol", protocol),)
    return Metric(name, "gauge", "sockets", "tcp", f"in_use.{protocol}", text, source, fixed=fixed)


_UDP = "UDP sockets (listen), datagrams that they dropped, bytes in their queues"

# fmt: off
METRICS = (
    *_by_state("tcp", TcpStates, "TCP sockets by state"),
    *_by_state("tcp6", TcpStates, "TCP sockets of IPv6 by state"),
    *_by_state("udp", UdpSockets, _UDP),
    *_by_state("udp6", UdpSockets, f"{_UDP}; of IPv6"),
    *(_counter(field.name) for field in fields(TcpCounters)),
    *(_in_use(protocol) for protocol in ("tcp", "tcp6", "udp", "udp6")),
    Metric("watchd_container_network_time_wait_sockets", "gauge", "sockets", "tcp", "in_use.time_wait",
           "TCP sockets in TIME_WAIT, IPv6 included", "/proc/<pid>/net/sockstat"),
    Metric("watchd_container_network_uncounted", "gauge", "", "tcp", "uncounted",
           f"1 where more than {sockets.MOST_SOCKETS:,} sockets are in use, which are not counted by state",
           "/proc/<pid>/net/sockstat"),
)
# fmt: on


def _of_host(read: Callable[[str], bytes], _: Context) -> Tcp | None:
    def of_first_process(name: str) -> bytes | None:
        try:
            return read(f"1/{name}")
        except FileNotFoundError:  # as net/tcp6 without IPv6
            return None

    return sockets.tcp(of_first_process)


GROUP = Group(
    name="tcp",
    metrics=METRICS,
    on=False,
    own_network=True,
    live=lambda processes: sockets.tcp(processes.first.read),
    host=_of_host,
)
