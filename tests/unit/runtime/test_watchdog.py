"""Detection of stuck threads; every thread of the daemon is checked."""

import base64
import http.client
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bcrypt
import pytest

from tests.harness.ports import free_port
from tests.unit.settings import checked
from watchd.config import Config
from watchd.daemon import Daemon
from watchd.errors import EngineUnreachable
from watchd.metrics.sources.api import ApiSource
from watchd.model import Container
from watchd.runtime import watchdog
from watchd.runtime.watchdog import Heartbeat, Pool, supervised
from watchd.store import Store

NAMED = re.compile(r"_\d+$")  # a pool numbers its threads


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The time, which passes when a test says so."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(watchdog, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_a_step_that_takes_too_long_is_stuck(clock: SimpleNamespace) -> None:
    heartbeat = Heartbeat("something", 5)
    assert not heartbeat.is_stuck
    heartbeat.beat()
    clock.now += 5
    assert not heartbeat.is_stuck
    clock.now += 1
    assert heartbeat.is_stuck
    heartbeat.beat()
    assert not heartbeat.is_stuck
    clock.now += 6
    heartbeat.idle()
    assert not heartbeat.is_stuck


def test_a_probe_is_answered_once_and_not_each_time(clock: SimpleNamespace) -> None:
    heartbeat = Heartbeat("something", 5)
    heartbeat.probe(heartbeat.idle)
    clock.now += 6
    assert not heartbeat.is_stuck
    for _ in range(4):
        heartbeat.probe(lambda: None)
        clock.now += 2
    assert heartbeat.is_stuck


def test_a_stuck_task_of_a_pool_is_not_hidden_by_those_that_go_on(clock: SimpleNamespace) -> None:
    began, release = threading.Event(), threading.Event()

    def hang() -> None:
        began.set()
        release.wait(60)

    with Pool(2, "test-pool", "a task", 5) as pool:
        (heartbeat,) = (each for each in supervised() if each.thread == "test-pool")
        pool.submit(hang)
        assert began.wait(60)
        clock.now += 6
        pool.submit(lambda: None).result()
        is_stuck = heartbeat.is_stuck
        release.set()
    assert is_stuck
    assert not heartbeat.is_stuck


def test_a_task_of_several_steps_is_not_stuck_while_it_makes_them(clock: SimpleNamespace) -> None:
    def steps() -> bool:
        for _ in range(5):
            clock.now += 4
            pool.beat()
        return heartbeat.is_stuck

    with Pool(1, "test-steps", "testing", 5) as pool:
        (heartbeat,) = (each for each in supervised() if each.thread == "test-steps")
        assert pool.submit(steps).result(60) is False
        assert not heartbeat.is_stuck


def test_a_heartbeat_that_nobody_has_is_not_asked() -> None:
    heartbeat = Heartbeat("something that is gone")
    assert heartbeat in supervised()
    del heartbeat
    assert not [each for each in supervised() if each.what == "something that is gone"]


@contextmanager
def silent_engine(path: Path) -> Iterator[None]:
    """Accept connections, and answer nothing."""
    accepted = []

    def accept(listener: socket.socket) -> None:
        while True:
            try:
                accepted.append(listener.accept()[0])
            except OSError:
                return

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(100)
        thread = threading.Thread(target=accept, args=[listener], name="test")
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for each in accepted:
                each.close()


class NoStats:
    def stats(self, _container_id: str) -> Any:
        raise EngineUnreachable("nothing answers")


def test_every_thread_of_the_daemon_has_a_heartbeat(tmp_path: Path) -> None:
    port, engine = free_port(), tmp_path / "docker.sock"
    config = checked(
        Config,
        {
            "engine": {"host": f"unix://{engine}"},
            "http": {"listen": f"127.0.0.1:{port}", "users": {"anna": bcrypt.hashpw(b"x", bcrypt.gensalt(4))}},
            "cleanup": {"policies": [{"name": "lru", "kind": "image", "pressure": {"high": "90%", "low": "80%"}}]},
        },
    )
    with closing(Store.open(tmp_path / "state")) as store:
        before = set(threading.enumerate())
        daemon = Daemon(config, store)
        source = ApiSource(NoStats())  # what the daemon has where it can read no cgroups
        with closing(daemon), silent_engine(engine), closing(source):
            daemon.start()
            running = Container(id="c", name="c", image="i", image_id="i", status="running", created_at=None, pid=1)
            source.read([running], time.time())
            ask(port, "/api/v1/usage")
            started = names(before)
    assert started - {each.thread for each in supervised()} == {"test"}
    assert started >= {
        *("APScheduler", "watchd-disk", "watchd-events", "watchd-http", "watchd-mirror", "watchd-passwords"),
        *("watchd-ping", "watchd-recorder", "watchd-request", "watchd-sampler", "watchd-sizes", "watchd-stats"),
        "watchd-schedule",
    }


def names(before: set[threading.Thread]) -> set[str]:
    return {NAMED.sub("", thread.name) for thread in set(threading.enumerate()) - before}


def ask(port: int, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    with closing(connection):
        connection.request("GET", path, headers={"Authorization": "Basic " + base64.b64encode(b"anna:x").decode()})
        connection.getresponse().read()
