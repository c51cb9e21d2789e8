"""Processes that the harness started: known by PID and start time, so that a PID given out again is never touched.

Sources: `/proc/<pid>/stat`, `/proc/<pid>/status`, `/proc/<pid>/cmdline`, `/proc/<pid>/ns/net`.
"""

import os
import select
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.harness.waiting import wait_until

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """One process, whether a child of this one or not.

    `started` is in clock ticks since boot, the 22nd field of `/proc/<pid>/stat`.
    """

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Self:
        """Return the process that has `pid` now. Raise FileNotFoundError when none has."""
        return cls(pid, _stat(pid).started)

    @classmethod
    def spawn(cls, command: Sequence[str], *, log: Path, environment: Mapping[str, str]) -> Self:
        """Start `command` in a session of its own, with nothing on its standard input and all it says added to `log`.

        posix_spawn rather than Popen: a Popen object warns when it goes while its process stays, which is the very
        thing that `make engine-up` is for.
        """
        pid = os.posix_spawnp(
            command[0],
            list(command),
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
        )
        return cls.of(pid)

    def is_alive(self) -> bool:
        """Return whether it still runs. A zombie does not."""
        return not self.wait(0)

    def wait(self, seconds: float) -> bool:
        """Wait until it has ended, and reap it if it is a child of this process. Return whether it ended in time."""
        with self._pidfd() as pidfd:
            if pidfd is None:
                return True
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            if not poll.poll(seconds * 1000):
                return False
        with suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)
        return True

    def freeze(self) -> None:
        """Send it SIGSTOP, and wait until each thread is stopped: those of another CPU go on for a moment."""
        self.send(signal.SIGSTOP)
        wait_until(self._is_stopped, seconds=60, what=f"process {self.pid} to be stopped")

    def go_on(self) -> None:
        """Let it go on after `freeze` (SIGCONT)."""
        self.send(signal.SIGCONT)

    def _is_stopped(self) -> bool:
        try:
            states = {_fields(stat)[0] for stat in (PROC / str(self.pid) / "task").glob("*/stat")}
        except (FileNotFoundError, ProcessLookupError):  # a thread has just ended
            return False
        return states == {"T"}

    def send(self, signum: signal.Signals) -> None:
        """Send it a signal; to one that has ended, nothing."""
        with self._pidfd() as pidfd, suppress(ProcessLookupError):
            if pidfd is not None:
                signal.pidfd_send_signal(pidfd, signum)

    def end(self, seconds: float) -> None:
        """Ask it to end (SIGTERM), and after `seconds` make it (SIGKILL)."""
        self.send(signal.SIGTERM)
        if not self.wait(seconds):
            self.send(signal.SIGKILL)
            self.wait(seconds)

    @contextmanager
    def _pidfd(self) -> Iterator[int | None]:
        """Give a descriptor that stands for this process and no later one with its PID; None when it is gone."""
        try:
            pidfd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            yield None
            return
        try:
            # Asked only now: while the descriptor is open, whose PID it is cannot change.
            yield pidfd if _started(self.pid) == self.started else None
        finally:
            os.close(pidfd)


def left_behind(directory: Path, network: Path) -> list[Process]:
    """Return what an engine leaves running when it dies: its containerd's shims, and the containers below them.

    A shim is known by two signs: it is in the engine's own network namespace, and names a path below `directory`.
    """
    namespace = network.stat()
    stats = {}
    for entry in PROC.iterdir():
        if entry.name.isdecimal():
            with suppress(FileNotFoundError, ProcessLookupError):
                stats[int(entry.name)] = _stat(int(entry.name))
    found = {pid for pid in stats if _belongs(pid, directory, namespace)}
    while more := {pid for pid, stat in stats.items() if stat.parent in found} - found:
        found |= more
    return [Process(pid, stats[pid].started) for pid in found]


def of_users(uids: range) -> list[Process]:
    """Return the processes of these users."""
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdecimal():
            with suppress(FileNotFoundError, ProcessLookupError):
                if _uid(int(entry.name)) in uids:
                    found.append(Process.of(int(entry.name)))
    return found


def _belongs(pid: int, directory: Path, namespace: os.stat_result) -> bool:
    try:
        arguments = (PROC / str(pid) / "cmdline").read_text(errors="replace").split("\0")
        return any(argument.startswith(f"{directory}/") for argument in arguments) and os.path.samestat(
            (PROC / str(pid) / "ns/net").stat(), namespace
        )
    except (FileNotFoundError, ProcessLookupError):
        return False


def _uid(pid: int) -> int:
    # Not the owner of the folder, which for a process that may not be looked into is root.
    status = (PROC / str(pid) / "status").read_text(errors="replace")
    return int(status.partition("\nUid:\t")[2].split()[0])


def _started(pid: int) -> int | None:
    try:
        return _stat(pid).started
    except (FileNotFoundError, ProcessLookupError):
        return None


@dataclass(frozen=True, slots=True)
class _Stat:
    parent: int
    started: int  # clock ticks since boot


def _fields(stat: Path) -> list[str]:
    """Return the fields of a `stat` from the third on, which is the state."""
    # The second field is the program's name in parentheses, and may itself contain both blanks and parentheses.
    return stat.read_text(errors="replace").rpartition(")")[2].split()


def _stat(pid: int) -> _Stat:
    fields = _fields(PROC / str(pid) / "stat")
    return _Stat(parent=int(fields[1]), started=int(fields[19]))
