"""Sources of the table: the daemon on this state directory, or the same code in this process if none runs."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from watchd.cleanup.plan.rules.watermarks import disks_as_json
from watchd.config import Config
from watchd.engine.client import EngineClient
from watchd.engine.data import disks
from watchd.engine.own_container import find_own
from watchd.engine.watch.log_watch import LogWatch
from watchd.engine.watch.mirror import Mirror
from watchd.engine.watch.watcher import Watch
from watchd.errors import EngineError, EngineUnreachable, WatchdError
from watchd.http import private
from watchd.metrics.serving import Metrics
from watchd.model import Disk, Kind
from watchd.top.columns import Snapshot
from watchd.top.view import DISK, NETWORK

_LIST_TIMEOUT = 60.0  # seconds for the first list of containers
_READ_INTERVAL = 1.2  # seconds between readings, for rates
_RATES_TIMEOUT = {"cgroup": 3.0, "api": 8.0}  # seconds, by source
ENGINE_DOWN = "the engine does not answer: states and names are those from before"
_OTHER_VERSION = "the running watchd does not know {path}: it is another version, restart it"


class NotReady(WatchdError):
    """The daemon is still preparing the answer."""


class Feed(Protocol):
    """Source of the data that the daemon's API has. Its methods raise `WatchdError` if they cannot get it now."""

    by_daemon: bool

    def containers(self) -> Mapping[str, Any]:
        """Return all containers and their current use, as `/api/v1/containers`."""

    def tails(self) -> Mapping[str, Any]:
        """Return the latest points of each container, by ID."""

    def disks(self) -> Sequence[Mapping[str, Any]]:
        """Return the engine's disks with their watermarks."""

    def next_run(self) -> Mapping[str, Any] | None:
        """Return the next run; None without a daemon."""

    def close(self) -> None:
        """Close connections and stop threads."""


class DaemonFeed:
    """Query the daemon whose state is in `directory`."""

    by_daemon = True

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def containers(self) -> Mapping[str, Any]:
        """Query all containers."""
        return self._get("containers")

    def tails(self) -> Mapping[str, Any]:
        """Query the latest points of all containers."""
        tails: Mapping[str, Any] = self._get("series")["containers"]
        return tails

    def disks(self) -> Sequence[Mapping[str, Any]]:
        """Query the disks."""
        disks: Sequence[Mapping[str, Any]] = self._get("disk")["disks"]
        return disks

    def next_run(self) -> Mapping[str, Any]:
        """Query the next run."""
        return self._get("next")

    def close(self) -> None:
        """Each query has its own connection."""

    def _get(self, what: str) -> Mapping[str, Any]:
        path = f"/api/v1/{what}"
        status, body = private.get(self._directory, path)
        if status == 404:
            raise WatchdError(_OTHER_VERSION.format(path=path))
        if status == 202:
            raise NotReady(_error_text(body))
        if status != 200:
            raise WatchdError(_error_text(body))
        told: Mapping[str, Any] = json.loads(body)
        return told


class LocalFeed:
    """Watch the engine over a read-only connection in this process. Raise `EngineError` if that fails."""

    by_daemon = False

    def __init__(self, config: Config) -> None:
        self._cleanup = config.cleanup
        self._client = EngineClient(config.engine, read_only=True)
        self._client.ping()
        self._watch = Watch(self._client, Mirror())
        self._logs = LogWatch(self._watch.mirror)
        self._watch.add_listeners(self._logs)
        self._metrics = Metrics(config, self._client, self._watch)
        self._logs.start()
        self._watch.start()
        deadline = time.monotonic() + _LIST_TIMEOUT
        while not self._watch.ready:
            if time.monotonic() > deadline:
                self.close()
                raise EngineUnreachable(
                    f"the engine at {self._client.host} did not list its containers in {_LIST_TIMEOUT:.0f} s"
                )
            time.sleep(0.05)

    def containers(self) -> Mapping[str, Any]:
        """Read all containers."""
        if not self._watch.ready:
            raise EngineUnreachable(f"the engine at {self._client.host} does not answer: retrying")
        return self._metrics.overview.containers()

    def tails(self) -> Mapping[str, Any]:
        """Return the points since this process started."""
        tails: Mapping[str, Any] = self._metrics.overview.tails()["containers"]
        return tails

    def disks(self) -> Sequence[Mapping[str, Any]]:
        """Measure the disks."""
        return disks_as_json(disks.all_again(self._located), self._cleanup)

    def next_run(self) -> None:
        """Return None: only a daemon runs by schedule."""

    def close(self) -> None:
        """Stop watching."""
        self._watch.stop()
        self._logs.stop()
        self._metrics.close()
        self._client.close()

    @cached_property
    def _located(self) -> Mapping[Kind, Disk]:
        client = self._client
        measured = client.disks.measure(
            client.info(), client.containers(), client.volumes(), client.images(), find_own()
        )
        return measured.disks


def open_feed(config: Config) -> Feed:
    """Return the daemon's feed, or a local one if no daemon runs. Raise `WatchdError` if neither works."""
    directory = config.state.resolve()
    asked = DaemonFeed(directory)
    try:
        asked.containers()
    except private.NotRunning as no_daemon:
        try:
            return LocalFeed(config)
        except EngineError as error:
            raise WatchdError(f"{error}; and no daemon answers: {no_daemon}") from None
    return asked


def read_once(feed: Feed) -> Snapshot:
    """Return a complete snapshot. Rates need two readings, so this may take some seconds."""
    containers = feed.containers()
    deadline = time.monotonic() + _RATES_TIMEOUT[containers["source"]]
    while not _has_rates(containers) and time.monotonic() < deadline:
        time.sleep(_READ_INTERVAL)
        containers = feed.containers()
    snapshot = Snapshot(containers, feed.tails(), by_daemon=feed.by_daemon)
    if not containers["engine_up"]:
        return replace(snapshot, error=ENGINE_DOWN)
    try:
        snapshot = replace(snapshot, disks=feed.disks())
        return replace(snapshot, next_run=feed.next_run())
    except WatchdError as error:
        return replace(snapshot, error=str(error))


def _has_rates(containers: Mapping[str, Any]) -> bool:
    """Return whether any running container has a rate, or none runs."""
    running = [row for row in containers["containers"] if row["state"] == "running"]
    return not running or any(row[name] is not None for row in running for name in ("cpu_cores", *NETWORK, *DISK))


def _error_text(body: bytes) -> str:
    """Return the error text of a response."""
    try:
        return str(json.loads(body)["error"])
    except (ValueError, LookupError, TypeError):
        return body.decode(errors="replace").strip()
