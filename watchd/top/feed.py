"""Where the table has it from: the daemon on this state directory, or where none runs the same code in this process."""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from watchd.config import Config
from watchd.engine import disk
from watchd.engine.client import EngineClient
from watchd.engine.own import find_own
from watchd.engine.watch import Watch
from watchd.errors import EngineError, EngineUnreachable, WatchdError
from watchd.metrics.serving import Metrics
from watchd.model import Disk, Kind
from watchd.prune.pressure import marked
from watchd.top.columns import Known
from watchd.top.view import DISK, NETWORK
from watchd.web import private

INTERVAL = 2.0  # seconds
_SELDOM = 10.0  # seconds: the disks, the next run and the graphs change slowly
_LONGEST_LIST = 60.0  # seconds that an engine may take to list its containers
_BETWEEN = 1.2  # seconds between two readings, for rates
_FIRST_RATES = {"cgroup": 3.0, "api": 8.0}  # seconds that the first ones are waited for
_OLDER = "the watchd that runs has no {path}: it is another version, start it again"


_ENGINE_DOWN = "the engine does not answer: states and names are those from before"


class NotYet(WatchdError):
    """The daemon has no answer to that at the moment."""


class Feed(Protocol):
    """Tells what the daemon's JSON does. Raise `WatchdError` where that is not to be had now."""

    by_daemon: bool

    def containers(self) -> Mapping[str, Any]:
        """Return all containers, and what they use now."""

    def tails(self) -> Mapping[str, Any]:
        """Return the last points of those that have any, by ID."""

    def disks(self) -> Sequence[Mapping[str, Any]]:
        """Return the engine's disks with their marks."""

    def next_run(self) -> Mapping[str, Any] | None:
        """Return the next run; None: nobody cleans by schedule."""

    def close(self) -> None:
        """Let go of everything."""


class DaemonFeed:
    """Asks the daemon whose state is in `directory`."""

    by_daemon = True

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def containers(self) -> Mapping[str, Any]:
        """Ask for all containers."""
        return self._ask("containers")

    def tails(self) -> Mapping[str, Any]:
        """Ask for the last points of all of them."""
        tails: Mapping[str, Any] = self._ask("series")["containers"]
        return tails

    def disks(self) -> Sequence[Mapping[str, Any]]:
        """Ask for the disks."""
        disks: Sequence[Mapping[str, Any]] = self._ask("disk")["disks"]
        return disks

    def next_run(self) -> Mapping[str, Any]:
        """Ask for the next run."""
        return self._ask("next")

    def close(self) -> None:
        """Nothing is kept."""

    def _ask(self, what: str) -> Mapping[str, Any]:
        path = f"/api/v1/{what}"
        status, body = private.ask(self._directory, path)
        if status == 404:
            raise WatchdError(_OLDER.format(path=path))
        if status == 202:
            raise NotYet(_why(body))
        if status != 200:
            raise WatchdError(_why(body))
        told: Mapping[str, Any] = json.loads(body)
        return told


class OwnFeed:
    """Watches the engine itself, over a connection that only reads. Raise `EngineError` where it cannot."""

    by_daemon = False

    def __init__(self, config: Config) -> None:
        self._cleanup = config.cleanup
        self._client = EngineClient(config.engine, read_only=True)
        self._client.ping()
        self._watch = Watch(self._client)
        self._metrics = Metrics(config, self._client, self._watch)
        self._watch.start()
        deadline = time.monotonic() + _LONGEST_LIST
        while not self._watch.ready:
            if time.monotonic() > deadline:
                self.close()
                raise EngineUnreachable(
                    f"the engine at {self._client.host} did not list its containers in {_LONGEST_LIST:.0f} s"
                )
            time.sleep(0.05)

    def containers(self) -> Mapping[str, Any]:
        """Read all containers."""
        if not self._watch.ready:
            raise EngineUnreachable(f"the engine at {self._client.host} does not answer: trying again")
        return self._metrics.overview.containers()

    def tails(self) -> Mapping[str, Any]:
        """Return the points since the start."""
        tails: Mapping[str, Any] = self._metrics.overview.tails()["containers"]
        return tails

    def disks(self) -> Sequence[Mapping[str, Any]]:
        """Measure the disks."""
        return marked(disk.all_again(self._located), self._cleanup)

    def next_run(self) -> None:
        """Nobody cleans by schedule."""

    def close(self) -> None:
        """Stop watching."""
        self._watch.stop()
        self._metrics.close()
        self._client.close()

    @cached_property
    def _located(self) -> Mapping[Kind, Disk]:
        client = self._client
        return disk.measure(client.info(), client.containers(), client.images(), find_own())


