"""`python -m tests.bench.scale`: a daemon beside 1,000 running containers, and what a burst of short ones leaves.

The engine has nothing but an API, and the files of cgroups and /proc are a captured container's, under as many names.
Reading such a file costs what reading a file costs; what the kernel takes to write it is not in these figures.
"""

import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.bench.large_host import Server
from tests.harness.watchd_process import WATCHD, Daemon, compile_files, running, write_config
from tests.unit.conftest import V1, unpack

SIZES = (100, 300, 1000)
SCRAPES = 20
SETTLE = 5.0  # seconds
FIRST_PID = 100_000
BURST = 1_000  # containers that start and end, in seconds:
BURST_TAKES = 10.0
MOST_CPU = 0.25  # seconds for a scrape of 1,000
MOST_RESIDENT = 96 << 20  # bytes
ENDPOINTS = ("containers", "series", "networks")


def make_host(root: Path, ids: list[str]) -> None:
    """Give a captured host as many containers with these IDs, all as its first one is."""
    original = min((root / "proc").glob("[0-9]*"))
    cgroups = (original / "cgroup").read_text()
    path = Path(cgroups.splitlines()[-1].partition("::")[2])
    for controller in (root / "sys/fs/cgroup").iterdir():
        parent = controller / path.relative_to("/").parent
        for id_ in ids if (parent / path.name).is_dir() else ():
            (parent / id_).symlink_to(parent / path.name)
    for number, id_ in enumerate(ids):
        process = root / "proc" / str(FIRST_PID + number)
        process.mkdir()
        (process / "cgroup").write_text(cgroups.replace(path.name, id_))
        (process / "net").symlink_to(original / "net")


def measure(server: Server, daemon: Daemon, size: int) -> float:
    """Print what scrapes and the API take. Return the CPU seconds of a scrape."""
    process = psutil.Process(daemon.process.pid)
    medians = {}
    for path in ("/metrics", *(f"/api/v1/{name}" for name in ENDPOINTS)):
        times = []
        for _ in range(SCRAPES):
            time.sleep(0.3)
            before = cpu_time(process)
            status, _ = daemon.get(path, **{"Accept-Encoding": "gzip"})
            assert status == 200
            times.append(cpu_time(process) - before)
        medians[path] = statistics.median(times)
    shown = ", ".join(f"{path} {median * 1000:.0f} ms" for path, median in medians.items())
    resident = process.memory_info().rss
    print(f"  {size:,} containers: {shown} of CPU; {resident / 2**20:.0f} MiB resident", flush=True)
    assert len(daemon.names()) == size == len(server.containers)
    return medians["/metrics"]


def burst(server: Server, daemon: Daemon) -> None:
    """Print what is left of containers that start and end at once."""
    process = psutil.Process(daemon.process.pid)
    daemon.scrape()
    files, resident = process.num_fds(), process.memory_info().rss
    for number in range(BURST):
        id_ = f"{number + 0xB0000:064x}"  # gone when it is asked for
        for action in ("create", "start", "die", "destroy"):
            server.tell("container", action, id_)
        time.sleep(BURST_TAKES / BURST)
    deadline = time.monotonic() + 60
    while (counted := daemon.value("watchd_events_total", type="container", action="destroy") or 0) < BURST:
        if time.monotonic() > deadline:
            break
        time.sleep(0.5)
    time.sleep(SETTLE)
    names = len(daemon.names())
    print(
        f"  a burst of {BURST:,} starts and ends: {counted:.0f} ends seen, {names - len(server.containers)} containers,"
        f" {process.num_fds() - files} descriptors and {(process.memory_info().rss - resident) / 2**20:.1f} MiB more"
    )


def cpu_time(process: psutil.Process) -> float:
    """Return the CPU time of a process in seconds, by its own clock."""
    return time.clock_gettime((~process.pid << 3) | 2)


@contextmanager
def beside(size: int, command: Sequence[str | Path] = (WATCHD,)) -> Iterator[tuple[Server, Daemon]]:
    """Run a daemon beside so many containers; it has settled when the block begins."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        unpack(directory)
        root = directory / V1
        pids = range(FIRST_PID, FIRST_PID + size)
        with Server(directory / "engine.sock", image_count=50, ended=0, pids=pids) as server:
            make_host(root, server.containers)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            roots = {
                "WATCHD_METRICS__PROCFS": str(root / "proc"),
                "WATCHD_METRICS__CGROUPFS": str(root / "sys/fs/cgroup"),
                "WATCHD_METRICS__SOURCE": "cgroup",
            }
            config = write_config(directory, f"unix://{directory / 'engine.sock'}")
            try:
                with running(config, command=command, **roots) as daemon:
                    time.sleep(SETTLE)
                    yield server, daemon
            finally:
                server.events.put(None)
                server.shutdown()


def main() -> None:
    """Measure and print."""
    compile_files()
    costs: dict[int, float] = {}
    for size in SIZES:
        with beside(size) as (server, daemon):
            costs[size] = measure(server, daemon, size)
            if size == max(SIZES):
                burst(server, daemon)
                resident = psutil.Process(daemon.process.pid).memory_info().rss
    few, many = min(SIZES), max(SIZES)
    growth = costs[many] / many / (costs[few] / few)
    print(f"a container of {many:,} takes {growth:.2f} times the CPU of one of {few} (at most 1.25)")
    print(f"a scrape of {many:,}: {costs[many] * 1000:.0f} ms of CPU (at most {MOST_CPU * 1000:.0f} ms)")
    print(f"resident: {resident / 2**20:.0f} MiB (at most {MOST_RESIDENT >> 20} MiB)")


if __name__ == "__main__":
    main()
