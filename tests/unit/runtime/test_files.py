"""Links that a service user puts into its state directory lead root nowhere else."""

import os
import socket
import sqlite3
import stat
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.harness.command import logging_kept
from tests.unit.store.test_store import removal
from watchd.cli import main
from watchd.config.schema.config import Http
from watchd.errors import StateError, WatchdError
from watchd.http import private
from watchd.http.access import read_access
from watchd.http.server import Server
from watchd.runtime import files
from watchd.runtime.files import check
from watchd.runtime.locks import hold
from watchd.store import DATABASE, Store
from watchd.store.daemon_state import DAEMON_LOCK, open_for_daemon
from watchd.store.database import connection as connecting

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be led to files of others")

SERVICE, OTHER = 12345, 54321  # users


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory of a service user."""
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, SERVICE, SERVICE)
    return state


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    victim.chmod(0o644)
    return victim


def untouched(victim: Path) -> bool:
    status = victim.stat()
    return (victim.read_text(), status.st_uid, stat.S_IMODE(status.st_mode)) == ("precious", 0, 0o644)


def symbolic_link(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def hard_link(path: Path, victim: Path) -> None:
    if path.name == private.SOCKET:
        bind(victim.with_name("sock"))
        path.hardlink_to(victim.with_name("sock"))
    else:
        path.hardlink_to(victim)


def fifo(path: Path, _victim: Path) -> None:
    os.mkfifo(path)


def directory(path: Path, _victim: Path) -> None:
    path.mkdir()


def foreign_file(path: Path, _victim: Path) -> None:
    if path.name == private.SOCKET:
        bind(path)
    else:
        path.touch()
    os.chown(path, OTHER, OTHER)


def bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))


PUTS = {
    "is a symbolic link": symbolic_link,
    "has 2 hard links": hard_link,
    "is a FIFO": fifo,
    "is a directory": directory,
    "belongs to user 54321": foreign_file,
}
SIDE_FILES = [f"{DATABASE}{suffix}" for suffix in connecting.FILES]


def begin_a_run(state: Path) -> None:
    with hold(state / "run.lock", "plan 7"):
        pass


def start_a_daemon(state: Path) -> None:
    with open_for_daemon(state):
        pass


def open_it(state: Path) -> None:
    with closing(Store.open(state)) as store:
        store.record(removal())


def read_history(state: Path) -> None:
    store = Store.open_read_only(state)
    if store is not None:
        store.close()


OPENS: list[tuple[str, Callable[[Path], object]]] = [
    ("run.lock", begin_a_run),
    (DAEMON_LOCK, start_a_daemon),
    *((name, open_) for name in SIDE_FILES for open_ in (open_it, start_a_daemon, read_history)),
    ("reserve", open_it),
    (private.SOCKET, lambda state: private.get(state, "/healthz")),
]


@pytest.mark.parametrize("why", PUTS)
@pytest.mark.parametrize(("name", "open_"), OPENS)
def test_what_is_no_file_of_watchd_is_refused_and_left_alone(
    state: Path, victim: Path, why: str, name: str, open_: Callable[[Path], object]
) -> None:
    if name != DATABASE:
        Store.open(state).close()
        (state / name).unlink(missing_ok=True)
    PUTS[why](state / name, victim)
    before = (state / name).lstat().st_ino
    with pytest.raises(StateError, match=f"{state / name} {why}.*remove"):
        open_(state)
    assert untouched(victim)
    assert (state / name).lstat().st_ino == before


@pytest.mark.parametrize("command", ["run", "prune", "history", "healthcheck", "top"])
def test_commands_say_what_to_do_and_do_nothing(
    state: Path, victim: Path, command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"run": DAEMON_LOCK, "healthcheck": private.SOCKET, "top": private.SOCKET}
    (state / names.get(command, DATABASE)).symlink_to(victim)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)  # `run` sets one
    monkeypatch.setenv("WATCHD_STATE__DIRECTORY", str(state))
    monkeypatch.setenv("WATCHD_ENGINE__HOST", f"unix://{state}/nowhere.sock")
    options = {"prune": ["--yes"], "top": ["--once"]}
    with pytest.raises(SystemExit) as ended, logging_kept():
        main([command, *options.get(command, [])])
    assert ended.value.code == 1
    assert "is a symbolic link, not a" in capsys.readouterr().err
    assert untouched(victim)


def test_a_dangling_link_creates_nothing(state: Path, tmp_path: Path) -> None:
    for name, open_ in OPENS:
        (state / name).symlink_to(tmp_path / "created")
        with suppress(StateError):  # there is no history yet
            open_(state)
        (state / name).unlink()
        assert not (tmp_path / "created").exists()


@pytest.mark.parametrize("why", PUTS)
def test_what_takes_the_place_of_a_file_after_it_was_checked_is_refused_too(
    state: Path, victim: Path, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    PUTS[why](state / "run.lock", victim)
    monkeypatch.setattr(files, "_checked", lambda *_: os.stat_result((0,) * 10))
    with pytest.raises(StateError):
        begin_a_run(state)
    assert untouched(victim)


def test_a_database_that_is_replaced_while_it_is_opened_is_not_written(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.db"
    other.touch()
    connect = sqlite3.connect

    def replace(path: Path, **options: object) -> sqlite3.Connection:
        path.unlink()
        path.symlink_to(other)
        return connect(path, **options)  # type: ignore[call-overload, no-any-return] # as it was called

    monkeypatch.setattr(sqlite3, "connect", replace)
    with pytest.raises(StateError, match="was replaced while it was opened"):
        Store.open(state)
    assert other.read_bytes() == b""


def test_the_socket_of_a_daemon_takes_the_place_of_a_link_and_changes_nothing_behind_it(
    state: Path, victim: Path
) -> None:
    path = state / private.SOCKET
    path.symlink_to(victim)
    server = Server(["127.0.0.1:0"], {}, read_access(Http()), private=path)
    server._listen_privately(path)
    try:
        status = path.lstat()
        assert (stat.S_ISSOCK(status.st_mode), stat.S_IMODE(status.st_mode)) == (True, 0o600)
    finally:
        for listening in server._sockets:
            listening.close()
    assert untouched(victim)


def test_files_of_root_of_this_user_and_of_the_directory_s_owner_are_good(state: Path) -> None:
    for owner in (0, SERVICE):
        (state / str(owner)).touch()
        os.chown(state / str(owner), owner, owner)
        assert check(state / str(owner)) is not None
    assert check(state / "missing") is None
    with suppress(WatchdError):
        begin_a_run(state)
    assert (state / "run.lock").stat().st_uid == SERVICE
