"""The daemon: what `watchd run` is composed of, and the order in which it starts and stops."""

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from prometheus_client import Gauge

from watchd import __version__, log, process
from watchd.api import Api
from watchd.cleaning import Cleaning
from watchd.config import Config
from watchd.engine.client import EngineClient
from watchd.engine.connection import Requests
from watchd.engine.last_events import LastEvents
from watchd.engine.watch import Watch
from watchd.errors import ConfigError, DamagedState, StateError, WatchdError
from watchd.locks import Locked, hold
from watchd.metrics import exposition
from watchd.metrics.serving import Metrics
from watchd.page import Page
from watchd.preview import Preview
from watchd.prune.recorder import Lists, Recorder
from watchd.prune.tally import Tally
from watchd.prune.usage import TICK_INTERVAL, Usage
from watchd.pulse import Pulse
from watchd.signals import Signals
from watchd.store import Store
from watchd.survey import Survey
from watchd.systemd import Systemd
from watchd.units import format_time
from watchd.web.access import Access
from watchd.web.application import Query, Response
from watchd.web.private import SOCKET
from watchd.web.server import Server

logger = logging.getLogger(__name__)

TRIM_INTERVAL = 3600.0  # seconds
DAEMON_LOCK = "daemon.lock"
LONGEST_TURN = 300.0  # seconds that the HTTP server's event loop may take for one
# What of the configuration takes effect at the start alone: all else depends on it.
_FIXED = frozenset(("engine", "metrics"))
_FIXED_KEYS = frozenset((("state", "directory"), ("http", "listen")))


def run(config: Config, load: Callable[[], Config]) -> NoReturn:
    """Watch, serve and clean until SIGTERM or SIGINT, and end the process; at SIGHUP `load` anew."""
    process.prepare()
    directory = config.state.resolve()
    with ExitStack() as stack:
        signals = stack.enter_context(Signals((signal.SIGTERM, signal.SIGINT, signal.SIGHUP)))
        failed = process.end_when_a_thread_dies(signals)
        store = _opened(directory)
        stack.callback(store.close)
        stack.enter_context(_alone(store))
        daemon = Daemon(config, store)
        stack.callback(daemon.close)
        daemon.start()
        _go_on(daemon, signals, load)
        logger.info("stopping")
    # The interpreter would wait for its pools' threads: for a run or a request under way, and these for the engine.
    process.end(1 if failed.is_set() else 0)


def _go_on(daemon: "Daemon", signals: Signals, load: Callable[[], Config]) -> None:
    """Tick, and tell systemd that this goes on, until the end."""
    systemd = Systemd()
    ready = ("READY=1", f"STATUS=metrics at {daemon.address}")
    systemd.tell(*ready)
    interval = systemd.watchdog_interval or TICK_INTERVAL
    tell_at = time.monotonic() + interval
    tick_at = time.monotonic() + TICK_INTERVAL
    while (number := signals.take(min(tell_at, tick_at) - time.monotonic())) in (None, signal.SIGHUP):
        if number == signal.SIGHUP:
            systemd.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
            daemon.reload(load)
            systemd.tell(*ready)
        if time.monotonic() >= tell_at:
            tell_at = time.monotonic() + interval
            process.end_if_stuck(daemon.feel_pulses())
            if systemd.watchdog_interval:
                systemd.tell("WATCHDOG=1")
        if time.monotonic() >= tick_at:
            tick_at = time.monotonic() + TICK_INTERVAL
            daemon.tick()
    systemd.tell("STOPPING=1")