def feed_for(config: Config) -> Feed:
    """Return the daemon's, else this process's own. Raise `WatchdError` where neither can be."""
    directory = config.state.resolve()
    asked = DaemonFeed(directory)
    try:
        asked.containers()
    except private.NotRunning as no_daemon:
        try:
            return OwnFeed(config)
        except EngineError as error:
            raise WatchdError(f"{error}; nor is there a daemon to ask: {no_daemon}") from None
    return asked


def once(feed: Feed) -> Known:
    """Return all that is to be known, with rates: where there are none yet, after further readings."""
    containers = feed.containers()
    deadline = time.monotonic() + _FIRST_RATES[containers["source"]]
    while not _has_rates(containers) and time.monotonic() < deadline:
        time.sleep(_BETWEEN)
        containers = feed.containers()
    known = Known(containers, feed.tails(), by_daemon=feed.by_daemon)
    if not containers["engine_up"]:
        return replace(known, trouble=_ENGINE_DOWN)
    try:
        known = replace(known, disks=feed.disks())
        return replace(known, next_run=feed.next_run())
    except WatchdError as error:
        return replace(known, trouble=str(error))


def _has_rates(containers: Mapping[str, Any]) -> bool:
    """Whether something is known of how fast those that run use anything; true where none does."""
    running = [row for row in containers["containers"] if row["state"] == "running"]
    return not running or any(row[name] is not None for row in running for name in ("cpu_cores", *NETWORK, *DISK))


def _why(body: bytes) -> str:
    """Return what an answer says of why it is none."""
    try:
        return str(json.loads(body)["error"])
    except (ValueError, LookupError, TypeError):
        return body.decode(errors="replace").strip()


class Follower:
    """Asks a feed again and again, in threads of its own from `start` to `stop`; `known` is the last of it.

    What may take the daemon long (a plan) keeps nobody from seeing what containers use.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._follow, args=each, name="watchd-top", daemon=True)
            for each in ((self._containers, INTERVAL), (self._rest, _SELDOM))
        ]
        self._tails_at = 0.0  # monotonic
        self._troubles: dict[Callable[[], None], str] = {}  # by what is asked
        self.known = Known(by_daemon=feed.by_daemon)

    def start(self) -> None:
        """Begin to ask."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._stopping.set()

    def _follow(self, ask: Callable[[], None], interval: float) -> None:
        wait = 0.0
        while not self._stopping.wait(wait):
            wait = interval
            trouble = ""
            try:
                ask()
            except NotYet:
                wait = INTERVAL
            except WatchdError as error:
                trouble = str(error)
            with self._lock:
                self._troubles[ask] = trouble
                told = "; ".join(dict.fromkeys(each for each in self._troubles.values() if each))
                self.known = replace(self.known, trouble=told)

    def _containers(self) -> None:
        containers = self._feed.containers()
        self._learn(containers=containers)
        if time.monotonic() >= self._tails_at:
            self._tails_at = time.monotonic() + _SELDOM
            self._learn(tails=self._feed.tails())
        if not containers["engine_up"]:
            raise WatchdError(_ENGINE_DOWN)

    def _rest(self) -> None:
        self._learn(disks=self._feed.disks())
        self._learn(next_run=self._feed.next_run())

    def _learn(self, **news: Any) -> None:
        with self._lock:
            self.known = replace(self.known, **news)
