"""Every route of the daemon: none asks the engine for a list, and none writes to the database.

The details of a container are one inspect.
"""

import sqlite3
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.unit.cleanup.builders import EXITED, UNUSED_CACHE, UNUSED_VOLUMES, anonymous, container, image, running
from tests.unit.engine.fake_engine import FakeEngine, event
from tests.unit.settings import checked
from watchd import daemon as daemon_module
from watchd.config import Config
from watchd.daemon import Daemon
from watchd.engine.connection.transport import Requests
from watchd.engine.histories import Histories
from watchd.model import ContainerSize, DiskUsage
from watchd.model.objects.details import ContainerDetails
from watchd.store import Store

if TYPE_CHECKING:
    from watchd.engine.event_stream import EventStream
    from watchd.http.application import Routes

JOB, WEB = container("job"), running("web")
QUERIES: Mapping[str, Mapping[str, str]] = {
    "/api/v1/container": {"id": WEB.id},
    "/api/v1/explain": {"ref": "job"},
    "/api/v1/series": {"id": WEB.id},
}


class Engine(FakeEngine):
    """An engine that tells sizes, too."""

    def __init__(self) -> None:
        super().__init__(JOB, WEB, image("app"), anonymous("data"))
        self.requests_made = Requests()
        self._histories = Histories()
        self._measuring = threading.Lock()

    def container_details(self, id_: str) -> ContainerDetails:
        self._ask("details")
        (found,) = (each for each in (JOB, WEB) if each.id == id_)
        return ContainerDetails(found, ("true",), "", "", (), 0, "json-file", (), None, 0, ())

    def disk_usage(self) -> DiskUsage:
        self._ask("df")
        return DiskUsage({JOB.id: ContainerSize(10, 20)}, volumes={}, cache=())


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    engine = Engine()
    monkeypatch.setattr(daemon_module, "EngineClient", lambda *_, **__: engine)
    return engine


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store.open(tmp_path)) as opened:
        yield opened


@pytest.fixture
def routes(engine: Engine, store: Store, monkeypatch: pytest.MonkeyPatch) -> "Iterator[Routes]":
    """The routes of a daemon that has listed an engine, recorded it, and measured sizes a moment ago."""
    served: dict[str, Any] = {}

    class Server:
        def __init__(self, _listen: str, routes: "Routes", *_: object, **__: object) -> None:
            served.update(routes)

    monkeypatch.setattr(daemon_module, "Server", Server)
    monkeypatch.setattr(sys, "executable", "/bin/false")  # for the advice
    policies = [EXITED, UNUSED_VOLUMES, UNUSED_CACHE]
    daemon = Daemon(checked(Config, {"cleanup": {"schedule": "6h", "policies": policies}}), store)
    daemon._watch._refresh([], connected=cast("EventStream", object()))
    daemon._watch.mirror.replace(sizes=engine.disk_usage())
    daemon._sizes._measured_at = time.monotonic()
    daemon._watch._refresh([event("container", "start", WEB.id, time.time(), image="app:1")], connected=None)
    daemon._watch.ready = True
    daemon.tick()
    daemon._recorder.stop()
    daemon._recorder._work()  # takes in all that it was told
    engine.asked.clear()
    yield served
    daemon._advising.stop()
    daemon._metrics.close()


def written(directory: Path) -> list[str]:
    with closing(sqlite3.connect(directory / "watchd.db")) as connection:
        return list(connection.iterdump())


def test_no_request_lists_and_none_writes(routes: "Routes", engine: Engine, tmp_path: Path) -> None:
    before = written(tmp_path)
    assert any("observation" in line and "INSERT" in line for line in before)
    for path, route in routes.items():
        for _ in range(2):
            response = route(QUERIES.get(path, {}))
            assert response.status == 200, f"{path}: {response.body!r}"
        assert engine.asked == (["details"] * 2 if path == "/api/v1/container" else []), path
        engine.asked.clear()
        assert written(tmp_path) == before, path
    assert {"/metrics", "/readyz", "/api/v1/plan", "/api/v1/usage", "/api/v1/disk", "/api/v1/next"} <= routes.keys()
