"""`python -m tests.bench.cleaning`: what planning takes on a large host, and removing beside the engine's own prune."""

import argparse
import gc
import os
import signal
import statistics
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import docker
import psutil

from tests.harness import images, install, newer
from tests.harness.engine import Engine, new_directory
from tests.harness.waiting import wait_until
from tests.harness.watchd_process import WATCHD
from tests.unit.cleanup.builders import DAY, NOW, cleanup, container, image, plan, policy, seen_long_ago, view
from watchd.cleanup.observe.observer import Observer
from watchd.cleanup.plan.plan import Outcome
from watchd.cleanup.run.control import RunControl
from watchd.cleanup.run.planning import look_and_plan
from watchd.cleanup.run.run import RunContext, run_cleanup
from watchd.config import Config
from watchd.config.load import load
from watchd.engine.client import EngineClient
from watchd.engine.watch.mirror import Mirror
from watchd.engine.watch.watcher import Watch
from watchd.runtime.gc import gc_paused
from watchd.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

CONTAINERS, IMAGES = 5_000, 10_000
OTHERS = 300  # containers that stay
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
name = "all"
kind = "{kind}"
{policy}
"""


@dataclass(frozen=True)
class Race:
    """Objects of a kind that the engine's own prune and a run of watchd remove in turn.

    `most` is how many times as long as the prune a run may take.
    """

    kind: str
    count: int
    most: float
    make: "Callable[[Engine, docker.DockerClient], object]"
    prune: "Callable[[docker.DockerClient], Any]"  # returns what went, by the engine's reply
    policy: str
    rounds: int = ROUNDS

    def config(self, engine: Engine, directory: Path) -> Path:
        """Write the configuration of watchd."""
        path = directory / f"{self.kind}.toml"
        state = directory / f"state-{self.kind}"
        path.write_text(CONFIG.format(host=engine.host, state=state, kind=self.kind, policy=self.policy))
        return path


def planning() -> None:
    """Print the best of some plans, in this process: CPU time, which does not count what else the machine does."""
    before = psutil.Process().memory_info().rss
    print(f"planning, {CONTAINERS} containers and {IMAGES} images (at most 0.5 s, 150 MiB):")
    for every in (10, 1):
        ended = (NOW - (2 * DAY if n % every == 0 else 60) for n in range(CONTAINERS))
        containers = [
            container(f"c{n}", image_id=image(f"i{n % IMAGES}").id, finished_at=at) for n, at in enumerate(ended)
        ]
        look = view(*containers, *(image(f"i{n}") for n in range(IMAGES)))
        seen = enumerate(seen_long_ago(look).items())
        known = {key: old if n % every == 0 else replace(old, last_used=NOW - 60) for n, (key, old) in seen}
        taken = []
        for _ in range(ROUNDS):
            gc.collect()
            began = time.process_time()
            with gc_paused():
                decided = plan(look, POLICIES, known=known)
            taken.append(time.process_time() - began)
        going = sum(item.action == "remove" for item in decided.items)
        print(f"  {going} of them to go: best of {ROUNDS}: {min(taken):.2f} s of CPU")
    print(f"  {psutil.Process().memory_info().rss >> 20} MiB resident, {before >> 20} MiB before")


class Daemon:
    """Look, plan and remove as watchd's daemon does, with one watch, one client and one state for all runs."""

    def __init__(self, config: Config) -> None:
        watcher = EngineClient(config.engine, read_only=True)
        self._watch = Watch(watcher, Mirror())
        self._client = EngineClient(config.engine, read_only=False, beside=watcher)
        self._store = Store.open(config.state.resolve())
        observer = Observer(self._store, writable=True, count_unwatched=False)
        self._context = RunContext(self._client, self._store, observer, config.cleanup, self._watch.followed)
        self._watch.start()
        wait_until(lambda: self._watch.ready, seconds=60, what="the engine to be listed")

    def look(self) -> None:
        """Plan, as earlier runs did: what goes was seen before, and layers are asked for once."""
        context = self._context
        look_and_plan(context.client, context.cleanup, context.observer, followed=context.followed())

    def run(self) -> int:
        """Return how many went."""
        outcomes = run_cleanup(self._context, RunControl()).outcomes or {}
        return sum(outcome is Outcome.REMOVED for outcome in outcomes.values())

    def close(self) -> None:
        """End the watch, and close client and state."""
        self._watch.stop()
        self._client.close()
        self._store.close()


