"""A daemon of which a part stands still ends, for its supervisor to start it again. And how to ask whether it lives."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.harness.command import watchd_here
from tests.harness.engine import Engine
from tests.harness.process import Process
from tests.harness.waiting import slowdown, wait_until
from tests.harness.watchd_process import running, starting, watchd, write_config

# The daemon, but that it looks every half second whether one step of a part, or of any, takes too long.
IMPATIENT = """
import watchd.runtime.watchdog
class Heartbeat(watchd.runtime.watchdog.Heartbeat):
    def __init__(self, what, limit=None, *, thread=None):
        super().__init__(what, {patience} if {part!r} in ("any", what) else limit, thread=thread)
watchd.runtime.watchdog.Heartbeat = Heartbeat
import watchd.daemon
watchd.daemon.TICK_INTERVAL = 0.5
{change}
from watchd.cli import main
main()
"""
STANDS_STILL = {
    "the mirror of the engine": "Refresher.list_all = stand_still",
    "reading the engine's events": "EngineClient.events = stand_still",
    "pinging the engine": "watchd.engine.watch.watcher.PING_INTERVAL = 0.1; EngineClient.ping = stand_still",
    "recording observations": "Recorder._reconcile = stand_still",
    "measuring sizes": "Sizes._measure = stand_still",
    "reading containers": "ContainerCollector.update_recent = stand_still",
    "a scrape": "ContainerCollector.collect = stand_still",
    "a run": "watchd.cleanup.run.run.look_and_plan = stand_still",
    "the schedule": "BackgroundScheduler._process_jobs = stand_still",
    "the HTTP server": "Application.__call__ = stand_still",
}
PATHS = {  # what has to be asked for before the part does anything
    "a scrape": "/metrics",
    "the HTTP server": "/metrics",
}
UNANSWERED = ("a scrape", "the HTTP server")
PARTS = """
import time
import watchd.cleanup.run.run, watchd.engine.watch.watcher
from apscheduler.schedulers.background import BackgroundScheduler
from watchd.engine.client import EngineClient
from watchd.engine.watch.refresh import Refresher
from watchd.engine.watch.sizes import Sizes
from watchd.metrics.containers.collector import ContainerCollector
from watchd.cleanup.observe.recorder import Recorder
from watchd.http.application import Application
def stand_still(*_, **__):
    time.sleep(3600)
"""


@pytest.mark.parametrize("part", STANDS_STILL)
def test_a_part_that_stands_still_ends_the_process(part: str, clean_engine: Engine, tmp_path: Path) -> None:
    program = IMPATIENT.format(change=PARTS + STANDS_STILL[part], part=part, patience=2 * slowdown())
    config = write_config(tmp_path, clean_engine.host, 'schedule = "1s"\njitter = "0s"' if part == "a run" else "")
    with starting(config, command=(sys.executable, "-c", program)) as daemon:
        if part in PATHS:
            wait_until(lambda: "metrics at" in daemon.log, seconds=60, what="it to serve")
            time.sleep(0.2)
            with ThreadPoolExecutor() as pool:
                asked = pool.submit(daemon.get, PATHS[part])
                assert daemon.process.wait(30 * slowdown()) == 1
                assert isinstance(asked.exception(), OSError) or part not in UNANSWERED
        assert daemon.process.wait(30 * slowdown()) == 1
    assert f"{part} makes no progress" in daemon.log
    assert "in stand_still\n" in daemon.log  # where it stood


def test_nothing_of_it_stands_still_by_itself(clean_engine: Engine, tmp_path: Path) -> None:
    patience = min(10 * slowdown(), 18)  # seconds
    program = IMPATIENT.format(change="", part="any", patience=patience)
    with running(write_config(tmp_path, clean_engine.host), command=(sys.executable, "-c", program)) as daemon:
        until = time.monotonic() + patience + 2
        while time.monotonic() < until:
            daemon.scrape()
            time.sleep(1)
        assert daemon.process.poll() is None
        assert daemon.stop() == 0


def test_one_can_ask_whether_it_lives(clean_engine: Engine, tmp_path: Path) -> None:
    config = write_config(tmp_path, clean_engine.host)
    nobody = watchd("healthcheck", "-c", config)
    assert nobody.returncode == 1
    assert f"{tmp_path}/state/watchd.sock: no watchd is running on this state directory" in nobody.stderr
    with running(config) as daemon:
        well = watchd_here("healthcheck", "-c", config)
        assert (well.returncode, well.stdout) == (0, "healthy\n")
        good = config.read_text()
        config.write_text(f"{good}\n[nonsense]\n")
        assert watchd_here("healthcheck", "-c", config).returncode == 0  # of the daemon the file says nothing
        config.write_text(good)
        process = Process.of(daemon.process.pid)
        process.freeze()
        try:
            frozen = watchd_here("healthcheck", "-c", config)
        finally:
            process.go_on()
        assert frozen.returncode == 1
        assert "did not answer within" in frozen.stderr
        daemon.process.kill()
        daemon.process.wait()
        killed = watchd_here("healthcheck", "-c", config)
        assert killed.returncode == 1
        assert "no watchd is running" in killed.stderr
    with running(config):
        assert watchd_here("healthcheck", "-c", config).returncode == 0
