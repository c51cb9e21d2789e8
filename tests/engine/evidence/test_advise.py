"""Advice from what a real engine lived through: the policy that it prints does what its row says."""

import io
import json
import shutil
import sqlite3
import tarfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.conftest import NEWEST
from tests.harness import images
from tests.harness.command import watchd_here
from tests.harness.engine import Engine
from tests.harness.waiting import wait_until
from tests.harness.watchd_process import running, write_config

pytestmark = pytest.mark.parametrize("engine", [NEWEST], indirect=True, scope="session")

SECOND = 4 * 3600.0  # a second lived is so many of the record: the shortest threshold is an hour
PAUSE = 8  # seconds, longer than a day of the record
REST = 32  # seconds lived after all is there, to decide about it
MANY = 24  # of each kind: a threshold needs 20 that are decided
APP_SIZE = 150_000  # bytes
LIVED = 'grace = "1s"\nschedule = "5s"\njitter = "0s"\n'  # a use with shorter pauses would be one; runs look at sizes
JUDGED = 'schedule = "1h"\njitter = "0s"\n'
TIMES = {
    "engine": ("watched_until",),
    "life": ("arrived", "gone"),
    "life_appearance": ("since",),
    "life_use": ("first", "last"),
    "life_size": ("at",),
    "disk_mark": ("at",),
    "watched": ("began", "ended"),
}


def archive(name: str) -> bytes:
    """Return a layer with one file."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = 10_000
        tar.addfile(member, io.BytesIO(name.encode().ljust(member.size)))
    return written.getvalue()


def live(client: docker.DockerClient) -> None:
    """Let containers end and images arrive of which nobody needs one again, but for the last of each."""
    for number in range(MANY):
        client.containers.run(images.BASE, ["true"], name=f"once-{number}", detach=True)
        client.api.import_image_from_data(archive(f"once-{number}"), repository="once", tag=str(number))
    job = client.containers.run(images.BASE, ["true"], name="job", detach=True)
    images.build(client, "app:1", f"FROM {images.BASE}\nCOPY content /content\n", {"content": bytes(APP_SIZE)})
    time.sleep(PAUSE)
    job.start()
    client.containers.run("app:1", ["true"], remove=True)
    time.sleep(REST)


def watched_until(state: Path) -> float:
    with closing(sqlite3.connect(f"file:{state}/watchd.db?mode=ro", uri=True)) as record:
        ((until,),) = record.execute("SELECT max(ended) FROM watched")
    return float(until or 0.0)


def stretch(state: Path) -> None:
    """Let the record be longer, with its end where it was."""
    until = watched_until(state)
    with closing(sqlite3.connect(state / "watchd.db")) as record, record:
        for table, columns in TIMES.items():
            for column in columns:
                record.execute(f"UPDATE {table} SET {column} = ? - (? - {column}) * ?", (until, until, SECOND))  # noqa: S608 - names above
        record.execute("UPDATE life_use SET longest_gap = longest_gap * ?", (SECOND,))


@pytest.fixture
def config(tmp_path: Path, clean_engine: Engine, docker_client: docker.DockerClient) -> Path:
    """A configuration without any policy, with the record of nine days that were lived in a minute."""
    lived = tmp_path / "lived"
    lived.mkdir()
    with running(write_config(lived, clean_engine.host, LIVED)):
        live(docker_client)
        ended = time.time()
        wait_until(lambda: watched_until(lived / "state") >= ended, seconds=40, what="it to note what it watched")
    for container in docker_client.containers.list(all=True):
        container.remove()
    shutil.copytree(lived / "state", tmp_path / "state")
    stretch(tmp_path / "state")
    return write_config(tmp_path, clean_engine.host, JUDGED)


def advice(config: Path, kind: str, regrets: int) -> tuple[dict[str, Any], str]:
    """Return the row that is recommended, and its policy."""
    told = json.loads(watchd_here("advise", "-c", config, "--kind", kind, "--regrets", str(regrets), "--json").stdout)
    of_kind = told["kinds"][kind]
    assert of_kind["recommended"] is not None, told
    seconds = of_kind["recommended"]["seconds"]
    return next(row for row in of_kind["thresholds"] if row["seconds"] == seconds), of_kind["recommended"]["toml"]


def test_the_policy_that_it_prints_does_in_a_backtest_what_its_row_says(config: Path) -> None:
    without_policies = config.read_text()
    for kind in ("image", "container"):
        rows = []
        for accepted in (0, 1_000):
            config.write_text(without_policies)
            row, policy = advice(config, kind, accepted)
            rows.append(row)
            config.write_text(without_policies + policy)
            told = json.loads(watchd_here("backtest", "-c", config, "--json").stdout)
            (judged,) = told["policies"]
            assert judged["kind"] == kind
            assert row == {
                "seconds": row["seconds"],
                "removed": len(judged["removed"]),
                "decided": len(judged["removed"]) - judged["undecided"],
                "mean_bytes": told["usage"]["with"]["kinds"][kind]["mean_bytes"],
                "regrets": len(judged["regrets"]),
                "regretted_bytes": sum(each["bytes"] for each in judged["regrets"]),
            }
            needed = {each["name"] for each in judged["regrets"]}
            assert needed == ({"image": {"app:1"}, "container": {"job"}}[kind] if accepted else set())
        none, some = rows
        assert (none["regrets"], some["seconds"]) == (0, 3600)
        assert none["seconds"] > PAUSE * SECOND - 3600
        assert kind == "container" or some["regretted_bytes"] > APP_SIZE / 2
