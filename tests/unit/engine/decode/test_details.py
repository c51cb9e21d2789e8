"""Addresses, ports and details of containers, decoded from inspects."""

from typing import Any

import pytest

from tests.unit.engine.decode.test_decode import fixture
from watchd.engine.decode.containers import container_from_inspect
from watchd.engine.decode.details import details_from_inspect
from watchd.engine.decode.objects import network
from watchd.model import Endpoint, PublishedPort
from watchd.model.objects.details import HealthCheck, Mount

NETWORKS = {
    "back": {"NetworkID": "b1", "IPAddress": "172.19.0.2", "GlobalIPv6Address": "fd00::2"},
    "front": {"NetworkID": "f1", "IPAddress": "", "GlobalIPv6Address": ""},
    "host": {"NetworkID": "h1", "IPAddress": ""},
}
PORTS = {
    "443/tcp": None,
    "9000/tcp": [{"HostIp": "10.0.0.1", "HostPort": "9001"}, {"HostIp": "::", "HostPort": "9001"}],
    "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}, {"HostIp": "", "HostPort": "no port"}],
}
HEALTH = {
    "Status": "unhealthy",
    "FailingStreak": 4,
    "Log": [{"Start": "2026-01-01T00:00:00Z", "End": "2026-01-01T00:00:01Z", "ExitCode": 1, "Output": "refused\n"}],
}


def inspected() -> Any:
    raw = fixture("inspect-26.1-oomkilled")
    raw["NetworkSettings"] = {**raw["NetworkSettings"], "Networks": NETWORKS, "Ports": PORTS}
    raw["State"] = {**raw["State"], "Health": HEALTH}
    raw["Config"] = {
        **raw["Config"],
        "Env": ["PASSWORD=secret"],
        "Healthcheck": {"Test": ["CMD", "true"], "Interval": 5 * 10**9},
    }
    raw["HostConfig"] = {**raw["HostConfig"], "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}}
    raw["Mounts"] = [
        {"Type": "volume", "Name": "data", "Source": "/v/data/_data", "Destination": "/data", "RW": True},
        {"Type": "bind", "Source": "/etc", "Destination": "/host", "RW": False},
    ]
    return raw


def test_addresses_are_told_by_network() -> None:
    """The host's network is none of its own."""
    assert container_from_inspect(inspected()).endpoints == (
        Endpoint("back", "b1", "172.19.0.2", "fd00::2"),
        Endpoint("front", "f1"),
    )


def test_ports_are_those_that_the_host_passes_on() -> None:
    assert container_from_inspect(inspected()).ports == (
        PublishedPort("80/tcp", "127.0.0.1", 8080),
        PublishedPort("9000/tcp", "10.0.0.1", 9001),
        PublishedPort("9000/tcp", "::", 9001),
    )


def test_details_are_told_without_the_environment() -> None:
    details = details_from_inspect(inspected())
    assert details.mounts == (
        Mount("volume", "data", "/v/data/_data", "/data", read_only=False),
        Mount("bind", "", "/etc", "/host", read_only=True),
    )
    assert (details.max_retries, details.failing_streak, details.health_interval) == (3, 4, 5.0)
    assert details.health_command == ("CMD", "true")
    assert details.health_checks == (HealthCheck(1767225600.0, 1767225601.0, 1, "refused\n"),)
    assert "secret" not in repr(details)


def test_a_container_without_a_health_check_has_none() -> None:
    details = details_from_inspect(fixture("inspect-20.10-paused"))
    assert (details.health_command, details.health_interval, details.health_checks) == ((), None, ())


@pytest.mark.parametrize("configuration", [None, [], [{"Subnet": ""}], [{}]])
def test_a_network_may_have_no_subnet(configuration: Any) -> None:
    raw = dict.fromkeys(("Driver", "Scope", "Created", "Labels", "ConfigOnly"))
    assert network({**raw, "Id": "1", "Name": "n", "IPAM": {"Config": configuration}}).subnets == ()


def test_subnets_of_a_network() -> None:
    raw = dict.fromkeys(("Driver", "Scope", "Created", "Labels", "ConfigOnly"))
    told = network({**raw, "Id": "1", "Name": "n", "Internal": True, "IPAM": {"Config": [{"Subnet": "172.18.0.0/16"}]}})
    assert (told.subnets, told.is_internal) == (("172.18.0.0/16",), True)
