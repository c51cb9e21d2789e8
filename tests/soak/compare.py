"""Compare watchd with the engine after a churn."""

import json
import re
import threading
import time
from collections import Counter, deque
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import psutil

from tests.harness.engine import Engine
from tests.harness.waiting import slowdown, wait_until
from tests.harness.watchd_process import Daemon, running, watchd, write_config
from tests.soak.churn import PREFIX, Churn
from watchd.store import Store

SETTLES = 30.0  # seconds after the last thing that happened
SCRAPE_EVERY = 0.5  # seconds
RECENT = 6  # scrapes
MOST_RESIDENT = 96 << 20  # bytes, see docs/reliability.md
MOST_PER_CONTAINER = 20  # descriptors
MOST_BESIDES = 64
MOST_STALLS = 2  # of the machine, in which an engine answers nothing or events wait too long
STALL = re.compile(r" warning .*(?:did not answer in time|events .* were missed)")
CONTAINER = re.compile(r"/sys/fs/cgroup/.*[0-9a-f]{64}")
ACTIONS = ("create", "start", "die", "rename", "pause", "unpause", "kill", "destroy")
MOST_THREADS = 17  # that stay; those of a run, a listing or a survey are gone when it is done
CLEANUP = """
mode = "enforce"
grace = "2s"
jitter = "0s"
schedule = "5s"
[[cleanup.policies]]
name = "exited"
kind = "container"
when.finished_for = "3s"
[[cleanup.policies]]
name = "dangling"
kind = "image"
select.class = ["dangling"]
when.dangling_for = "3s"
"""


@dataclass
class Result:
    """Lines to print, and the differences between watchd and the engine."""

    lines: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def compare(self, what: str, ours: object, truth: object) -> None:
        """Note that one of watchd's answers should be the engine's."""
        self.lines.append(f"{what}: {truth}" if ours == truth else f"{what}: {ours}, but the engine says {truth}")
        if ours != truth:
            self.lost.append(what)

    def bound(self, what: str, value: float, most: float) -> None:
        """Note that a value should have a bound."""
        self.lines.append(f"{what}: {value:,.0f}, at most {most:,.0f}")
        if value > most:
            self.lost.append(f"{what} within its bound")