class Daemon:
    """The parts, wired."""

    def __init__(self, config: Config, store: Store) -> None:
        self._config = config
        self._store = store
        self._trim_at = 0.0  # monotonic
        requests = Requests()
        watcher = EngineClient(config.engine, read_only=True, requests_made=requests)
        self._usage = Usage(store, writable=True, count_unwatched=config.cleanup.count_unwatched)
        self._watch = Watch(watcher)
        self._metrics = Metrics(config, watcher, self._watch)
        self._recorder = Recorder(
            Lists(self._metrics.list_images, watcher.networks, watcher.volumes, watcher.past_events), self._usage
        )
        tally = Tally(store.last_runs())
        self._metrics.show(tally)
        text = "1 while the configuration in force is that of the file, 0 after a reload that was refused."
        self._reloaded = Gauge("watchd_config_last_reload_successful", text, registry=None)
        self._reloaded.set(1)
        self._metrics.show(self._reloaded)
        self._cleaning = Cleaning(config, store, self._usage, requests, tally)
        self._preview = Preview(watcher, config.cleanup, self._usage, self._metrics.sizes)
        self._survey = Survey(watcher, config.cleanup, self._usage)
        events = LastEvents()
        self._watch.tell(self._recorder, events)
        api = Api(self._metrics.overview, self._preview, self._cleaning.next_run)
        page = Page(self._preview, self._survey, store, events)
        self._serving = Pulse("the HTTP server", LONGEST_TURN)
        self._server = Server(
            config.http.listen,
            {
                "/metrics": lambda _: Response(self._metrics.page(), exposition.CONTENT_TYPE, gzipped=True),
                "/healthz": lambda _: Response(b"ok\n"),
                "/readyz": self._readiness,
                **api.routes,
                **page.routes,
            },
            Access(config.http),
            private=store.path.with_name(SOCKET),
        )

    def start(self) -> None:
        """Start watching, serving and cleaning. Raise `WatchdError` when the address cannot be listened on."""
        logger.info("watchd %s, engine %s, state in %s", __version__, self._config.engine.host, self._store.path.parent)
        self._server.start()
        logger.info("metrics at %s", self.address)
        self._recorder.start()
        self._metrics.start()
        self._watch.start()
        self._cleaning.start()

    @property
    def address(self) -> str:
        """Where the metrics are."""
        http = self._config.http
        return f"http{'s' if http.tls_cert else ''}://{http.listen}/metrics"

    def feel_pulses(self) -> tuple[Pulse, ...]:
        """Return what shows that all of it makes progress. What may wait for long is woken to show it."""
        self._serving.prod(lambda: self._server.call(self._serving.rest))
        self._cleaning.wake()
        parts = (self._serving, self._recorder.pulse)
        return *self._watch.pulses, *parts, *self._metrics.pulses, *self._cleaning.pulses

    def reload(self, load: Callable[[], Config]) -> None:
        """Go by what `load` returns from now on. Where that cannot be, all stays as it is."""
        before = self._config
        try:
            config, fixed = _as_far_as_possible(before, load())
            access = Access(config.http)
        except ConfigError as error:
            for problem in error.problems:
                logger.error("configuration: %s", problem)  # noqa: TRY400 - its traceback says nothing more
            logger.error("the configuration is not read again: the one from before stays in force")  # noqa: TRY400 - the same
            self._reloaded.set(0)
            return
        self._config = config
        log.set_up(config.log.level, config.log.format)
        self._server.admit(access)
        if config.cleanup != before.cleanup:
            self._usage.count_unwatched = config.cleanup.count_unwatched
            self._cleaning.replace(config.cleanup)
            self._preview.replace(config.cleanup)
            self._survey.replace(config.cleanup)
        for key in fixed:
            logger.warning("%s has changed: that takes effect when watchd is started again", key)
        self._reloaded.set(1)
        logger.info("the configuration was read again")

    def tick(self) -> None:
        """Put on record what there is: that the engine is still watched, if it is, and which containers ended."""
        if self._watch.ready:
            self._recorder.tick()
        self._metrics.save(self._store)
        self._preview.tick()
        if time.monotonic() >= self._trim_at:
            self._trim_at = time.monotonic() + TRIM_INTERVAL
            state = self._config.state
            try:
                self._store.trim(before=time.time() - state.keep_history, most=state.max_size)
            except StateError as error:
                logger.warning("what is on record is not trimmed: %s", error)

    def close(self) -> None:
        """Stop in the reverse order: no new run, no new request, no new event. Takes some seconds at the most."""
        if not self._cleaning.stop():
            logger.warning("a run is still under way: what it is at is on record without its outcome")
        self._server.stop()
        self._watch.stop()
        self._recorder.stop()
        self._metrics.close()
        self._metrics.save(self._store)

    def _readiness(self, _: Query) -> Response:
        if self._watch.ready:
            return Response(b"ready\n")
        return Response(b"the engine's containers are not listed, or its event stream is not connected\n", status=503)


def _opened(directory: Path) -> Store:
    """Open the state. A damaged database is moved aside, for monitoring to go on: what is lost is time, never data."""
    try:
        store = Store.open(directory)
        store.check()
    except DamagedState as error:
        aside = error.path.with_name(f"{error.path.name}.damaged-{format_time(time.time())}")
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                error.path.with_name(error.path.name + suffix).rename(f"{aside}{suffix}")
        logger.error("%s; it is %s now, and everything on the engine counts as having just arrived", error, aside)  # noqa: TRY400 - its traceback says nothing more
        return Store.open(directory)
    return store


@contextmanager
def _alone(store: Store) -> Iterator[None]:
    """Hold the daemon's lock on the state directory."""
    path = store.path.with_name(DAEMON_LOCK)
    try:
        with hold(path, f"watchd run, process {os.getpid()}"):
            yield
    except Locked as error:
        raise WatchdError(
            f"another watchd is running on the state directory {path.parent} ({error.holder}): stop it, or give this"
            " one a directory of its own with [state] directory"
        ) from None


def _as_far_as_possible(before: Config, after: Config) -> tuple[Config, list[str]]:
    """Return what of a new configuration can be taken over by what runs, and the keys of the rest."""
    old, new = before.model_dump(), after.model_dump()
    changed = {(section, key) for section in new for key in new[section] if new[section][key] != old[section][key]}
    fixed = {(section, key) for section, key in changed if section in _FIXED or (section, key) in _FIXED_KEYS}
    sections: dict[str, Any] = {}
    for section, key in fixed:
        kept = {key: getattr(getattr(before, section), key)}
        sections[section] = sections.get(section, getattr(after, section)).model_copy(update=kept)
    return after.model_copy(update=sections), sorted(f"{section}.{key}" for section, key in fixed)
