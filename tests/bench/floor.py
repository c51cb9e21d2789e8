"""The floor: what it costs to read the files that watchd reads, for a program in C that does nothing else (floor.c).

Which files these are is what the running watchd has open: files of the containers' cgroups, which it keeps, and
directories below which it opens a file at each scrape: of processes net/dev, and of cgroups v1 cgroup.procs.
"""

import re
import shutil
import statistics
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.harness import install, mountinfo

SOURCE = Path(__file__).with_name("floor.c")
COMPILER = "cc"
PACKAGES = ("gcc", "libc6-dev")  # of Debian, for a machine without a compiler
PROCESS = re.compile(r"/proc/\d+")

ROUNDS = 100
PAUSE_MS = 100  # after each round, as after a scrape: without it, all would be warm in the CPU's caches


class FloorError(Exception):
    """The floor could not be measured. The message says why."""


@dataclass(frozen=True, slots=True)
class Floor:
    """Reading the files once. Times are medians in seconds."""

    files: int
    rounds: int
    cpu: float
    latency: float
    latency_p99: float


def compiled(directory: Path) -> Path:
    """Return the program, compiled to `directory`; without a compiler one is installed. Raise FloorError."""
    if shutil.which(COMPILER) is None:
        try:
            install.apt_install(PACKAGES)
        except install.UnavailableError as error:
            raise FloorError(f"there is no C compiler ({COMPILER}): {error}") from None
    program = directory / "floor"
    try:
        subprocess.run(
            [COMPILER, "-O2", "-Wall", "-Wextra", "-o", program, SOURCE], check=True, capture_output=True, text=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise FloorError(f"{SOURCE.name} does not compile: {getattr(error, 'stderr', error)}") from None
    return program


def measure(program: Path, files: list[str], *, rounds: int = ROUNDS, pause_ms: int = PAUSE_MS) -> Floor:
    """Read these files, lines as floor.c takes them, again and again. Raise FloorError."""
    result = subprocess.run(
        [program, str(rounds), str(pause_ms)],
        input="".join(f"{line}\n" for line in files),
        capture_output=True,
        check=False,
        text=True,
    )
    if result.returncode != 0 or not files:
        raise FloorError(f"the C program failed on {len(files)} files: {result.stderr}")
    taken = [[int(nanoseconds) / 1e9 for nanoseconds in line.split()] for line in result.stdout.splitlines()]
    passed = sorted(latency for _, latency in taken)
    return Floor(
        files=len(files),
        rounds=len(taken),
        cpu=statistics.median(cpu for cpu, _ in taken),
        latency=statistics.median(passed),
        latency_p99=passed[(len(passed) * 99 - 1) // 100],
    )


def read_by(pid: int, cgroup_parent: str) -> list[str]:
    """Return what the watchd with this PID reads for a scrape with the group network, as floor.c's lines.

    `cgroup_parent` is the engine's cgroup. What watchd keeps open for the moment in which a container ends, and does
    not read for a scrape, is left out: `cgroup.events`, and on a hybrid host all of the v2 tree but pressure.
    """
    mounts = mountinfo.mounts()
    v1, v2 = ([mount.point for mount in mounts if mount.filesystem == kind] for kind in ("cgroup", "cgroup2"))
    targets = set()
    for descriptor in Path("/proc", str(pid), "fd").iterdir():
        with suppress(FileNotFoundError):  # it was open for a moment only
            targets.add(descriptor.readlink())
    own = [target for target in targets if cgroup_parent.strip("/") in target.parts]
    on_v1 = [target for target in own if any(target.is_relative_to(point) for point in v1)]
    on_v2 = [target for target in own if any(target.is_relative_to(point) for point in v2)]
    if on_v1:
        on_v2 = [target for target in on_v2 if target.suffix == ".pressure"]
    kept = [f"keep {target}" for target in (*on_v1, *on_v2) if target.is_file() and target.name != "cgroup.events"]
    opened = [f"open {target} net/dev" for target in targets if PROCESS.fullmatch(str(target))]
    opened += [f"open {target} cgroup.procs" for target in on_v1 if target.is_dir()]
    return sorted((*kept, *opened), key=_by_container)


def _by_container(line: str) -> tuple[str, str]:
    """Give the order of reading: one container after another, as their cgroups are called, as far as that tells."""
    how, path, *_ = line.split(" ")
    return (Path(path) if how == "open" else Path(path).parent).name, line
