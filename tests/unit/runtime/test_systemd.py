"""Notifications to systemd, by a socket that stands in for its own."""

import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from watchd.runtime.systemd import Systemd


@pytest.fixture(params=["file", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    """The socket of a service manager."""
    address = str(tmp_path / "notify") if request.param == "file" else f"\0watchd-test-{os.getpid()}"
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as bound:
        bound.bind(address)
        bound.settimeout(20)
        yield bound


def named(manager: socket.socket) -> str:
    """Return its address as the environment has it."""
    name = manager.getsockname()
    return f"@{name[1:].decode()}" if isinstance(name, bytes) else name


def test_assignments_arrive(manager: socket.socket) -> None:
    Systemd({"NOTIFY_SOCKET": named(manager)}).notify("READY=1", "STATUS=well")
    assert manager.recv(4096) == b"READY=1\nSTATUS=well"


def test_without_a_manager_nothing_is_told() -> None:
    alone = Systemd({"WATCHDOG_USEC": "1000000"})
    alone.notify("READY=1")
    assert alone.watchdog_interval is None


@pytest.mark.parametrize(
    ("environment", "interval"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_twice_in_its_time(environment: dict[str, str], interval: float | None) -> None:
    assert Systemd({"NOTIFY_SOCKET": "/nowhere", **environment}).watchdog_interval == interval


def test_a_manager_that_is_gone_ends_nothing() -> None:
    Systemd({"NOTIFY_SOCKET": "/nowhere/at/all"}).notify("READY=1")