class Truth:
    """The engine's events, followed by a connection of its own."""

    def __init__(self, client: docker.DockerClient) -> None:
        self._stream = client.events(decode=True)
        self.events: list[Any] = []
        self._thread = threading.Thread(target=lambda: self.events.extend(self._stream), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Follow no more."""
        self._stream.close()
        self._thread.join(5)

    def destroyed(self) -> set[str]:
        """Return the IDs of the containers that went, but for those in which images are built."""
        gone = (event["Actor"] for event in self.events if (event["Type"], event["Action"]) == ("container", "destroy"))
        return {actor["ID"] for actor in gone if actor["Attributes"]["name"].startswith(PREFIX)}

    def counted(self, type_: str) -> Counter[str]:
        """Return how many events of a type there were, by action."""
        actions = (event["Action"].partition(":")[0] for event in self.events if event["Type"] == type_)
        return Counter(actions)


def soak(engine: Engine, directory: Path, *, minutes: float, seed: int) -> Result:
    """Put an engine under load beside a daemon, and compare the two."""
    result = Result()
    config = write_config(directory, engine.host, CLEANUP)
    with closing(engine.client()) as client, closing(engine.client()) as follower, running(config) as daemon:
        truth = Truth(follower)
        process = psutil.Process(daemon.process.pid)
        churn = Churn(engine, seed)
        resident, slowest, most_files = 0, 0.0, 0
        recent: deque[int] = deque(maxlen=RECENT)  # numbers of containers; descriptors close later
        until = time.monotonic() + minutes * 60
        with churn.under_way():
            while time.monotonic() < until:
                began = time.monotonic()
                daemon.scrape()
                slowest = max(slowest, time.monotonic() - began)
                resident = max(resident, process.memory_info().rss)
                recent.append(len(client.containers.list(all=True, sparse=True)))
                most_files = max(most_files, _descriptors(process, engine) - max(recent) * MOST_PER_CONTAINER)
                time.sleep(SCRAPE_EVERY)
        result.lines.append(", ".join(f"{number} {deed}" for deed, number in sorted(churn.done.items())))
        wait_until(lambda: _is_settled(daemon, client), seconds=SETTLES, what="what ended to go")
        knows_all = _compare(result, daemon, client, truth, churn)
        truth.stop()
        result.lines.append(f"the slowest scrape, parsing included: {slowest:.2f} s")
        result.bound("bytes resident", resident, MOST_RESIDENT)
        result.bound(f"descriptors besides {MOST_PER_CONTAINER} for each container", most_files, MOST_BESIDES)
        result.bound("threads that stay", _threads_that_stay(process), MOST_THREADS)
        if "Traceback" in daemon.log:
            result.lost.append("an error that nobody expected: see the log")
        engine_id = client.info()["ID"]
    with closing(Store.open(directory / "state")) as store:
        if knows_all:
            result.compare("ends on record", len(store.exits(engine_id)), truth.counted("container")["die"])
        open_ = [recorded for recorded in store.removals() if recorded.outcome is None]
        result.compare("removals without an outcome on record", len(open_), 0)
    recorded = json.loads(watchd("history", "--kind", "container", "--json", "-c", config).stdout)
    by_watchd = {row["id"] for row in recorded if row["outcome"] == "removed"}
    destroyed = truth.destroyed()
    result.compare("containers that went, and by whom", len(by_watchd | churn.removed), len(destroyed))
    result.compare("containers that both removed", len(by_watchd & churn.removed), 0)
    return result


def _descriptors(process: psutil.Process, engine: Engine) -> int:
    """Count its descriptors, but for the cgroups of containers of other engines, which other tests may have."""
    count = 0
    for descriptor in Path("/proc", str(process.pid), "fd").iterdir():
        with suppress(FileNotFoundError):
            to = str(descriptor.readlink())
            count += CONTAINER.search(to) is None or f"{engine.cgroup_parent}/" in to
    return count


def _threads_that_stay(process: psutil.Process) -> int:
    """Return how many threads there are between the runs, one of which may be under way, and slow."""
    began, counts = time.monotonic(), [process.num_threads()]
    while min(counts) > MOST_THREADS and time.monotonic() - began < 20 * slowdown():
        time.sleep(0.2)
        counts.append(process.num_threads())
    return min(counts)


def _is_settled(daemon: Daemon, client: docker.DockerClient) -> bool:
    """Return whether everything that policies remove is gone and the daemon has seen it."""
    listed = client.containers.list(all=True, sparse=True)
    ended = [each for each in listed if each.attrs["State"] in ("exited", "dead")]
    return not ended and daemon.value("watchd_containers") == len(listed)


def _compare(result: Result, daemon: Daemon, client: docker.DockerClient, truth: Truth, churn: Churn) -> bool:
    """Compare what there is and what happened. Return whether watchd followed the engine's events all the time."""
    wait_until(
        lambda: daemon.value("watchd_images") == len(client.images.list(all=True)), seconds=SETTLES, what="its images"
    )
    reconnections = daemon.value("watchd_event_stream_reconnects_total") or 0
    result.bound("reconnections", reconnections, min(MOST_STALLS, len(STALL.findall(daemon.log))))
    if reconnections:
        result.lines.append("the machine stood still, so events may have been lost: their numbers are not compared")
    listed = client.containers.list(all=True)
    running_ = {str(each.name) for each in listed if each.status in ("running", "paused")}

    def ours() -> dict[str, object]:
        shown = daemon.scrape()["watchd_containers"].items()
        told: dict[str, object] = {
            "series of what runs": sorted(daemon.names() ^ running_),
            "containers by state": {dict(labels)["state"]: int(value) for labels, value in shown if value},
            "containers removed by policy": int(daemon.value("watchd_prune_removed_total", kind="container") or 0),
        }
        if not reconnections:
            told["ends counted"] = int(daemon.value("watchd_exited_containers_total") or 0)
            for action in ACTIONS:
                counted = daemon.value("watchd_events_total", type="container", action=action)
                told[f"events {action}"] = int(counted or 0)
            drift = sum(daemon.scrape().get("watchd_reconciliation_drift_total", {}).values())
            told["containers that a list showed to be otherwise than events had told"] = int(drift)
        return told

    def real() -> dict[str, object]:
        events = truth.counted("container")
        return {
            "series of what runs": [],
            "containers by state": dict(Counter(each.status for each in listed)),
            "containers removed by policy": len(truth.destroyed() - churn.removed),
            "ends counted": events["die"],
            **{f"events {action}": events[action] for action in ACTIONS},
            "containers that a list showed to be otherwise than events had told": 0,
        }

    with suppress(TimeoutError):
        wait_until(lambda: ours().items() <= real().items(), seconds=SETTLES, what="the last events")
    there = real()
    for what, told in ours().items():
        result.compare(what, told, there[what])
    return not reconnections
