"""The prediction comes true on real engines: what `backtest` says is what the same policies do in force."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import CONFIG, NEWEST
from tests.harness import images, newer
from tests.harness.command import watchd_here
from tests.harness.engine import Engine
from tests.harness.watchd_process import running, write_config
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


def live(file: Path, engine: Engine, archive: bytes) -> float:
    """Live the script under a daemon. Return when it began."""
    with closing(engine.client()) as client, running(file):
        began = time.time()

        def at(seconds: float) -> None:
            time.sleep(max(0.0, began + seconds - time.time()))

        at(2)
        client.containers.run("app:1", ["true"], name="job-1")
        at(10)
        client.volumes.create("data")
        at(18)
        if "app:1" not in images.tags(client):
            client.images.load(archive)
        client.containers.run("app:1", ["true"], name="job-2")
        at(5 * EVERY + 3)  # the daemon notes every 20 s that it watches
    return began


def test_what_backtest_says_is_what_the_same_policies_do_in_force(
    tmp_path: Path, clean_engine: Engine, engine_directory: Path
) -> None:
    """The two lives are lived at the same time, each on an engine."""
    with Engine.start(engine_directory, environment=newer.environment(), config=CONFIG[NEWEST]) as another:
        engines = {"report": clean_engine, "enforce": another}
        files: dict[str, Path] = {}
        for mode, engine in engines.items():
            (tmp_path / mode).mkdir()
            files[mode] = write_config(tmp_path / mode, engine.host, POLICIES.format(mode=mode))
            with closing(engine.client()) as client:
                images.load_base(client)
        with closing(clean_engine.client()) as client:
            images.build(client, "app:1", f"FROM {images.BASE}\nCOPY content /content\n", {"content": b"app"})
            archive = b"".join(client.images.get("app:1").save(named=True))
        with closing(another.client()) as client:
            client.images.load(archive)
        with ThreadPoolExecutor() as pool:
            began = dict(
                zip(engines, pool.map(lambda mode: live(files[mode], engines[mode], archive), engines), strict=True)
            )
        rows = json.loads(watchd_here("history", "-c", files["enforce"], "--json").stdout)
    told = json.loads(watchd_here("backtest", "-c", files["report"], "--json").stdout)
    begin = parse_time(told["since"])
    predicted: Removals = {
        (round((parse_time(each["time"]) - begin) / EVERY), policy["kind"], each["name"])
        for policy in told["policies"]
        for each in policy["removed"]
    }
    came: Removals = {
        (round((parse_time(row["time"]) - began["enforce"]) / EVERY), row["kind"], row["name"])
        for row in rows
        if row["outcome"] == "removed"
    }
    assert predicted == came
    assert {(1, "container", "job-1"), (2, "image", "app:1"), (3, "volume", "data"), (4, "image", "app:1")} <= came
    (regret,) = [each for policy in told["policies"] for each in policy["regrets"] if policy["kind"] == "image"]
    assert regret["name"] == "app:1"
