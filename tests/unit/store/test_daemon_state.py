"""The daemon's lock comes before anything else in the state directory."""

import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.unit.store.test_store import EXIT, KEY, SEEN, put
from watchd.errors import StateError, WatchdError
from watchd.runtime.locks import hold
from watchd.store import DATABASE, Notes, Store
from watchd.store.daemon_state import DAEMON_LOCK, open_for_daemon
from watchd.store.database import migrations


def no_database(_path: Path) -> None:
    pass


def damaged_database(path: Path) -> None:
    path.write_bytes(b"not a database" * 500)


def old_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(migrations._MIGRATIONS[0])
        connection.execute("PRAGMA user_version = 1")


def newer_database(path: Path) -> None:
    old_database(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 999")


def content(directory: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in directory.iterdir()}


@pytest.mark.parametrize("make", [no_database, damaged_database, old_database, newer_database])
def test_a_second_daemon_changes_nothing_before_it_finds_the_state_locked(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / DATABASE)
    with hold(tmp_path / DAEMON_LOCK, "process 7"):
        before = content(tmp_path)
        with (
            pytest.raises(WatchdError, match=r"another watchd is running on the state directory .*\(process 7\)"),
            open_for_daemon(tmp_path),
        ):
            pass
        assert content(tmp_path) == before


def test_a_damaged_database_is_moved_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    damaged_database(tmp_path / DATABASE)
    damaged = (tmp_path / DATABASE).read_bytes()
    with caplog.at_level(logging.ERROR), open_for_daemon(tmp_path) as store:
        put(store, {KEY: SEEN})
    (aside,) = tmp_path.glob(f"{DATABASE}.damaged-*")
    assert aside.read_bytes() == damaged
    assert f"it is {aside} now" in caplog.text


def test_commands_share_the_state_with_the_daemon(tmp_path: Path) -> None:
    with open_for_daemon(tmp_path) as daemon, closing(Store.open(tmp_path)) as command:
        put(command, {KEY: SEEN})
        assert daemon.observations("engine-1") == {KEY: SEEN}


def open_old(directory: Path) -> list[object]:
    with closing(Store.open(directory)) as store:
        return [*store.exits("engine")]


def test_processes_that_migrate_at_the_same_time_do_it_once(tmp_path: Path) -> None:
    old_database(tmp_path / DATABASE)
    with ProcessPoolExecutor(4, mp_context=get_context("forkserver")) as processes:
        assert list(processes.map(open_old, [tmp_path] * 8)) == [[]] * 8
    with closing(Store.open(tmp_path)) as store:
        store.record_exits("engine", [EXIT])
        assert store.exits("engine") == [EXIT]


def test_what_events_told_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    notes = Notes(used={KEY: 5000.0}, cursor="cursor")
    with closing(Store.open(tmp_path)) as store:
        put(store, {KEY: SEEN})
        store._connection.execute(
            "CREATE TRIGGER fail BEFORE UPDATE OF cursor ON engine BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
        with pytest.raises(StateError, match="no"):
            store.note("engine-1", 2000.0, notes, shift=lambda _: 0.0)
        assert store.observations("engine-1") == {KEY: SEEN}
        store._connection.execute("DROP TRIGGER fail")
        store.note("engine-1", 2000.0, notes, shift=lambda _: 0.0)
        assert store.observations("engine-1")[KEY].last_used == 5000.0
        assert store.cursor("engine-1") == "cursor"
