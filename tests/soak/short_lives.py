"""`python -m tests.soak.short_lives`: containers with anonymous volumes that come and go, and a daemon that cleans.

Two clients start them as fast as they can. What there is of them must stay few, whatever else is on the host.
"""

import argparse
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import docker
import psutil
from docker.errors import NotFound

from tests.harness import images, install, newer
from tests.harness.engine import Engine, new_directory
from tests.harness.watchd_process import running, write_config

CLIENTS = 2
CLEANUP = """\
mode = "enforce"
grace = "0s"
schedule = "{schedule}"
jitter = "0s"
[[cleanup.policies]]
name = "with-volumes"
kind = "container"
select.name = ["short-0-*"]
when.finished_for = "{age}"
anonymous_volumes = true
[[cleanup.policies]]
name = "alone"
kind = "container"
select.name = ["short-1-*"]
when.finished_for = "{age}"
[[cleanup.policies]]
name = "volumes"
kind = "volume"
select.anonymous = true
when.unused_for = "{unused}"
"""


class ShortLives:
    """Clients that start containers, one after the other. `started` counts them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._stop = threading.Event()
        self.started = [0] * CLIENTS

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Start containers until the end of the block."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            working = [pool.submit(self._work, client) for client in range(CLIENTS)]
            try:
                yield
            finally:
                self._stop.set()
        for each in working:
            each.result()

    def _work(self, number: int) -> None:
        with closing(self._engine.client()) as client:
            while not self._stop.is_set():
                name = f"short-{number}-{self.started[number]}"
                container = client.containers.run(
                    images.BASE, ["true"], name=name, network_mode="none", volumes=["/data"], detach=True
                )
                self.started[number] += 1
                with suppress(NotFound):  # it has ended, and has gone already
                    container.wait()


def there(client: docker.DockerClient) -> tuple[int, int]:
    """Return how many of the containers there are, and how many volumes."""
    return len(client.api.containers(all=True, filters={"name": "short-"})), len(client.api.volumes()["Volumes"] or ())


def cost(pid: int) -> tuple[float, float]:
    """Return the CPU seconds and the resident MiB of a process."""
    process = psutil.Process(pid)
    times = process.cpu_times()
    return times.user + times.system, process.memory_info().rss / 2**20


def main() -> None:
    """Print what there is, every five seconds, and what it cost."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the engine is stopped
    parser = argparse.ArgumentParser(prog="python -m tests.soak.short_lives", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--others", type=int, default=1000, help="stopped containers that stay")
    parser.add_argument("--newest", action="store_true", help="on the newest Docker, with containerd's store")
    arguments = parser.parse_args()
    install.ensure_engine()
    options: dict[str, Any] = {"environment": newer.environment(), "config": newer.CONTAINERD_STORE}
    with (
        Engine.start(new_directory(), **(options if arguments.newest else {})) as engine,
        closing(engine.client()) as client,
        tempfile.TemporaryDirectory() as directory,
    ):
        images.load_base(client)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: client.containers.create(images.BASE), range(arguments.others)))
            others = client.containers.list(all=True, limit=arguments.others // 5)
            list(pool.map(lambda each: each.start(), others))
        with running(
            write_config(Path(directory), engine.host, CLEANUP.format(schedule="10s", age="20s", unused="20s"))
        ) as daemon:
            lives, most, began = ShortLives(engine), (0, 0), time.monotonic()
            pids = {"watchd": daemon.process.pid, "dockerd": engine.pid}
            before = {name: cost(pid) for name, pid in pids.items()}
            with lives.under_way():
                while time.monotonic() < began + arguments.minutes * 60:
                    time.sleep(5)
                    containers, volumes = there(client)
                    most = max(most[0], containers), max(most[1], volumes)
                    at, started = round(time.monotonic() - began), sum(lives.started)
                    memory = cost(daemon.process.pid)[1]
                    print(
                        f"{at} s: {started} started, {containers} there, {volumes} volumes, watchd {memory:.1f} MiB",
                        flush=True,
                    )
            rate = sum(lives.started) / arguments.minutes / 60
            print(
                f"{sum(lives.started)} started, {rate:.1f} a second, at most {most[0]} containers and {most[1]} volumes"
                " at a time (to stay below 250 at 4 a second)"
            )
            for name, pid in pids.items():
                (then, first), (now, last) = before[name], cost(pid)
                print(f"{name}: {now - then:.1f} s of CPU time, {first:.1f} MiB at first, {last:.1f} MiB at last")
            print("\n".join(line for line in daemon.log.splitlines() if " warning " in line or " error " in line))


if __name__ == "__main__":
    main()
