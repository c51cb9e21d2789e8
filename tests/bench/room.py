"""`python -m tests.bench.room`: small disks that are really filled, and what makes room on them.

On one host watchd does it, on an equal one the engine's own prune. The table is Markdown.
"""

import argparse
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.scenarios import SCENARIOS, Host, Scenario
from tests.harness import images, install, newer
from tests.harness.engine import Engine, new_directory
from tests.harness.small_disk import small_disk
from tests.harness.waiting import slowdown
from tests.harness.watchd_process import running
from watchd.cleanup.observe.observer import Observer
from watchd.cleanup.plan.plan import Outcome
from watchd.cleanup.run.control import RunControl
from watchd.cleanup.run.planning import look_and_plan
from watchd.cleanup.run.run import RunContext, run_cleanup
from watchd.config.load import load
from watchd.engine.client import EngineClient
from watchd.model import total
from watchd.store import Store
from watchd.units import format_amount, format_size

HEADS = (
    "what",
    "engine",
    "marks",
    "disk",
    "went",
    "planned",
    "the disk got back",
    "in",
    "failures",
    "the engine's own prune",
    "in",
)


@contextmanager
def small_host(store: str, scenario: Scenario, *, live: bool) -> Iterator[Host]:
    """Start an engine on a small disk, with the base image on it and a container of it."""
    options: dict[str, Any] = {}
    if store != "20.10":
        config = newer.CONTAINERD_STORE if store == "containerd" else newer.GRAPH_DRIVER
        options = {"environment": newer.environment(), "config": config}
    top = new_directory()
    try:
        with (
            nullcontext() if scenario.disks else small_disk(top, scenario.size),
            Engine.start(top / "e", disks=scenario.disks, **options) as engine,
            closing(engine.client(timeout=300)) as client,
            tempfile.TemporaryDirectory() as directory,
        ):
            images.load_base(client)
            client.containers.create(images.BASE, "true", labels={"watchd.keep": "true"})
            disk = engine.directory / "containerd" if scenario.disks else engine.data_root
            yield Host(engine, client, disk, Path(directory), live)
    finally:
        shutil.rmtree(top)


@dataclass(frozen=True)
class Result:
    """What made room. `before` and `after` are percent of the disk; with a daemon `before` is the most there was."""

    before: float
    after: float
    freed: int
    seconds: float | None = None
    said: str = ""
    went: str = ""
    failures: int = 0


def once(host: Host, scenario: Scenario) -> Result:
    """Fill the disk, and clean it with one run, after a look: images are inspected once in their lives."""
    scenario.fill(host)
    host.settle()
    config = load(host.config(scenario.cleanup))
    client = EngineClient(config.engine, read_only=False)
    with closing(Store.open(config.state.resolve())) as store, closing(client):
        observer = Observer(store, writable=True, count_unwatched=True)
        look_and_plan(client, config.cleanup, observer)
        before, used, began = host.percent, host.used, time.monotonic()
        result = run_cleanup(RunContext(client, store, observer, config.cleanup), RunControl())
        seconds, outcomes = time.monotonic() - began, result.outcomes or {}
    host.settle()
    gone = [item for item in result.prepared.plan.items if outcomes.get(item.key) is Outcome.REMOVED]
    said = total(result.prepared.plan.in_force)
    went = Counter[str](item.kind for item in gone)
    return Result(
        before,
        host.percent,
        used - host.used,
        seconds,
        format_amount(said.bytes, at_least=said.at_least),
        _counted(went),
        len(host.failures),
    )


def lived(host: Host, scenario: Scenario) -> Result:
    """Fill the disk while the daemon runs, and wait until it is not under pressure any more."""
    most, ended = [0.0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.1):
            most[0] = max(most[0], host.percent)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        with redirect_stdout(None), running(host.config(scenario.cleanup)) as daemon:
            scenario.fill(host)
            patience = time.monotonic() + 30 * slowdown()
            while daemon.value("watchd_prune_under_pressure") is not None and time.monotonic() < patience:
                time.sleep(0.5)
    finally:
        ended.set()
        watching.join()
    config = load(host.directory / "watchd.toml")
    with closing(Store.open(config.state.resolve())) as store:
        rows = [row for row in store.removals() if row.outcome == "removed"]
    said = total(row.removal for row in rows)
    freed = {row.removal.plan_id: sum(row.disk_freed.values()) for row in rows}
    went = Counter[str](row.removal.kind for row in rows)
    told = format_amount(said.bytes, at_least=said.at_least)
    return Result(most[0], host.percent, sum(freed.values()), None, told, _counted(went), len(host.failures))


def pruned(host: Host, scenario: Scenario) -> Result:
    """Fill the disk, and clean it as the engine itself does."""
    scenario.fill(host)
    host.settle()
    there = len(images.listed(host.client))
    before, used, began = host.percent, host.used, time.monotonic()
    scenario.prune(host.client)
    seconds = time.monotonic() - began
    host.settle()
    gone = there - len(images.listed(host.client))
    return Result(before, host.percent, used - host.used, seconds, went=f"{gone} images" if gone else "no image")


def row(store: str, scenario: Scenario) -> str:
    """Return a row of the table."""
    with small_host(store, scenario, live=scenario.live) as host:
        ours = (lived if scenario.live else once)(host, scenario)
    with small_host(store, scenario, live=False) as host:
        theirs = pruned(host, scenario)
    cells = (
        scenario.name,
        store,
        scenario.marks,
        f"{ours.before:.0f} to {ours.after:.0f} %",
        ours.went,
        ours.said,
        format_size(max(0, ours.freed)),
        "" if ours.seconds is None else f"{ours.seconds:.1f} s",
        str(ours.failures),
        f"{theirs.before:.0f} to {theirs.after:.0f} %, {format_size(max(0, theirs.freed))}, {theirs.went}",
        f"{theirs.seconds:.1f} s",
    )
    return f"| {' | '.join(cells)} |"


def _counted(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "nothing"


def main() -> None:
    """Print the table."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the engines are stopped
    arguments = argparse.ArgumentParser(prog="python -m tests.bench.room", description=__doc__)
    arguments.add_argument("--only", default="", help="scenarios whose name has this")
    arguments.add_argument("--store", default="", help="20.10, 'graph driver' or containerd")
    chosen = arguments.parse_args()
    install.ensure_engine()
    print(f"| {' | '.join(HEADS)} |\n|{'---|' * len(HEADS)}", flush=True)
    for scenario in SCENARIOS:
        for store in scenario.stores:
            if chosen.only in scenario.name and chosen.store in store:
                print(row(store, scenario), flush=True)


if __name__ == "__main__":
    main()
