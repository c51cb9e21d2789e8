import fcntl
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from watchd.errors import StateError
from watchd.runtime.locks import Locked, hold, is_held
from watchd.store import Store

HOLDER = """
import sys
from pathlib import Path
from watchd.runtime.locks import Locked, hold, is_held
with hold(Path(sys.argv[1]), "plan 7"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.lock"


@contextmanager
def another_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Hold the lock in another process, until its standard input is closed or it is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_second_holder_is_refused_with_the_note_of_the_first(path: Path) -> None:
    with another_process(path):
        with pytest.raises(Locked) as error, hold(path, "mine"):
            pass
        assert error.value.holder == "plan 7"
        assert str(error.value) == f"{path} is held by plan 7"
        assert path.read_text() == "plan 7"


def test_a_killed_process_holds_nothing(path: Path) -> None:
    with another_process(path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        with hold(path, "mine"):
            assert path.read_text() == "mine"


def test_it_waits_for_a_holder_that_ends_in_time(path: Path) -> None:
    with another_process(path) as process:
        assert process.stdin is not None
        threading.Timer(0.2, process.stdin.close).start()
        with hold(path, "mine", wait=30):
            assert path.read_text() == "mine"


def test_it_waits_no_longer_than_it_was_told_to(path: Path) -> None:
    with another_process(path), pytest.raises(Locked), hold(path, "mine", wait=0.2):
        pass


def test_two_holders_in_one_process_exclude_each_other_too(path: Path) -> None:
    with hold(path, "first"), pytest.raises(Locked, match="is held by first"), hold(path, "second"):
        pass


def test_after_an_error_inside_it_is_free_again_and_says_nothing(path: Path) -> None:
    with pytest.raises(KeyError), hold(path, "a note that is longer than the next"):
        raise KeyError
    assert path.read_text() == ""
    with hold(path, "next"):
        assert path.read_text() == "next"


def test_a_holder_that_left_no_note_is_another_process(path: Path) -> None:
    with hold(path, ""), pytest.raises(Locked, match="is held by another process"), hold(path, "mine"):
        pass


def test_a_full_disk_only_costs_the_note(path: Path) -> None:
    """A disk that filled up is when cleaning matters most."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with hold(path, "mine"), path.open("rb") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b""


def test_a_lock_that_cannot_be_made_is_a_state_error(tmp_path: Path) -> None:
    with (
        pytest.raises(StateError, match="cannot be written: No such file or directory"),
        hold(tmp_path / "missing/run.lock", "mine"),
    ):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_makes_in_the_state_directory_is_its_owners(tmp_path: Path) -> None:
    """`sudo watchd prune` beside a daemon that runs as a user of its own keeps nothing from that."""
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, 65534, 65534)
    with hold(state / "run.lock", "a run"), closing(Store.open(state)) as store:
        store.ran(["old"], 1.0, None)
        assert {file.name: file.stat().st_uid for file in state.iterdir()} == dict.fromkeys(
            ("reserve", "run.lock", "watchd.db", "watchd.db-wal", "watchd.db-shm"), 65534
        )


def test_whether_a_lock_is_held_is_told_without_taking_it(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    assert not is_held(path)
    with hold(path, "a test"):
        assert is_held(path)
    assert not is_held(path)
    assert path.read_text() == ""
