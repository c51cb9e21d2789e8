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
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import docker

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
name = "short"
kind = "container"
select.name = ["short-*"]
when.finished_for = "{finished_for}"
anonymous_volumes = true
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
                client.containers.run(images.BASE, ["true"], name=name, network_mode="none", volumes=["/data"])
                self.started[number] += 1


def there(client: docker.DockerClient) -> tuple[int, int]:
    """Return how many of the containers there are, and how many volumes."""
    return len(client.api.containers(all=True, filters={"name": "short-"})), len(client.api.volumes()["Volumes"] or ())


def main() -> None:
    """Print what there is, every ten seconds."""
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
        cleanup = CLEANUP.format(schedule="10s", finished_for="20s")
        with running(write_config(Path(directory), engine.host, cleanup)) as daemon:
            lives, most, began = ShortLives(engine), 0, time.monotonic()
            with lives.under_way():
                while time.monotonic() < began + arguments.minutes * 60:
                    time.sleep(10)
                    containers, volumes = there(client)
                    most = max(most, containers)
                    at, started = round(time.monotonic() - began), sum(lives.started)
                    print(f"{at} s: {started} started, {containers} there, {volumes} volumes", flush=True)
            print(f"at most {most} of {sum(lives.started)} were there at a time (to stay below 250)")
            print("\n".join(line for line in daemon.log.splitlines() if "WARNING" in line or "due" in line))


if __name__ == "__main__":
    main()
