"""`python -m tests.bench.cleaning`: what planning takes on a large host, and removing beside the engine's own prune."""

import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import docker
import psutil

from tests.harness import images, install
from tests.harness.engine import Engine, new_directory
from tests.prune.builders import cleanup, container, image, plan, policy, seen_long_ago, snapshot

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
    made = [container(f"c{n}", image_id=image(f"i{n % IMAGES}").id) for n in range(CONTAINERS)]
    look = snapshot(*made, *(image(f"i{n}") for n in range(IMAGES)))
    known = seen_long_ago(look)
    taken = []
    for _ in range(ROUNDS):
        gc.collect()
        began = time.process_time()
        decided = plan(look, POLICIES, known=known)
        taken.append(time.process_time() - began)
    resident = psutil.Process().memory_info().rss
    going = sum(item.action == "remove" for item in decided.items)
    print(f"planning, {CONTAINERS} containers and {IMAGES} images, {going} of them to go (at most 0.5 s, 150 MiB):")
    print(f"  best of {ROUNDS}: {min(taken):.2f} s of CPU; {resident >> 20} MiB resident, {before >> 20} MiB before")


def removing(engine: Engine, client: docker.DockerClient, directory: Path) -> None:
    """Print how long the engine's prune and `watchd prune --yes` take for as many exited containers, in turn."""
    config = directory / "watchd.toml"
    config.write_text(CONFIG.format(host=engine.host, state=directory / "state"))
    watchd = [str(Path(sys.executable).with_name("watchd")), "prune", "--config", str(config), "--yes", "--json"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(directory)}
    own: list[float] = []
    theirs: list[float] = []
    for _ in range(ROUNDS):
        _make(client)
        began = time.monotonic()
        deleted = client.containers.prune()["ContainersDeleted"] or []
        theirs.append(time.monotonic() - began)
        _check(len(deleted))
        _make(client)
        began = time.monotonic()
        done = subprocess.run(watchd, check=True, env=environment, capture_output=True, text=True)
        own.append(time.monotonic() - began)
        report = json.loads(done.stdout)
        _check(sum(item.get("outcome") == "removed" for item in report["items"]))
    print(f"removing {REMOVED} exited containers, medians of {ROUNDS} in turn (at most 1.25 times as long):")
    median = ROUNDS // 2
    mine, engines = sorted(own)[median], sorted(theirs)[median]
    ratio = mine / engines
    print(f"  the engine's prune {engines:.1f} s, watchd prune {mine:.1f} s from its start to its end: {ratio:.2f}")


def _make(client: docker.DockerClient) -> None:
    with ThreadPoolExecutor(_CREATING_THREADS) as pool:
        list(pool.map(lambda _: client.containers.run(images.BASE, ["true"], network_mode="none"), range(REMOVED)))


def _check(count: int) -> None:
    if count != REMOVED:
        raise SystemExit(f"{count} were removed, not {REMOVED}: this measures nothing")


def main() -> None:
    """Print both."""
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
