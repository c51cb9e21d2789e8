"""`watchd run` at SIGHUP: another configuration while it serves, and none where it is not good."""

import re
import signal
import socket
import sys
import time
from contextlib import closing
from pathlib import Path

import bcrypt
import docker
import psutil
import pytest

from tests.harness import images, proxy
from tests.harness.engine import Engine
from tests.harness.waiting import settled, wait_until
from tests.harness.watchd_process import WATCHD, Daemon, running, starting, write_config
from watchd import __version__

POLICY = """
mode = "{mode}"
grace = "0s"
jitter = "0s"
schedule = "{schedule}"
[[cleanup.policies]]
name = "{name}"
kind = "container"
when.finished_for = "0s"
"""


def cleanup(name: str = "exited", schedule: str = "0 4 * * *", mode: str = "report") -> str:
    return POLICY.format(mode=mode, schedule=schedule, name=name)


def hang_up(daemon: Daemon, said: str) -> None:
    """Have it read its configuration again, and wait until it says something new."""
    before = daemon.log.count(said)
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: daemon.log.count(said) > before, seconds=30, what=f"{said!r} in the log")


def test_other_policies_take_over(tmp_path: Path, clean_engine: Engine, docker_client: docker.DockerClient) -> None:
    docker_client.containers.run(images.BASE, ["true"], name="done", detach=True).wait()
    config = write_config(tmp_path, clean_engine.host, cleanup())
    with running(config) as daemon:
        write_config(tmp_path, clean_engine.host, cleanup("gone", "1s", "enforce"))
        hang_up(daemon, "the configuration was read again")
        wait_until(
            lambda: not docker_client.containers.list(all=True, ignore_removed=True),
            seconds=10,
            what="the container to go",
        )
        wait_until(lambda: daemon.value("watchd_prune_removed_total", policy="gone") == 1, seconds=5, what="the count")
        write_config(tmp_path, clean_engine.host, cleanup("gone", "1s"))
        hang_up(daemon, "the configuration was read again")
        docker_client.containers.run(images.BASE, ["true"], name="stays", detach=True).wait()
        wait_until(
            lambda: daemon.value("watchd_prune_planned", policy="gone") == 1, seconds=10, what="it to be planned"
        )
        assert [each.name for each in docker_client.containers.list(all=True, ignore_removed=True)] == ["stays"]
        assert daemon.value("watchd_prune_removed_total", policy="gone") == 1  # what was counted is still there


def test_an_interval_goes_on_over_starts_and_reloads(tmp_path: Path, clean_engine: Engine) -> None:
    def next_runs(daemon: Daemon) -> list[str]:
        return re.findall(r"next run (\S+) \(24h: exited\)", daemon.log)

    config = write_config(tmp_path, clean_engine.host, cleanup(schedule="24h"))
    with running(config) as daemon:
        (first,) = wait_until(lambda: next_runs(daemon), seconds=5, what="the schedule to begin")
    with running(config) as daemon:
        write_config(tmp_path, clean_engine.host, cleanup(schedule="24h", mode="enforce"))
        hang_up(daemon, "the configuration was read again")
        assert next_runs(daemon) == [first] * 3, "of both starts, and of the reload"


@pytest.mark.parametrize(
    ("spoilt", "told"),
    [
        ("[cleanup]\nschedule = 5\n", "configuration: cleanup.schedule: "),
        ("[http]\nlisten = ", "is not TOML"),
        ('[http]\nbearer_token_file = "/dev/null"\n', "http.bearer_token_file: /dev/null must contain one token"),
        (None, "there is no such file"),
    ],
)
def test_a_bad_file_changes_nothing(tmp_path: Path, clean_engine: Engine, spoilt: str | None, told: str) -> None:
    config = write_config(tmp_path, clean_engine.host, cleanup("first"))
    with running(config) as daemon:
        if spoilt is None:
            config.unlink()
        else:
            config.write_text(spoilt)
        hang_up(daemon, "the previous one stays in force")
        assert told in daemon.log
        assert "policy first" in daemon.log
        assert daemon.value("watchd_config_last_reload_successful") == 0
        wait_until(daemon.ready, seconds=20, what="it to be ready")
        write_config(tmp_path, clean_engine.host, cleanup("second"))
        hang_up(daemon, "the configuration was read again")
        assert "policy second" in daemon.log
        assert daemon.value("watchd_config_last_reload_successful") == 1
        assert daemon.stop() == 0


@pytest.fixture
def own_python(tmp_path: Path) -> Path:
    """A Python that may be replaced: the program, in a virtual environment that is the tests' own in all else."""
    environment = Path(sys.prefix)
    program = tmp_path / "environment/bin/python"
    program.parent.mkdir(parents=True)
    program.symlink_to(Path(sys.executable).resolve())
    (tmp_path / "environment/pyvenv.cfg").write_text((environment / "pyvenv.cfg").read_text())
    (tmp_path / "environment/lib").symlink_to(environment / "lib")
    return program


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (None, "no process can be started"),
        ("kill -9 $$", "its process failed: exit code -9"),
        ("echo 'MemoryError' >&2; exit 1", "its process failed: MemoryError"),
        ("""echo '{"version": "0.0", "settings": {}}'""", "watchd 0.0 is installed, and this is"),
        (f"""echo '{{"version": "{__version__}", "settings": {{"x": 1}}}}'""", "another watchd is installed"),
    ],
)
def test_where_the_file_cannot_be_checked_nothing_changes(
    tmp_path: Path, clean_engine: Engine, own_python: Path, script: str | None, told: str
) -> None:
    config = write_config(tmp_path, clean_engine.host, cleanup("first"))
    with running(config, command=(own_python, WATCHD)) as daemon:
        program = own_python.resolve()
        own_python.unlink()
        if script is not None:
            own_python.write_text(f"#!/bin/sh\n{script}\n")
            own_python.chmod(0o755)
        write_config(tmp_path, clean_engine.host, cleanup("second"))
        hang_up(daemon, "the previous one stays in force")
        assert told in daemon.log
        assert "Traceback" not in daemon.log
        assert daemon.value("watchd_config_last_reload_successful") == 0
        own_python.unlink(missing_ok=True)
        own_python.symlink_to(program)
        hang_up(daemon, "the configuration was read again")
        assert "policy second" in daemon.log
        assert daemon.value("watchd_config_last_reload_successful") == 1
        assert psutil.Process(daemon.process.pid).children(recursive=True) == []


