"""The prediction comes true on real engines: what `backtest` says is what the same policies do in force."""

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CONFIG, NEWEST
from tests.harness import images, newer
from tests.harness.command import watchd_here
from tests.harness.emptying import emptied
from tests.harness.engine import Engine
from tests.harness.watchd_process import running, write_config
from watchd.store import Store
from watchd.units import parse_time

pytestmark = pytest.mark.parametrize("engine", [NEWEST], indirect=True, scope="session")

EVERY = 8.0  # seconds between runs; what happens is at least two seconds from where it would change a run
POLICIES = f"""
mode = "{{mode}}"
grace = "0s"
schedule = "{EVERY:.0f}s"
jitter = "0s"
[[cleanup.policies]]
name = "jobs"
kind = "container"
select.name = ["job-*"]
when.finished_for = "3s"
[[cleanup.policies]]
name = "images"
kind = "image"
select.reference = ["app:*"]
when.unused_for = "9s"
[[cleanup.policies]]
name = "volumes"
kind = "volume"
select.name = ["data"]
select.named = true
when.unused_for = "9s"
"""
Removals = set[tuple[int, str, str]]  # the number of the run, and the kind and name of what it removed
IN_TIME = 2.0  # seconds


class LateError(Exception):
    """This machine stood still for so long that the two lives may differ."""


def live(file: Path, engine: Engine, archive: bytes) -> float:
    """Live the script under a daemon. Return when it first scheduled its policies."""
    with closing(engine.client()) as client, running(file):
        began = scheduled(file)

        def at(seconds: float, step: Callable[[], object]) -> None:
            time.sleep(max(0.0, began + seconds - time.time()))
            step()
            if time.time() > began + seconds + IN_TIME:
                raise LateError

        def run_again() -> None:
            if "app:1" not in images.tags(client):
                client.images.load(archive)
            client.containers.run("app:1", ["true"], name="job-2")

        at(2, lambda: client.containers.run("app:1", ["true"], name="job-1"))
        at(10, lambda: client.volumes.create("data"))
        at(18, run_again)
        at(5 * EVERY + 3, lambda: None)  # the daemon notes every 20 s that it watches
    return began


def scheduled(file: Path) -> float:
    """Return when a daemon first scheduled its policies: its runs are whole intervals later."""
    store = Store.open_read_only(file.parent / "state")
    assert store is not None
    with closing(store):
        return float(store._connection.execute("SELECT min(since) FROM policy_scheduled").fetchone()[0])


def both_lives(directory: Path, engines: Mapping[str, Engine], app: bytes) -> tuple[Any, Removals]:
    """Live the script in both modes at the same time. Return what backtest tells of one, and what went in the other.

    Raise LateError.
    """
    files: dict[str, Path] = {}
    for mode, engine in engines.items():
        (directory / mode).mkdir(parents=True)
        files[mode] = write_config(directory / mode, engine.host, POLICIES.format(mode=mode))
        with closing(engine.client()) as client:
            client.images.load(app)
    with ThreadPoolExecutor() as pool:
        began = dict(zip(engines, pool.map(lambda mode: live(files[mode], engines[mode], app), engines), strict=True))
    rows = json.loads(watchd_here("history", "-c", files["enforce"], "--json").stdout)
    told = json.loads(watchd_here("backtest", "-c", files["report"], "--json").stdout)
    after = [parse_time(row["time"]) - began["enforce"] for row in rows]
    late = [abs(seconds - EVERY * round(seconds / EVERY)) for seconds in after]
    if max(*late, abs(parse_time(told["since"]) - began["report"])) > IN_TIME:
        raise LateError
    came = {
        (round(seconds / EVERY), row["kind"], row["name"])
        for seconds, row in zip(after, rows, strict=True)
        if row["outcome"] == "removed"
    }
    return told, came


def test_what_backtest_says_is_what_the_same_policies_do_in_force(
    tmp_path: Path, clean_engine: Engine, engine_directory: Path
) -> None:
    with Engine.start(engine_directory, environment=newer.environment(), config=CONFIG[NEWEST]) as another:
        with closing(clean_engine.client()) as client:
            images.build(client, "app:1", f"FROM {images.BASE}\nCOPY content /content\n", {"content": b"app"})
            app = b"".join(client.images.get("app:1").save(named=True))
        for number in range(3):
            with emptied(clean_engine), emptied(another), suppress(LateError):
                told, came = both_lives(tmp_path / str(number), {"report": clean_engine, "enforce": another}, app)
                break
        else:
            pytest.fail("this machine stood still three times")
    begin = parse_time(told["since"])
    predicted: Removals = {
        (round((parse_time(each["time"]) - begin) / EVERY), policy["kind"], each["name"])
        for policy in told["policies"]
        for each in policy["removed"]
    }
    assert predicted == came
    assert {(1, "container", "job-1"), (2, "image", "app:1"), (3, "volume", "data"), (4, "image", "app:1")} <= came
    (regret,) = [each for policy in told["policies"] for each in policy["regrets"] if policy["kind"] == "image"]
    assert regret["name"] == "app:1"
