"""The processes of one container in `/proc`: their open descriptors and the states of their threads.

Both cost some microseconds for each descriptor or thread, so there are bounds: a container beyond them has no value,
and is said to have none, rather than a wrong one.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from watchd.kernel.files import PROCESSES, CgroupFiles, ProcessFiles, read_file
from watchd.kernel.parse.formats import Malformed
from watchd.model.usage import Files, Tasks

MOST_PROCESSES = 1_000
MOST_DESCRIPTORS = 10_000
MOST_THREADS = 1_000

_ENDED = (FileNotFoundError, ProcessLookupError)
_OPEN_FILES = b"Max open files"
_TO_LIST = "watchd needs the capabilities CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH to see other users' descriptors"


class Processes:
    """The processes of one container: those of its cgroup and of the cgroups below it.

    `first`: the container's first process, whose number is `pid`; `cgroup`: its files. All methods read anew.
    """

    __slots__ = ("_cgroup", "_pid", "_procfs", "first")

    def __init__(self, procfs: Path, first: ProcessFiles, pid: int, cgroup: CgroupFiles) -> None:
        self.first = first
        self._procfs = procfs
        self._pid = pid
        self._cgroup = cgroup

    def files(self) -> Files:
        """Count open descriptors and sockets. Raise Gone, or PermissionError that says what it takes."""
        found = Files(open_files_limit=_open_files_limit(self.first.read("limits")))
        pids = self._pids()
        if len(pids) > MOST_PROCESSES:
            found.uncounted = 1
            return found
        descriptors = sockets = 0
        for pid in pids:
            with suppress(*_ENDED), _opened(f"{self._procfs}/{pid}/fd") as directory:
                names = os.listdir(directory)  # noqa: PTH208 - of a descriptor
                descriptors += len(names)
                if descriptors <= MOST_DESCRIPTORS:
                    sockets += sum(_is_socket(name, directory) for name in names)
        if pids:
            found.descriptors = descriptors
            if descriptors <= MOST_DESCRIPTORS:
                found.sockets = sockets
            else:
                found.uncounted = 1
        return found

    def tasks(self) -> Tasks | None:
        """Count threads by state. None where the processes cannot be seen. Raise Gone or OSError."""
        pids = self._pids()
        if not pids:
            return None
        states: Counter[bytes] = Counter()
        for number, state in enumerate(self._states(pids)):
            if number == MOST_THREADS:
                return Tasks(uncounted=1)
            states[state] += 1
        return Tasks(
            running=states[b"R"],
            sleeping=states[b"S"] + states[b"I"],
            stopped=states[b"T"] + states[b"t"],
            uninterruptible=states[b"D"],
        )

    def _states(self, pids: list[int]) -> Iterator[bytes]:
        for pid in pids:
            tasks = f"{self._procfs}/{pid}/task"
            try:
                threads = os.listdir(tasks)  # noqa: PTH208 - names, at a third of the cost
            except _ENDED:
                continue
            for thread in threads:
                try:
                    data = read_file(f"{tasks}/{thread}/stat")
                except _ENDED:
                    continue
                _, _, fields = data.rpartition(b")")  # of the name, which may have spaces and brackets itself
                yield fields[1:2]

    def _pids(self) -> list[int]:
        """Return the numbers of the processes; none where `/proc` is another PID namespace's than the reader's.

        The kernel tells numbers of the reader's namespace, and the engine that of the first process of the host's.
        """
        pids = set(map(int, (self._cgroup.read(PROCESSES) or b"").split()))
        return sorted(pids) if self._pid in pids else []


@dataclass(frozen=True, slots=True)
class Live:
    """A record that is made anew each time, unlike `Parsed`: files of processes hardly stay the same."""

    read: Callable[[Processes], Any]
    processes: Processes
    not_understood: Sequence[Malformed] = ()

    def now(self) -> Any:
        """Return the record of now."""
        return self.read(self.processes)


@contextmanager
def _opened(directory: str) -> Iterator[int]:
    """Open a directory of descriptors."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
    except PermissionError as error:
        raise PermissionError(error.errno, f"{error.strerror}: {_TO_LIST}") from error


def _is_socket(name: str, directory: int) -> bool:
    try:
        return os.readlink(name, dir_fd=directory).startswith("socket:")
    except FileNotFoundError:  # closed meanwhile
        return False


def _open_files_limit(limits: bytes | None) -> int | None:
    """`/proc/<pid>/limits`: the soft limit of open files, -1 for none."""
    for line in (limits or b"").splitlines():
        if line.startswith(_OPEN_FILES):
            soft = line.removeprefix(_OPEN_FILES).split()[0]
            return int(soft) if soft.isdigit() else -1
    return None
