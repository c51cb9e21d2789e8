"""`python -m tests.bench.churn [CONTAINERS ...]`: CPU time of one container's life, in watchd and in dockerd.

Beside as many stopped containers as the arguments say; then requests, CPU time and memory on a large host.
"""

import argparse
import tempfile
import time
from contextlib import closing
from pathlib import Path

import docker
import psutil

from tests.bench.large_host import CONTAINERS, IMAGES, large_host
from tests.harness import images
from tests.harness.engine import Engine, new_directory
from tests.harness.watchd_process import WATCHD, Daemon, running, write_config

LIVES = 40
INTERVAL = 0.25  # seconds from the start of one to the start of the next, at least
MOST_SHARE = 0.15
"""CPU time of watchd for one life at the most, of that of dockerd."""


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def lives(client: docker.DockerClient, daemon: Daemon, engine: Engine) -> tuple[float, float, float]:
    """Let containers start, end and go. Return the CPU milliseconds of watchd and dockerd, and requests, for one."""

    def requests() -> float:
        return sum(daemon.scrape()["watchd_engine_requests_total"].values())

    pids = daemon.process.pid, engine.pid
    asked, before = requests(), [cpu_seconds(pid) for pid in pids]
    for _ in range(LIVES):
        due = time.monotonic() + INTERVAL
        client.containers.run(images.BASE, ["true"], remove=True)
        time.sleep(max(0.0, due - time.monotonic()))
    time.sleep(2.0)
    watchd, dockerd = (cpu_seconds(pid) - then for pid, then in zip(pids, before, strict=True))
    return watchd / LIVES * 1000, dockerd / LIVES * 1000, (requests() - asked) / LIVES


def main() -> None:
    """Measure and print. On a busy machine shares vary too much for a verdict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("containers", nargs="*", type=int, default=[100, 400], help="stopped containers beside")
    parser.add_argument("--watchd", type=Path, default=WATCHD, help="command to measure, of another version")
    options = parser.parse_args()
    command = (options.watchd,)
    with (
        Engine.start(new_directory()) as engine,
        closing(engine.client()) as client,
        tempfile.TemporaryDirectory() as directory,
    ):
        images.load_base(client)
        client.containers.run(images.BASE, ["true"], remove=True)
        there = 0
        for count in sorted(options.containers):
            for _ in range(count - there):
                client.containers.create(images.BASE, ["true"])
            there = count
            path = Path(directory) / str(count)
            path.mkdir()
            with running(write_config(path, engine.host), command=command) as daemon:
                time.sleep(2.0)
                watchd, dockerd, requests = lives(client, daemon, engine)
            print(
                f"one life beside {count:,} containers: watchd {watchd:.1f} ms, dockerd {dockerd:.1f} ms of CPU time"
                f" ({watchd / dockerd:.2f}), {requests:.1f} requests"
            )
    print(f"the most that is aimed at: {MOST_SHARE}")
    print(f"a host of {CONTAINERS} containers and {IMAGES:,} images:")
    with tempfile.TemporaryDirectory() as directory:
        large_host(Path(directory), command)


if __name__ == "__main__":
    main()
