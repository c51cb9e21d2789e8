"""`python -m tests.bench.cleaning`: what planning takes on a large host, and removing beside the engine's own prune."""

import gc
import os
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import psutil

from tests.harness import images, install
from tests.harness.engine import Engine, new_directory
from tests.prune.builders import DAY, NOW, cleanup, container, image, plan, policy, seen_long_ago, snapshot
from tests.watchd_process import WATCHD
from watchd.config import Config, load
from watchd.engine.client import EngineClient
from watchd.prune.plan import Outcome
from watchd.prune.run import carry_out, prepare, undisturbed
from watchd.prune.usage import Usage
from watchd.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

CONTAINERS, IMAGES = 5_000, 10_000
REMOVED = 200
ROUNDS = 3
_CREATING_THREADS = 4

POLICIES = cleanup(
    policy("exited", "container", when={"finished_for": "1d"}),
    policy("dangling", "image", when={"dangling_for": "1d"}, select={"class": ["dangling"]}),
    policy("unused", "image", when={"unused_for": "7d"}),
)
CONFIG = """\
[engine]
host = "{host}"
[state]
directory = "{state}"
[cleanup]
mode = "enforce"
grace = "0s"
[[cleanup.policies]]
name = "exited"
kind = "container"
when = {{ finished_for = "0s" }}
restart_policy = "ignore"
[[cleanup.policies]]
name = "created"
kind = "container"
when = {{ never_started_for = "0s" }}
restart_policy = "ignore"
"""


def planning() -> None:
    """Print the best of some plans, in this process: CPU time, which does not count what else the machine does."""
    before = psutil.Process().memory_info().rss
    print(f"planning, {CONTAINERS} containers and {IMAGES} images (at most 0.5 s, 150 MiB):")
    for every in (10, 1):
        ended = (NOW - (2 * DAY if n % every == 0 else 60) for n in range(CONTAINERS))
        containers = [
            container(f"c{n}", image_id=image(f"i{n % IMAGES}").id, finished_at=at) for n, at in enumerate(ended)
        ]
        look = snapshot(*containers, *(image(f"i{n}") for n in range(IMAGES)))
        seen = enumerate(seen_long_ago(look).items())
        known = {key: old if n % every == 0 else replace(old, last_used=NOW - 60) for n, (key, old) in seen}
        taken = []
        for _ in range(ROUNDS):
            gc.collect()
            began = time.process_time()
            with undisturbed():
                decided = plan(look, POLICIES, known=known)
            taken.append(time.process_time() - began)
        going = sum(item.action == "remove" for item in decided.items)
        print(f"  {going} of them to go: best of {ROUNDS}: {min(taken):.2f} s of CPU")
    print(f"  {psutil.Process().memory_info().rss >> 20} MiB resident, {before >> 20} MiB before")


def removing(engine: Engine, client: docker.DockerClient, directory: Path) -> None:
    """Print how long as many exited containers take the engine's prune and a run of watchd, in turn."""
    config = directory / "watchd.toml"
    config.write_text(CONFIG.format(host=engine.host, state=directory / "state"))
    ways: dict[str, Callable[[], int]] = {
        "the engine's prune": lambda: len(client.containers.prune()["ContainersDeleted"] or []),
        "a run of watchd's daemon": lambda: _run(load(config)),
    }
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, remove in ways.items():
            _make(client)
            began = time.monotonic()
            removed = remove()
            taken[way].append(time.monotonic() - began)
            if removed != REMOVED:
                raise SystemExit(f"{way} removed {removed}, not {REMOVED}: this measures nothing")
    print(f"removing {REMOVED} exited containers, medians of {ROUNDS} in turn (a run at most 1.25 times as long):")
    medians = {way: statistics.median(seconds) for way, seconds in taken.items()}
    first = next(iter(medians.values()))
    for way, median in medians.items():
        print(f"  {way}: {median:.1f} s, {median / first:.2f}")
    began = time.monotonic()
    command = [str(WATCHD), "prune", "--config", str(config), "--yes"]
    subprocess.run(command, check=True, env={"PATH": os.environ["PATH"], "HOME": str(directory)}, capture_output=True)
    print(f"  `watchd prune` with nothing to remove, from its start to its end: {time.monotonic() - began:.1f} s")


def _run(config: Config) -> int:
    """Look, plan and remove, as the daemon does. Return how many went."""
    client = EngineClient(config.engine, read_only=False)
    with closing(Store.open(config.state.resolve())) as store, closing(client):
        prepared = prepare(client, config.cleanup, Usage(store, writable=True, count_unwatched=False))
        outcomes = carry_out(prepared, client, store, stop=threading.Event(), done=lambda *_: None)
    return sum(outcome is Outcome.REMOVED for outcome in outcomes.values())


def _make(client: docker.DockerClient) -> None:
    with ThreadPoolExecutor(_CREATING_THREADS) as pool:
        list(pool.map(lambda _: client.containers.run(images.BASE, ["true"], network_mode="none"), range(REMOVED)))


def main() -> None:
    """Print both."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the engine is stopped
    planning()
    install.ensure_engine()
    with (
        Engine.start(new_directory()) as engine,
        closing(engine.client()) as client,
        tempfile.TemporaryDirectory() as directory,
    ):
        images.load_base(client)
        removing(engine, client, Path(directory))


if __name__ == "__main__":
    main()
