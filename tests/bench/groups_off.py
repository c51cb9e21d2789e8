"""`python -m tests.bench.groups_off`: what groups of metrics cost while they are off.

A daemon with the default groups, in turn with one from whose code the other groups are taken out, both beside 100
containers of `tests.bench.scale`.
"""

import statistics
import sys
import time
from pathlib import Path

import psutil

from tests.bench.scale import beside, cpu_time
from tests.harness.watchd_process import WATCHD, compile_files

SIZE, TURNS, SCRAPES = 100, 4, 40
WITHOUT_OTHERS = """\
from watchd.metrics import groups
groups.GROUPS = tuple(group for group in groups.GROUPS if group.on)
from watchd.cli import main
main()
"""


def scrapes(command: tuple[str | Path, ...]) -> list[float]:
    """Return the CPU seconds of each scrape."""
    with beside(SIZE, command) as (_, daemon):
        process = psutil.Process(daemon.process.pid)
        times = []
        for _ in range(SCRAPES):
            time.sleep(0.1)
            before = cpu_time(process)
            daemon.get("/metrics", **{"Accept-Encoding": "gzip"})
            times.append(cpu_time(process) - before)
        return times


def main() -> None:
    """Measure and print."""
    compile_files()
    off: list[float] = []
    absent: list[float] = []
    for _ in range(TURNS):
        off += scrapes((WATCHD,))
        absent += scrapes((sys.executable, "-c", WITHOUT_OTHERS))
    medians = statistics.median(off), statistics.median(absent)
    print(
        f"{SIZE} containers, CPU of a scrape with the default groups: {medians[0] * 1000:.1f} ms,"
        f" without the code of the others {medians[1] * 1000:.1f} ms: {medians[0] / medians[1]:.2f} times"
    )


if __name__ == "__main__":
    main()
