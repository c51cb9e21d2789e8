"""A run that is killed at any moment: afterwards the record and the engine agree, object by object."""

import json
import random
import signal
import sqlite3
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
from docker.errors import NotFound

from tests.harness import images
from tests.harness.command import watchd_here
from tests.harness.engine import Engine
from tests.harness.waiting import settled, wait_until
from tests.harness.watchd_process import WATCHD, plan_of, running, write_config
from tests.unit.store.test_store import removal
from watchd.store import DATABASE, Store

KILLS = 20
CLEANUP = """
mode = "enforce"
grace = "0s"
max_items = 24
[[cleanup.policies]]
name = "exited"
kind = "container"
when.never_started_for = "0s"
[[cleanup.policies]]
name = "dangling"
kind = "image"
select.class = ["dangling"]
when.dangling_for = "0s"
[[cleanup.policies]]
name = "networks"
kind = "network"
when.unused_for = "0s"
"""


def history(config: Path) -> list[Any]:
    return json.loads(watchd_here("history", "-c", config, "--json").stdout)  # type: ignore[no-any-return]


def pile_up(client: docker.DockerClient, number: int) -> None:
    """Make something to remove."""
    with ThreadPoolExecutor(4) as pool:
        built = pool.submit(images.make_dangling, client, f"app-{number}:1", 2, size=100)
        connected = pool.submit(client.networks.create, f"n{number}")
        list(pool.map(lambda index: client.containers.create(images.BASE, name=f"c{number}-{index}"), range(8)))
        built.result()
        connected.result()


def recorded(directory: Path) -> int:
    """Return how many removals are on record, finished or not."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{directory / DATABASE}?mode=ro", uri=True)) as reader:
        return int(reader.execute("SELECT count(*) FROM removal").fetchone()[0])
    return 0


def exists(client: docker.DockerClient, row: Any) -> bool:
    by_kind = {"container": client.containers.get, "image": client.images.get, "network": client.networks.get}
    try:
        by_kind[row["kind"]](row["id"])
    except NotFound:
        return False
    return True


def ids_on(client: docker.DockerClient) -> set[str]:
    """Return the IDs of what is on the engine."""
    containers, networks = client.api.containers(all=True, quiet=True), client.api.networks()
    return {each["Id"] for each in (*containers, *images.listed(client), *networks)}


def test_twenty_times_killed_the_record_and_the_engine_agree(
    client: docker.DockerClient, clean_engine: Engine, tmp_path: Path
) -> None:
    config = write_config(tmp_path, clean_engine.host, CLEANUP)
    moments = random.Random(4711)  # noqa: S311 - for tests
    command: list[str | Path] = [WATCHD, "prune", "-c", config, "--yes", "--json"]
    killed = 0
    for number in range(KILLS):
        pile_up(client, number)
        before = recorded(tmp_path / "state")
        after = before + moments.randrange(8)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and recorded(tmp_path / "state") <= after:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.05))
        if process.poll() is None:
            killed += 1
        process.send_signal(signal.SIGKILL)
        process.wait()
        settled(lambda: ids_on(client), still=0.05, seconds=30, what="the engine, which does what it was asked to")
    assert killed > KILLS / 2, "else there was nothing to interrupt"

    last = watchd_here("prune", "-c", config, "--yes", "--json")
    assert last.returncode == 0, last.stderr
    rows = history(config)
    assert {row["outcome"] for row in rows} <= {"removed", "already_gone", "failed"}
    failed = {row["id"] for row in rows if row["outcome"] == "failed"}
    gone = {row["id"] for row in rows if row["outcome"] in ("removed", "already_gone")}
    assert failed <= gone | {row["id"] for row in rows if exists(client, row)}, "what was interrupted went later"
    assert [row["name"] for row in rows if row["id"] in gone and exists(client, row)] == []
    left = [item["id"] for item in plan_of(last)["items"] if item["action"] == "keep"]
    assert not gone.intersection(left)
    # Nothing went that is not on record: all of the pile is either there or in the history.
    told = {row["name"] for row in rows if row["id"] in gone}
    there = {container.name for container in client.containers.list(all=True)}
    assert told | there >= {f"c{number}-{index}" for number in range(KILLS) for index in range(8)}
    assert not told & there


def test_the_daemon_settles_what_a_kill_left_open(
    client: docker.DockerClient, clean_engine: Engine, tmp_path: Path
) -> None:
    waiting = client.containers.create(images.BASE, name="waiting")
    engine = str(client.info()["ID"])
    config = write_config(tmp_path, clean_engine.host, 'schedule = "1s"\njitter = "0s"\n')
    with closing(Store.open(tmp_path / "state")) as store:
        there = replace(removal("waiting"), engine=engine, kind="container", id=str(waiting.id), action="remove")
        for row in (there, replace(there, id="f" * 64, name="gone"), replace(there, engine="another", name="other")):
            store.record(row)
    with running(config):
        wait_until(
            lambda: (
                [(row["name"], row["outcome"]) for row in history(config)]
                == [("waiting", "failed"), ("gone", "removed"), ("other", "unknown")]
            ),
            seconds=15,
            what="the open rows to be settled",
        )
    text = watchd_here("history", "-c", config).stdout
    assert "unknown" in text, "of another engine nobody can tell"
