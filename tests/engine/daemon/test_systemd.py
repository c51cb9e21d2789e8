"""The daemon's messages to systemd, on a socket in its place."""

import signal
import socket
from contextlib import closing
from pathlib import Path

import pytest

from tests.harness.engine import Engine
from tests.harness.watchd_process import running, write_config


def test_the_daemon_tells_that_it_is_ready_alive_and_stopping(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        with running(write_config(tmp_path, engine.host)) as daemon:
            told = manager.recv(4096).decode().splitlines()
            assert told[0] == "READY=1"
            assert any(line.startswith("STATUS=") for line in told)
            assert manager.recv(4096) == b"WATCHDOG=1"
            assert manager.recv(4096) == b"WATCHDOG=1"
            daemon.process.send_signal(signal.SIGTERM)
            while (last := manager.recv(4096)) == b"WATCHDOG=1":
                pass  # whoever does not receive keeps it from ending: a socket holds ten messages
            assert last == b"STOPPING=1"
