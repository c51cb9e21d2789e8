"""Sockets by state and TCP's counters, as the kernel prints them; what it prints otherwise costs a line alone."""

from collections.abc import Mapping
from dataclasses import asdict, replace

from hypothesis import given
from hypothesis import strategies as st

from watchd.kernel.parse.sockets import MOST_SOCKETS, conntrack, counters, in_use, tcp, tcp_states, udp_sockets
from watchd.model.sockets import SocketsInUse, TcpStates, UdpSockets

SOCKSTAT = b"""sockets: used 90
TCP: inuse 3 orphan 0 tw 5 alloc 6 mem 0
UDP: inuse 14 mem 0
RAW: inuse 0
FRAG: inuse 0 memory 0
"""
SOCKSTAT6 = b"TCP6: inuse 0\nUDP6: inuse 2\nFRAG6: inuse 0 memory 0\n"
TCP = b"""  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:27E2 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 23184 1 0000000000000000 100
   1: 0100007F:27E2 0100007F:D2F4 01 00000000:00000000 00:00000000 00000000     0        0 23185 1 0000000000000000 100
   2: 0100007F:27E2 0100007F:D2F6 01 00000000:00000000 00:00000000 00000000     0        0 23186 1 0000000000000000 100
   3: 0100007F:27E2 0100007F:D2F8 06 00000000:00000000 00:00000000 00000000     0        0 0 3 0000000000000000
"""
UDP = b"""   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref drops
  201: 00000000:1F90 00000000:0000 07 00000010:000000FF 00:00000000 00000000     0        0 100 2 0000000000000000 7
  202: 00000000:1F91 00000000:0000 07 00000000:00000001 00:00000000 00000000     0        0 101 2 0000000000000000 1
"""
SNMP = b"""Ip: Forwarding DefaultTTL
Ip: 2 64
Tcp: RtoAlgorithm MaxConn ActiveOpens CurrEstab RetransSegs
Tcp: 1 -1 209886 2 332
"""
NETSTAT = b"""TcpExt: SyncookiesSent ListenOverflows ListenDrops
TcpExt: 0 11 12
IpExt: InNoRoutes
IpExt: 4
"""
FILES = {
    "net/sockstat": SOCKSTAT,
    "net/sockstat6": SOCKSTAT6,
    "net/tcp": TCP,
    "net/tcp6": TCP,
    "net/udp": UDP,
    "net/udp6": UDP,
    "net/snmp": SNMP,
    "net/netstat": NETSTAT,
}
NONE = TcpStates(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


class Net:
    """Files of a network namespace, and the names of those that were read."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self.names: list[str] = []

    def read(self, name: str) -> bytes | None:
        self.names.append(name)
        return self._files.get(name)


def test_states_queues_and_counters() -> None:
    assert tcp_states(TCP) == replace(NONE, established=2, timewait=1, listen=1)
    assert udp_sockets(UDP) == UdpSockets(listen=2, dropped=8, rxqueued=256, txqueued=16)
    assert in_use(SOCKSTAT, SOCKSTAT6) == SocketsInUse(tcp=3, tcp6=0, udp=14, udp6=2, time_wait=5)
    told = {name: value for name, value in asdict(counters(SNMP, NETSTAT)).items() if value is not None}
    assert told == {"activeopens": 209886, "currestab": 2, "retranssegs": 332, "listenoverflows": 11, "listendrops": 12}


def test_the_table_of_connections_is_read_only_where_there_are_any() -> None:
    """The kernel looks at all connections of the machine for it: two milliseconds with a large table."""
    net = Net(FILES | {"net/sockstat": b"TCP: inuse 0 orphan 9 tw 0 alloc 9 mem 9\nUDP: inuse 0 mem 9\n"})
    found = tcp(net.read)
    assert found is not None
    assert (found.tcp, found.tcp6, found.udp) == (NONE, NONE, UdpSockets(0, 0, 0, 0))
    assert found.udp6.listen == 2
    assert {"net/tcp", "net/tcp6", "net/udp"}.isdisjoint(net.names)


def test_connections_that_wait_for_their_end_are_in_either_table() -> None:
    net = Net(FILES | {"net/sockstat": b"TCP: inuse 0 orphan 0 tw 1 alloc 0 mem 0\n"})
    found = tcp(net.read)
    assert found is not None
    assert found.tcp6.timewait == 1


def test_too_many_sockets_are_said_to_be_and_not_counted_by_state() -> None:
    net = Net(FILES | {"net/sockstat": b"TCP: inuse %d orphan 0 tw 0 alloc 0 mem 0\n" % MOST_SOCKETS})
    found = tcp(net.read)
    assert found is not None
    assert (found.uncounted, found.tcp, found.in_use.tcp, found.counters.listendrops) == (
        1,
        TcpStates(),
        MOST_SOCKETS,
        12,
    )
    assert "net/tcp" not in net.names


def test_without_ipv6_or_without_a_way_to_the_namespace() -> None:
    found = tcp(Net({name: data for name, data in FILES.items() if not name.endswith("6")}).read)
    assert found is not None
    assert (found.in_use.tcp6, found.tcp6, found.udp6, found.uncounted) == (None, TcpStates(), UdpSockets(), None)
    assert tcp(Net({}).read) is None, "the process's first thread has ended"


def test_an_odd_line_costs_itself_alone() -> None:
    assert tcp_states(TCP + b"junk\n\n 9: a b 0F c\n").established == 2
    assert udp_sockets(UDP + b"  9: a b c d e f\n\n").listen == 2
    assert in_use(b"TCP: inuse x tw 3\nodd\n" + SOCKSTAT.replace(b"TCP", b"MPTCP"), None) == SocketsInUse(
        udp=14, time_wait=3
    )
    assert counters(SNMP.replace(b"209886", b"x"), b"TcpExt: ListenDrops\n").currestab == 2


@given(st.dictionaries(st.sampled_from(sorted(FILES)), st.binary(max_size=300)), st.data())
def test_whatever_the_kernel_prints_nothing_is_raised(odd: dict[str, bytes], data: st.DataObject) -> None:
    files = {name: odd.get(name, content) for name, content in FILES.items()}
    name = data.draw(st.sampled_from(sorted(FILES)))
    cut = data.draw(st.integers(0, len(files[name])))
    tcp(Net(files | {name: files[name][:cut]}).read)


def test_tracked_connections_are_those_of_all_cpus_and_drops_the_sum() -> None:
    data = b"entries  clashres found insert drop early_drop\n0000001f 00 00 00 0a 00\n0000001f 00 00 00 02 00\n"
    assert conntrack(data) == (31, 12)
    for odd in (b"", b"entries drop\n", b"entries drop\nxyz 1\n", b"entries\n1\n", b"entries drop\n1\n"):
        assert conntrack(odd) is None
