"""The timeline on real engines: lives and uses as they were, also across a kill of the daemon."""

import json
import signal
import time
from contextlib import closing
from pathlib import Path

import docker
import pytest

from tests.harness import images
from tests.harness.engine import Engine
from tests.harness.waiting import wait_until
from tests.harness.watchd_process import running, write_config
from watchd.model.history.timeline import FOUND, Life
from watchd.store import Store

pytestmark = pytest.mark.newest

POLICY = """
mode = "enforce"
grace = "0s"
schedule = "1s"
jitter = "0s"
[[cleanup.policies]]
name = "jobs"
kind = "container"
select.name = ["job"]
when.finished_for = "1s"
"""
SHORT = 5  # containers that go at once


class Record:
    """The state of a daemon."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "state"
        self.spans: list[tuple[float, float]] = []
        self.disks = 0

    def lives(self) -> dict[str, Life]:
        """Return the lives by name, tag or ID."""
        store = Store.open_read_only(self._directory)
        assert store is not None
        found: dict[str, Life] = {}
        with closing(store):
            engine = "".join(row[0] for row in store._connection.execute("SELECT id FROM engine"))  # none at first
            for life in store.lives(engine):
                last = json.loads(life.appearances[-1].text)
                names = last.get("tags", ()) or [life.appearances[-1].name or last.get("name") or life.key[1]]
                found |= dict.fromkeys(names, life)
            self.spans, self.disks = store.watched_spans(engine), len(store.disk_marks(engine))
        return found

    def has_left(self, *names: str) -> bool:
        found = self.lives()
        return all(name in found and found[name].left is not None for name in names)


def test_it_tells_what_came_ran_and_left_and_by_whom(
    tmp_path: Path, clean_engine: Engine, docker_client: docker.DockerClient
) -> None:
    config, began, record = write_config(tmp_path, clean_engine.host, POLICY), time.time(), Record(tmp_path)
    docker_client.volumes.create("before")
    with running(config) as daemon:
        for number in range(SHORT):
            docker_client.containers.run(images.BASE, ["true"], remove=True, name=f"short-{number}")
        docker_client.containers.run(images.BASE, ["sh", "-c", "exit 3"], name="job", detach=True)
        web = docker_client.containers.run(images.BASE, ["sleep", "600"], name="web", detach=True)
        images.build(docker_client, "built:1", f"FROM {images.BASE}\nLABEL a=b\n")
        docker_client.images.get("built:1").tag("built", "2")
        names = ["job", *(f"short-{number}" for number in range(SHORT))]
        wait_until(lambda: record.has_left(*names), seconds=20, what="their ends")
        wait_until(lambda: "built:2" in record.lives(), seconds=20, what="the tag")
        daemon.stop(signal.SIGKILL)
    web.kill()
    web.remove()
    later = docker_client.containers.run(images.BASE, ["sleep", "600"], name="later", detach=True)
    with running(config):
        wait_until(
            lambda: record.has_left("web") and "later" in record.lives(), seconds=20, what="what changed meanwhile"
        )
        found = record.lives()
        shorts = [found[f"short-{number}"] for number in range(SHORT)]
        for life in (*shorts, found["job"]):
            (use,) = life.uses
            assert life.how == "create"
            assert use.last is not None
            assert life.left is not None
            assert began - 1 <= life.arrived <= use.first <= use.last <= life.left
        assert [life.by for life in shorts] == [""] * SHORT
        assert (found["job"].by, found["job"].uses[0].exit_code) == ("jobs", 3)
        assert found["web"].uses[0].last is not None
        assert (found["later"].left, found["later"].uses[0].last) == (None, None)
        assert found["later"].key[1] == later.id
        assert found["before"].how == FOUND
        built = found["built:2"]
        assert built.how in ("tag", FOUND)
        assert json.loads(built.appearances[-1].text)["tags"] == ["built:1", "built:2"]
        assert record.spans
        assert record.spans[0][0] >= began - 1
        assert record.disks, "each run measures the disk"


FAULTS = """
import watchd.cleanup.evidence.regrets
import watchd.cleanup.evidence.timeline


def broken(*_):
    raise KeyError("a field that is not known")


watchd.cleanup.evidence.timeline.as_text = broken
watchd.cleanup.evidence.regrets.needs_of = broken
"""


def test_faults_in_it_cost_neither_metrics_nor_cleaning(
    tmp_path: Path, clean_engine: Engine, docker_client: docker.DockerClient
) -> None:
    (tmp_path / "faults").mkdir()
    (tmp_path / "faults/sitecustomize.py").write_text(FAULTS)
    config = write_config(tmp_path, clean_engine.host, POLICY)
    with running(config, PYTHONPATH=str(tmp_path / "faults")) as daemon:
        docker_client.containers.run(images.BASE, ["true"], name="job", detach=True)
        docker_client.containers.run(images.BASE, ["sleep", "600"], name="web", detach=True)
        wait_until(lambda: daemon.names() == {"web"}, seconds=20, what="the metrics, and the end of the job")
        assert daemon.ready()
        said = ("the timeline cannot be recorded", "regrets cannot be recorded")
        wait_until(lambda: all(each in daemon.log for each in said), seconds=20, what="both to be told")
        assert [daemon.log.count(each) for each in said] == [1, 1]