def test_a_run_under_way_ends_after_the_item_in_hand(
    tmp_path: Path, clean_engine: Engine, docker_client: docker.DockerClient
) -> None:
    """Whoever sees it remove the wrong things has one quick way to stop it."""

    def slow_removals(handler: proxy.Handler) -> None:
        if handler.command == "DELETE":
            time.sleep(1.0)
        handler.pass_on()

    def there() -> int:
        return len(docker_client.api.containers(all=True, quiet=True))

    for number in range(80):
        docker_client.containers.create(images.BASE, name=f"c{number}")
    enforced = cleanup(mode="enforce", schedule="1s").replace("finished_for", "never_started_for")
    with proxy.in_front_of(clean_engine, tmp_path / "docker.sock", methods={"GET", "HEAD", "DELETE"}) as between:
        between.fault = slow_removals
        config = write_config(tmp_path, between.host, enforced)
        with running(config) as daemon:
            wait_until(lambda: there() < 80, seconds=30, what="the first to go")
            config.write_text(config.read_text().replace('"enforce"', '"report"'))
            hang_up(daemon, "the configuration was read again")
            # The items in hand go yet. A run that went on would remove one each second, until none is left.
            assert settled(there, still=3, seconds=100, what="the containers") > 0
            wait_until(daemon.ready, seconds=20, what="it to be ready")


def test_a_signal_while_it_starts_ends_nothing(tmp_path: Path, clean_engine: Engine) -> None:
    with starting(write_config(tmp_path, clean_engine.host)) as daemon:
        wait_until(lambda: _ignores_or_heeds(daemon.process.pid), seconds=10, what="the command to begin")
        while not daemon.ready() and daemon.process.poll() is None:
            daemon.process.send_signal(signal.SIGHUP)
            time.sleep(0.1)  # each makes it read its configuration again, before it is stopped
        assert daemon.process.poll() is None


def _ignores_or_heeds(pid: int) -> bool:
    """Return whether a process does not end of SIGHUP."""
    masks = re.findall(r"^Sig(?:Ign|Cgt):\s+(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return any(int(mask, 16) & 1 << (signal.SIGHUP - 1) for mask in masks)


def test_what_cannot_change_while_it_runs_is_told(tmp_path: Path, clean_engine: Engine) -> None:
    config = write_config(tmp_path, clean_engine.host)
    with running(config) as daemon:
        elsewhere = write_config(tmp_path, "unix:///nowhere.sock", cleanup("new", "1s"))
        elsewhere.write_text(f'{elsewhere.read_text()}\n[metrics]\ngroups = ["cpu"]\n[log]\nlevel = "debug"\n')
        hang_up(daemon, "the configuration was read again")
        for key in ("engine.host", "metrics.groups"):
            assert f"{key} has changed: that takes effect when watchd is started again" in daemon.log
        assert "state.directory has changed" not in daemon.log
        assert "the current run" not in daemon.log, "there is none"
        wait_until(
            lambda: daemon.value("watchd_prune_last_run_timestamp_seconds", policy="new"), seconds=10, what="a run"
        )
        wait_until(daemon.ready, seconds=20, what="it to be ready")


def test_a_password_that_was_changed_is_asked_for(tmp_path: Path, clean_engine: Engine) -> None:
    token = tmp_path / "token"
    token.write_text("first")
    config = write_config(tmp_path, clean_engine.host)
    config.write_text(config.read_text().replace("[cleanup]", f'bearer_token_file = "{token}"\n[cleanup]'))
    with running(config) as daemon:
        assert daemon.get("/metrics")[0] == 401
        assert daemon.get("/metrics", Authorization="Bearer first")[0] == 200
        token.write_text("second")
        hang_up(daemon, "the configuration was read again")
        assert daemon.get("/metrics", Authorization="Bearer first")[0] == 401
        assert daemon.get("/metrics", Authorization="Bearer second")[0] == 200
        hashed = bcrypt.hashpw(b"third", bcrypt.gensalt(4)).decode()
        config.write_text(
            config.read_text().replace(f'bearer_token_file = "{token}"', f"users = {{anna = '{hashed}'}}")
        )
        hang_up(daemon, "the configuration was read again")
        assert daemon.get("/metrics", Authorization="Bearer second")[0] == 401
        assert daemon.get("/metrics", Authorization="Basic YW5uYTp0aGlyZA==")[0] == 200
        assert "third" not in daemon.log
        assert hashed not in daemon.log


def test_the_service_manager_is_told_when_it_begins_and_when_it_ends(
    tmp_path: Path, clean_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with running(write_config(tmp_path, clean_engine.host)) as daemon:
            assert manager.recv(4096).startswith(b"READY=1\n")
            daemon.process.send_signal(signal.SIGHUP)
            reloading, moment = manager.recv(4096).decode().splitlines()
            assert (reloading, moment.partition("=")[0]) == ("RELOADING=1", "MONOTONIC_USEC")
            assert manager.recv(4096).startswith(b"READY=1\n")
