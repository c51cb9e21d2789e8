"""What systemd is told, by a socket that stands in for its own."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.harness import install
from tests.harness.engine import Engine
from tests.watchd_process import WATCHD, running, write_config
from watchd.systemd import Systemd

DEPLOY = Path(__file__).parents[1] / "deploy/systemd"


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
    Systemd({"NOTIFY_SOCKET": named(manager)}).tell("READY=1", "STATUS=well")
    assert manager.recv(4096) == b"READY=1\nSTATUS=well"


def test_without_a_manager_nothing_is_told() -> None:
    alone = Systemd({"WATCHDOG_USEC": "1000000"})
    alone.tell("READY=1")
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
    Systemd({"NOTIFY_SOCKET": "/nowhere/at/all"}).tell("READY=1")


def test_the_daemon_tells_that_it_is_ready_alive_and_stopping(
    manager: socket.socket, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", named(manager))
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    with running(write_config(tmp_path, engine.host)):
        told = manager.recv(4096).decode().splitlines()
        assert told[0] == "READY=1"
        assert any(line.startswith("STATUS=") for line in told)
        assert manager.recv(4096) == b"WATCHDOG=1"
        assert manager.recv(4096) == b"WATCHDOG=1"
    while (last := manager.recv(4096)) == b"WATCHDOG=1":
        pass
    assert last == b"STOPPING=1"


@pytest.fixture(scope="module")
def analyze() -> str:
    """Systemd's own tool, which needs no systemd to run."""
    if shutil.which("systemd-analyze") is None:
        try:
            install.apt_install(["systemd"])
        except install.UnavailableError as error:
            pytest.skip(str(error))
    return "systemd-analyze"


def test_the_unit_has_no_mistake_and_little_to_be_attacked_by(analyze: str, tmp_path: Path) -> None:
    unit = tmp_path / "watchd.service"
    unit.write_text((DEPLOY / "watchd.service").read_text().replace("/opt/watchd/bin/watchd", str(WATCHD)))
    verified = subprocess.run([analyze, "verify", unit], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")
    command = [analyze, "security", "--offline=true", "--threshold=20", str(unit)]  # tenths
    exposed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert exposed.returncode == 0, exposed.stdout.splitlines()[-1]
