"""Descriptors and threads of the processes in a container's cgroup, of real processes of this machine."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness.waiting import wait_until
from watchd.kernel import processes
from watchd.kernel.files import CgroupFiles, ProcessFiles
from watchd.kernel.processes import Processes
from watchd.model.usage import Tasks

PROC = Path("/proc")
HOLD = """
import socket, sys
kept = [socket.socket() for _ in range(3)] + [open("/dev/null") for _ in range(4)]
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def holding() -> Iterator[int]:
    """A process with three sockets and seven other descriptors."""
    with subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.communicate()


@pytest.fixture
def child() -> Iterator[int]:
    with holding() as pid:
        yield pid


def container(cgroup: Path, first: int, *others: int, below: tuple[int, ...] = (), procfs: Path = PROC) -> Processes:
    """A container with these processes, some of them in a cgroup below its own."""
    (cgroup / "init.scope").mkdir(exist_ok=True)
    (cgroup / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in (first, *others)))
    (cgroup / "init.scope/cgroup.procs").write_text("".join(f"{pid}\n" for pid in below))
    return Processes(procfs, ProcessFiles(PROC / str(first)), first, CgroupFiles({"": cgroup}))


def test_descriptors_sockets_and_the_limit(tmp_path: Path, child: int) -> None:
    found = container(tmp_path, child).files()
    assert (found.descriptors, found.sockets, found.uncounted) == (10, 3, None)
    assert found.open_files_limit is not None
    assert found.open_files_limit > 0


def test_all_processes_count_those_in_cgroups_below_too(tmp_path: Path, child: int) -> None:
    with holding() as other:
        both = container(tmp_path, child, below=(other,)).files()
    assert (both.descriptors, both.sockets) == (20, 6)


def test_a_process_that_ended_meanwhile_has_none(tmp_path: Path, child: int) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    assert container(tmp_path, child, ended.pid).files().descriptors == 10


def test_too_many_are_said_to_be_too_many(tmp_path: Path, child: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "MOST_DESCRIPTORS", 9)
    found = container(tmp_path, child).files()
    assert (found.descriptors, found.sockets, found.uncounted) == (10, None, 1)
    monkeypatch.setattr(processes, "MOST_PROCESSES", 1)
    found = container(tmp_path, child, os.getpid()).files()
    assert (found.descriptors, found.sockets, found.uncounted) == (None, None, 1)
    assert found.open_files_limit is not None


def test_without_the_right_to_see_descriptors_the_error_says_what_it_takes(
    tmp_path: Path, child: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "readlink", refuse)
    with pytest.raises(PermissionError, match=r"Permission denied: .* CAP_SYS_PTRACE"):
        container(tmp_path, child).files()


def test_numbers_of_another_pid_namespace_are_no_processes_of_the_container(tmp_path: Path, child: int) -> None:
    """In a PID namespace of its own watchd reads numbers that are other processes in the host's `/proc`."""
    of_container = container(tmp_path, child)
    (tmp_path / "cgroup.procs").write_text(f"0\n{os.getpid()}\n")
    assert of_container.files().descriptors is None
    assert of_container.tasks() is None


def test_threads_by_state(tmp_path: Path, child: int) -> None:
    of_container = container(tmp_path, os.getpid(), below=(child,))

    def others_sleep() -> bool:
        found = of_container.tasks()
        assert found is not None
        assert found.running, "this very thread"
        return found.sleeping is not None and found.sleeping >= 2

    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        wait_until(others_sleep, seconds=10, what="the other thread and the child to sleep")
    finally:
        done.set()
        thread.join()


def test_a_stopped_process(tmp_path: Path, child: int) -> None:
    of_container = container(tmp_path, child)
    os.kill(child, 19)
    try:
        wait_until(
            lambda: of_container.tasks() == Tasks(running=0, sleeping=0, stopped=1, uninterruptible=0),
            seconds=5,
            what="the process to be stopped",
        )
    finally:
        os.kill(child, 18)


def test_names_of_processes_are_no_states(tmp_path: Path) -> None:
    (tmp_path / "7/task/7").mkdir(parents=True)
    (tmp_path / "7/task/7/stat").write_text("7 (a) R (b) D 1 7 7 0\n")
    cgroup = tmp_path / "cgroup"
    cgroup.mkdir()
    (cgroup / "cgroup.procs").write_text("7\n")
    of_container = Processes(tmp_path, ProcessFiles(tmp_path / "7"), 7, CgroupFiles({"": cgroup}))
    assert of_container.tasks() == Tasks(running=0, sleeping=0, stopped=0, uninterruptible=1)


def test_too_many_threads_are_said_to_be_too_many(tmp_path: Path, child: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "MOST_THREADS", 1)
    assert container(tmp_path, child, os.getpid()).tasks() == Tasks(uncounted=1)
    assert container(tmp_path, child).tasks() != Tasks(uncounted=1)
