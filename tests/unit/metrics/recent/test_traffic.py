"""Traffic of containers by network, from the counters of their interfaces and their routes."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchd.kernel.parse.formats import Malformed
from watchd.kernel.parse.routes import interfaces_of, routes
from watchd.metrics.recent.recent import Recent
from watchd.metrics.recent.traffic import Traffic
from watchd.metrics.sources.source import Reading
from watchd.model import Container, Endpoint
from watchd.model.usage import Interface, Usage

HEADING = b"Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
# As a container on two networks has it: a way out by way of the first, and both subnets.
ROUTES = (
    HEADING
    + b"eth0\t00000000\t010012AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
    + b"eth1\t000013AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    + b"eth0\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
)
FRONT, BACK = Endpoint("front", "f", "172.18.0.2"), Endpoint("back", "b", "172.19.0.2")
WEB = Container("a" * 64, "web", "web:1", "sha256:1", "running", 0.0, started_at=1.0, pid=7, endpoints=(FRONT,))
BOTH = Container("b" * 64, "both", "web:1", "sha256:1", "running", 0.0, started_at=1.0, pid=8, endpoints=(BACK, FRONT))


def interface(name: str, received: int, sent: int) -> Interface:
    return Interface(name, received, 0, 0, 0, sent, 0, 0, 0)


def read(recent: Recent, container: Container, at: float, **counters: tuple[int, int]) -> None:
    usage = Usage(network=tuple(interface(name, *counted) for name, counted in counters.items()))
    recent.add([container], {container.id: Reading(usage, at)}, None)


def flows(traffic: Traffic, container: Container) -> Mapping[str, tuple[float, float]]:
    return traffic.flows([container]).get(container.id, {})


def procfs(path: Path) -> Path:
    (path / "8/net").mkdir(parents=True)
    (path / "8/net/route").write_bytes(ROUTES)
    return path


def test_routes_tell_which_interface_is_on_which_network() -> None:
    found = dict(interfaces_of(routes(ROUTES), {"front": "172.18.0.2", "back": "172.19.0.2", "none": ""}))
    assert found == {"eth0": "front", "eth1": "back"}


@pytest.mark.parametrize("line", [b"eth0", b"eth0 x y 1 0 0 0 z", b"eth0 00000000 00000000 1 0 0 0 00FF00FF"])
def test_what_is_no_route_is_refused(line: bytes) -> None:
    with pytest.raises(Malformed):
        routes(HEADING + line)


@given(st.binary(max_size=200))
def test_any_bytes_are_routes_or_malformed(data: bytes) -> None:
    try:
        routes(data)
    except Malformed:
        return


def test_rates_are_those_between_two_looks() -> None:
    recent = Recent()
    traffic = Traffic(recent, lambda: None)
    read(recent, WEB, 100.0, eth0=(1000, 100))
    assert flows(traffic, WEB) == {}
    read(recent, WEB, 110.0, eth0=(6000, 300))
    assert flows(traffic, WEB) == {"front": (500.0, 20.0)}
    read(recent, WEB, 110.5, eth0=(9000, 300))  # too soon after: noise
    assert flows(traffic, WEB) == {"front": (500.0, 20.0)}
    read(recent, WEB, 120.0, eth0=(10, 10))  # counters were reset
    assert flows(traffic, WEB) == {}


def test_on_two_networks_each_has_its_own(tmp_path: Path) -> None:
    recent = Recent()
    traffic = Traffic(recent, lambda: procfs(tmp_path) if not (tmp_path / "8").exists() else tmp_path)
    read(recent, BOTH, 100.0, eth0=(0, 0), eth1=(0, 0))
    flows(traffic, BOTH)
    read(recent, BOTH, 110.0, eth0=(1000, 0), eth1=(0, 5000))
    assert flows(traffic, BOTH) == {"front": (100.0, 0.0), "back": (0.0, 500.0)}


def test_without_its_processes_nothing_is_made_up() -> None:
    recent = Recent()
    traffic = Traffic(recent, lambda: None)
    for at in (100.0, 110.0):
        read(recent, BOTH, at, eth0=(int(at), 0), eth1=(0, int(at)))
        assert flows(traffic, BOTH) == {}


def test_what_is_gone_is_forgotten() -> None:
    recent = Recent()
    traffic = Traffic(recent, lambda: None)
    read(recent, WEB, 100.0, eth0=(1000, 100))
    flows(traffic, WEB)
    traffic.flows([])
    read(recent, WEB, 110.0, eth0=(6000, 300))
    assert flows(traffic, WEB) == {}  # the first look