def removing(engine: Engine, client: docker.DockerClient, race: Race, directory: Path) -> None:
    """Print how long as many objects take the engine's prune and a run of watchd, in turn."""
    with closing(Daemon(load(race.config(engine, directory)))) as daemon:
        ways: dict[str, Callable[[], int]] = {
            "the engine's prune": lambda: len(race.prune(client) or []),
            "a run of watchd's daemon": daemon.run,
        }
        taken: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(race.rounds):
            for way, remove in ways.items():
                race.make(engine, client)
                daemon.look()
                began = time.monotonic()
                removed = remove()
                taken[way].append(time.monotonic() - began)
                if removed < race.count:
                    raise SystemExit(f"{way} removed {removed}, not {race.count}: this measures nothing")
    medians = {way: statistics.median(seconds) for way, seconds in taken.items()}
    first = next(iter(medians.values()))
    print(f"  {race.count} of {race.kind} (at most {race.most} times as long):")
    for way, median in medians.items():
        print(f"    {way}: {median:.2f} s, {median / first:.2f}", flush=True)


def starting(engine: Engine, directory: Path) -> None:
    """Print what the command takes besides removing."""
    config = RACES[0].config(engine, directory)
    began = time.monotonic()
    command = [str(WATCHD), "prune", "--config", str(config), "--yes"]
    subprocess.run(command, check=True, env={"PATH": os.environ["PATH"], "HOME": str(directory)}, capture_output=True)
    print(f"  `watchd prune` with nothing to remove, from its start to its end: {time.monotonic() - began:.1f} s")


def _in_parallel(times: int, make: "Callable[[int], object]") -> None:
    with ThreadPoolExecutor(_CREATING_THREADS) as pool:
        list(pool.map(make, range(times)))


def _make_containers(_: Engine, client: docker.DockerClient) -> None:
    _in_parallel(200, lambda _: client.containers.run(images.BASE, ["true"], network_mode="none"))


def _make_volumes(_: Engine, client: docker.DockerClient) -> None:
    _in_parallel(400, lambda _: client.volumes.create())


def _make_images(_: Engine, client: docker.DockerClient) -> None:
    _in_parallel(200, lambda _: client.api.import_image_from_data(images.archive({"file": os.urandom(1000)})))


def _make_records(engine: Engine, _: docker.DockerClient) -> None:
    """Build stages of many small layers, none of which starts a process."""
    stages, layers = 25, 80
    lines = [f"FROM {images.BASE} AS a", f"RUN echo {token_hex(8)} > /x"]
    for stage in range(stages):
        lines += [f"FROM {images.BASE} AS s{stage}", *(f"COPY --from=a /x /y{stage}-{n}" for n in range(layers))]
    lines += [f"FROM {images.BASE}", *(f"COPY --from=s{stage} /y{stage}-0 /z{stage}" for stage in range(stages))]
    images.build_with_buildkit(engine.host, "\n".join(lines))


RACES = (
    Race(
        "container",
        200,
        1.5,
        _make_containers,
        lambda client: client.containers.prune({"label!": "other"})["ContainersDeleted"],
        'when = { finished_for = "0s" }',
    ),
    Race(
        "volume",
        400,
        1.5,
        _make_volumes,
        lambda client: client.volumes.prune()["VolumesDeleted"],
        'when = { unused_for = "0s" }',
    ),
    Race(
        "image",
        200,
        1.5,
        _make_images,
        lambda client: [each for each in client.images.prune()["ImagesDeleted"] if "Deleted" in each],
        'when = { dangling_for = "0s" }',
    ),
    Race(
        "build_cache",
        2_000,
        2.0,
        _make_records,
        lambda client: client.api.prune_builds(all=True)["CachesDeleted"],
        'when = { unused_for = "0s" }',
        rounds=1,  # building them takes minutes
    ),
)


def main() -> None:
    """Print all of it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the engine is stopped
    arguments = argparse.ArgumentParser(prog="python -m tests.bench.cleaning", description=__doc__)
    arguments.add_argument("--newest", action="store_true", help="on the newest Docker, with containerd's store")
    arguments.add_argument("--kinds", help="only these, with commas between them")
    chosen = arguments.parse_args()
    kinds = set((chosen.kinds or ",".join(race.kind for race in RACES)).split(","))
    if not chosen.kinds:
        planning()
    install.ensure_engine()
    options: dict[str, Any] = {"environment": newer.environment(), "config": newer.CONTAINERD_STORE}
    with (
        Engine.start(new_directory(), **(options if chosen.newest else {})) as engine,
        closing(engine.client(timeout=600)) as client,
        tempfile.TemporaryDirectory() as directory,
    ):
        images.load_base(client)
        _in_parallel(OTHERS, lambda _: client.containers.create(images.BASE, labels={"other": ""}))
        version = client.version()["Version"]
        print(f"removing on Docker {version} beside {OTHERS} other containers, medians in turn:")
        for race in RACES:
            if race.kind in kinds:
                removing(engine, client, race, Path(directory))
        starting(engine, Path(directory))


if __name__ == "__main__":
    main()
