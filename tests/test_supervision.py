"""A daemon of which a part stands still ends, for its supervisor to start it again. And how to ask whether it lives."""

import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.harness.engine import Engine
from tests.harness.waiting import wait_until
from tests.watchd_process import running, starting, watchd, write_config
from watchd.pulse import Pulse

# The daemon, but that it takes a second at one step for too long, and looks every half of one.
IMPATIENT = """
import watchd.pulse
watchd.pulse.STUCK_AFTER = 1.0
import watchd.daemon
watchd.daemon.TICK_INTERVAL = 0.5
{change}
from watchd.cli import main
main()
"""
STANDS_STILL = {
    "the inventory": "Watch._tell = Watch._reconcile = stand_still",
    "reading the engine's events": "EngineClient.events = stand_still",
    "pinging the engine": "watchd.engine.watch.PING_INTERVAL = 0.1; EngineClient.ping = stand_still",
    "recording what was seen": "Recorder._reconcile = stand_still",
    "a scrape": "Collector.collect = stand_still",
    "a run": "watchd.cleaning.prepare = stand_still",
    "the schedule": "BackgroundScheduler._process_jobs = stand_still",
    "the HTTP server": "Application.__call__ = stand_still",
}
PARTS = """
import time
import watchd.cleaning, watchd.engine.watch
from apscheduler.schedulers.background import BackgroundScheduler
from watchd.engine.client import EngineClient
from watchd.engine.watch import Watch
from watchd.metrics.collector import Collector
from watchd.prune.recorder import Recorder
from watchd.web.application import Application
def stand_still(*_, **__):
    time.sleep(3600)
"""


def test_a_step_that_takes_too_long_is_stuck() -> None:
    pulse = Pulse("something", 0.05)
    assert not pulse.is_stuck
    pulse.beat()
    time.sleep(0.1)
    assert pulse.is_stuck
    pulse.beat()
    assert not pulse.is_stuck
    time.sleep(0.1)
    pulse.rest()
    assert not pulse.is_stuck


def test_who_is_prodded_has_to_rest_once_and_not_each_time() -> None:
    pulse = Pulse("something", 0.1)
    pulse.prod(pulse.rest)
    time.sleep(0.15)
    assert not pulse.is_stuck
    for _ in range(4):
        pulse.prod(lambda: None)
        time.sleep(0.05)
    assert pulse.is_stuck


@pytest.mark.parametrize("part", STANDS_STILL)
def test_a_part_that_stands_still_ends_the_process(part: str, clean_engine: Engine, tmp_path: Path) -> None:
    program = IMPATIENT.format(change=PARTS + STANDS_STILL[part])
    config = write_config(tmp_path, clean_engine.host, 'schedule = "1s"\njitter = "0s"' if part == "a run" else "")
    with starting(config, command=(sys.executable, "-c", program)) as daemon:
        if part in ("a scrape", "the HTTP server"):
            wait_until(lambda: "metrics at" in daemon.log, seconds=10, what="it to serve")
            time.sleep(0.2)
            with ThreadPoolExecutor() as pool:
                asked = pool.submit(daemon.get, "/metrics")  # who asks waits for an answer that never comes
                assert daemon.process.wait(15) == 1
                assert isinstance(asked.exception(), OSError)
        assert daemon.process.wait(15) == 1
    assert f"{part} makes no progress" in daemon.log
    assert "in stand_still\n" in daemon.log  # where it stood


def test_nothing_of_it_stands_still_by_itself(clean_engine: Engine, tmp_path: Path) -> None:
    with starting(
        write_config(tmp_path, clean_engine.host), command=(sys.executable, "-c", IMPATIENT.format(change=""))
    ) as daemon:
        wait_until(daemon.ready, seconds=10, what="it to be ready")
        for _ in range(4):
            daemon.scrape()
            time.sleep(1)
        assert daemon.process.poll() is None
        assert daemon.stop() == 0


def test_one_can_ask_whether_it_lives(clean_engine: Engine, tmp_path: Path) -> None:
    config = write_config(tmp_path, clean_engine.host)
    nobody = watchd("healthcheck", "-c", config)
    assert nobody.returncode == 1
    assert f"{tmp_path}/state/watchd.sock: no watchd is running on that state directory" in nobody.stderr
    with running(config) as daemon:
        well = watchd("healthcheck", "-c", config)
        assert (well.returncode, well.stdout) == (0, "healthy\n")
        good = config.read_text()
        config.write_text(f"{good}\n[nonsense]\n")
        assert watchd("healthcheck", "-c", config).returncode == 0  # of the daemon the file says nothing
        config.write_text(good)
        daemon.process.send_signal(signal.SIGSTOP)
        try:
            frozen = watchd("healthcheck", "-c", config)
        finally:
            daemon.process.send_signal(signal.SIGCONT)
        assert frozen.returncode == 1
        assert "did not answer within" in frozen.stderr
        daemon.process.kill()
        daemon.process.wait()
        killed = watchd("healthcheck", "-c", config)
        assert killed.returncode == 1
        assert "no watchd is running" in killed.stderr
    with running(config):
        assert watchd("healthcheck", "-c", config).returncode == 0


def test_an_engine_that_is_not_there_makes_it_not_ready_and_not_unhealthy(tmp_path: Path) -> None:
    config = write_config(tmp_path, f"unix://{tmp_path}/nowhere.sock")
    with starting(config) as daemon:
        wait_until(lambda: "metrics at" in daemon.log, seconds=10, what="it to serve")
        asked = watchd("healthcheck", "-c", config)
    assert asked.returncode == 0
    assert asked.stdout.startswith("healthy, but not ready: ")
