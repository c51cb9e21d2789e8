"""Sockets of one network namespace, and TCP's counters. None and mutability: as in `usage`."""

from dataclasses import dataclass


@dataclass(slots=True)
class TcpStates:
    """TCP sockets by state, of one address family."""

    established: int | None = None
    synsent: int | None = None
    synrecv: int | None = None
    finwait1: int | None = None
    finwait2: int | None = None
    timewait: int | None = None
    close: int | None = None
    closewait: int | None = None
    lastack: int | None = None
    listen: int | None = None
    closing: int | None = None


@dataclass(slots=True)
class UdpSockets:
    """UDP sockets of one address family: their number, the bytes in their queues, the datagrams dropped by them."""

    listen: int | None = None
    dropped: int | None = None
    rxqueued: int | None = None
    txqueued: int | None = None


@dataclass(slots=True)
class TcpCounters:
    """Counts of a network namespace since it was made, under the kernel's names in lower case."""

    activeopens: int | None = None
    passiveopens: int | None = None
    attemptfails: int | None = None
    estabresets: int | None = None
    currestab: int | None = None  # not a count: connections now
    insegs: int | None = None
    outsegs: int | None = None
    retranssegs: int | None = None
    inerrs: int | None = None
    outrsts: int | None = None
    listenoverflows: int | None = None
    listendrops: int | None = None
    tcplostretransmit: int | None = None
    tcpfastretrans: int | None = None
    tcptimeouts: int | None = None
    tcpsynretrans: int | None = None
    tcpabortontimeout: int | None = None
    tcpabortonmemory: int | None = None
    tcpbacklogdrop: int | None = None


@dataclass(slots=True)
class SocketsInUse:
    """Sockets by protocol; TCP sockets in TIME_WAIT are counted apart, of both address families."""

    tcp: int | None = None
    tcp6: int | None = None
    udp: int | None = None
    udp6: int | None = None
    time_wait: int | None = None


@dataclass(slots=True)
class Tcp:
    """Sockets of the container's own network namespace."""

    in_use: SocketsInUse
    counters: TcpCounters
    tcp: TcpStates
    tcp6: TcpStates
    udp: UdpSockets
    udp6: UdpSockets
    uncounted: int | None = None  # 1: too many to count them by state
