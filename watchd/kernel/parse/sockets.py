"""Sockets of a network namespace, from `/proc/<pid>/net`. Pure.

A line that is not understood, or a state that the kernel did not have when this was written, counts nowhere.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import fields

from watchd.model.sockets import SocketsInUse, Tcp, TcpCounters, TcpStates, UdpSockets

MOST_SOCKETS = 10_000
"""Sockets of a namespace that are counted by state: each is a line of 150 bytes."""

ReadNet = Callable[[str], bytes | None]
"""Return the content of a file by name (`net/tcp`); None: it is absent."""

_COUNTERS = frozenset(field.name for field in fields(TcpCounters))


def tcp(read: ReadNet) -> Tcp | None:
    """Sockets in use, by state as far as they are not too many, and TCP's counters; None without `net/sockstat`.

    Without any socket of a kind its table is not read, since the kernel goes through all connections of the machine to
    find those of one namespace.
    """
    sockstat = read("net/sockstat")
    if sockstat is None:
        return None
    used = in_use(sockstat, read("net/sockstat6"))
    time_wait = used.time_wait or 0
    total = sum(count or 0 for count in (used.tcp, used.tcp6, used.udp, used.udp6, time_wait))
    found = Tcp(
        used, counters(read("net/snmp"), read("net/netstat")), TcpStates(), TcpStates(), UdpSockets(), UdpSockets()
    )
    if total > MOST_SOCKETS:
        found.uncounted = 1
        return found
    found.tcp = tcp_states(b"" if used.tcp == time_wait == 0 else read("net/tcp"))
    found.tcp6 = tcp_states(b"" if used.tcp6 == time_wait == 0 else read("net/tcp6"))
    found.udp = udp_sockets(b"" if used.udp == 0 else read("net/udp"))
    found.udp6 = udp_sockets(b"" if used.udp6 == 0 else read("net/udp6"))
    return found


def in_use(sockstat: bytes, sockstat6: bytes | None) -> SocketsInUse:
    """`net/sockstat` and `sockstat6`: of their numbers those that are of the namespace, not of the machine."""
    found: dict[bytes, dict[bytes, int]] = {}
    for line in (sockstat + (sockstat6 or b"")).splitlines():
        protocol, _, rest = line.partition(b":")
        tokens = iter(rest.split())
        found[protocol] = {key: int(value) for key, value in zip(tokens, tokens, strict=False) if value.isdigit()}

    def count(protocol: bytes, key: bytes = b"inuse") -> int | None:
        return found.get(protocol, {}).get(key)

    return SocketsInUse(count(b"TCP"), count(b"TCP6"), count(b"UDP"), count(b"UDP6"), count(b"TCP", b"tw"))


def counters(snmp: bytes | None, netstat: bytes | None) -> TcpCounters:
    """The counters of "Tcp:" in `net/snmp` and "TcpExt:" in `net/netstat`: a line of names, then one of numbers."""
    found = TcpCounters()
    for names, values in (*_pairs(snmp, b"Tcp:"), *_pairs(netstat, b"TcpExt:")):
        for name, value in zip(names, values, strict=False):
            key = name.decode(errors="replace").lower()
            if key in _COUNTERS and value.isdigit():
                setattr(found, key, int(value))
    return found


def tcp_states(data: bytes | None) -> TcpStates:
    """`net/tcp` and `tcp6`: sockets by the column "st", whose numbers are the order of the fields.

    Empty: there is none; None: the address family is switched off.
    """
    if data is None:
        return TcpStates()
    numbers = Counter(columns[3] for line in data.splitlines()[1:] if len(columns := line.split(None, 4)) > 3)
    return TcpStates(*(numbers[b"%02X" % number] for number in range(1, len(fields(TcpStates)) + 1)))


def udp_sockets(data: bytes | None) -> UdpSockets:
    """`net/udp` and `udp6`: the number of sockets, and the sums over "tx_queue:rx_queue" and "drops"."""
    if data is None:
        return UdpSockets()
    rows = [row for line in data.splitlines()[1:] if (row := _udp(line.split())) is not None]
    sums = [sum(column) for column in zip(*rows, strict=True)] if rows else (0, 0, 0)
    return UdpSockets(len(rows), *sums)


def _udp(columns: list[bytes]) -> tuple[int, int, int] | None:
    """Return what one socket dropped, received and has still to send; None: not a line of a socket."""
    try:
        sending, _, received = columns[4].partition(b":")
        return int(columns[-1]), int(received, 16), int(sending, 16)
    except (IndexError, ValueError):
        return None


def _pairs(data: bytes | None, head: bytes) -> Iterator[tuple[list[bytes], list[bytes]]]:
    lines = [line.split()[1:] for line in (data or b"").splitlines() if line.startswith(head)]
    yield from zip(lines[::2], lines[1::2], strict=False)


def conntrack(data: bytes) -> tuple[int, int] | None:
    """`net/stat/nf_conntrack`: tracked connections, and packets dropped; None: not understood.

    A line of names, then one of hexadecimal numbers for each CPU, each of which has the connections of all.
    """
    names, *cpus = [line.split() for line in data.splitlines()] or [[]]
    try:
        entries, drop = names.index(b"entries"), names.index(b"drop")
        return int(cpus[0][entries], 16), sum(int(cpu[drop], 16) for cpu in cpus)
    except (IndexError, ValueError):
        return None
