"""The daemon: the parts of `watchd run`, and the order in which they start and stop."""

import logging
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NoReturn

from prometheus_client import Gauge

from watchd import __version__
from watchd.api.advising import Advising
from watchd.api.container_details import Details
from watchd.api.endpoints import Api
from watchd.api.page_endpoints import Page
from watchd.api.preview import Preview
from watchd.api.survey import Survey
from watchd.cleanup import report
from watchd.cleanup.daemon.cleaner import Cleaner, CleanerParts
from watchd.cleanup.daemon.disk_watch import locate_disks, measured_view
from watchd.cleanup.daemon.prune_metrics import PruneMetrics
from watchd.cleanup.evidence.evidence import Evidence
from watchd.cleanup.observe.observer import TICK_INTERVAL, Observer
from watchd.cleanup.observe.recorder import Recorder
from watchd.cleanup.report import notification
from watchd.cleanup.report.notification import Notification
from watchd.config import Config
from watchd.engine.client import EngineClient
from watchd.engine.watch.log_watch import LogWatch
from watchd.engine.watch.mirror import Mirror
from watchd.engine.watch.recent_events import LastEvents
from watchd.engine.watch.sizes import Sizes
from watchd.engine.watch.watcher import Watch
from watchd.errors import StateError, WatchdError
from watchd.http.access import read_access
from watchd.http.application import Query, Response
from watchd.http.listening import is_unix
from watchd.http.private import SOCKET
from watchd.http.server import Server
from watchd.metrics import exposition
from watchd.metrics.serving import Metrics
from watchd.model import EngineView, Event
from watchd.notify.notifier import Message, Notifier
from watchd.runtime import gc, log, process
from watchd.runtime.signals import Signals
from watchd.runtime.systemd import Systemd
from watchd.store import Recorded, Store
from watchd.store.daemon_state import open_for_daemon

logger = logging.getLogger(__name__)

TRIM_INTERVAL = 3600.0  # seconds
RUN_END_WAIT = 2.5  # seconds that the end of the daemon waits for the current object of a run
# Settings that take effect only at the start, since everything else depends on them.
_FIXED = frozenset(("engine", "metrics"))
_FIXED_KEYS = frozenset((("state", "directory"), ("http", "listen")))


def run(config: Config, load: Callable[[], Config], file: Path | None) -> NoReturn:
    """Watch, serve and clean until SIGTERM or SIGINT, then end the process; reload at SIGHUP.

    `file` is the configuration as named on the command line, for commands that the daemon runs.
    """
    process.prepare()
    with ExitStack() as stack:
        signals = stack.enter_context(Signals((signal.SIGTERM, signal.SIGINT, signal.SIGHUP)))
        failed = process.end_when_a_thread_dies(signals)
        store = stack.enter_context(open_for_daemon(config.state.resolve()))
        daemon = Daemon(config, store, file)
        stack.callback(daemon.close)
        daemon.start()
        _main_loop(daemon, signals, load)
        logger.info("stopping")
    # The interpreter would wait for its pools' threads: for a run or a request under way, and these for the engine.
    process.end(1 if failed.is_set() else 0)


def _main_loop(daemon: "Daemon", signals: Signals, load: Callable[[], Config]) -> None:
    """Tick, check the watchdog and notify systemd, until a signal to stop."""
    systemd = Systemd()
    ready = ("READY=1", f"STATUS=metrics at {daemon.address}")
    systemd.notify(*ready)
    interval = systemd.watchdog_interval or TICK_INTERVAL
    tell_at = time.monotonic() + interval
    tick_at = time.monotonic() + TICK_INTERVAL
    while (number := signals.take(min(tell_at, tick_at) - time.monotonic())) in (None, signal.SIGHUP):
        if number == signal.SIGHUP:
            systemd.notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
            daemon.reload(load)
            systemd.notify(*ready)
        if time.monotonic() >= tell_at:
            tell_at = time.monotonic() + interval
            daemon.probe()
            process.abort_if_stuck()
            if systemd.watchdog_interval:
                systemd.notify("WATCHDOG=1")
        if time.monotonic() >= tick_at:
            tick_at = time.monotonic() + TICK_INTERVAL
            daemon.tick()
    systemd.notify("STOPPING=1")


class Daemon:
    """The parts, wired."""

    def __init__(self, config: Config, store: Store, file: Path | None = None) -> None:
        self._config = config
        self._store = store
        self._trim_at = 0.0  # monotonic
        watcher = EngineClient(config.engine, read_only=True)
        mirror = Mirror()
        self._watch = Watch(watcher, mirror)
        self._sizes = Sizes(watcher, mirror)
        self._logs = LogWatch(mirror)
        coverage = self._watch.coverage
        count_unwatched = config.cleanup.count_unwatched
        self._observer = Observer(store, writable=True, count_unwatched=count_unwatched, unwatched=coverage.unwatched)
        self._metrics = Metrics(config, watcher, self._watch)
        self._recorder = Recorder(watcher, self._observer, coverage)
        self._notifier = Notifier(config.notify.urls)
        self._prune_metrics = PruneMetrics(store.last_runs())
        self._metrics.add_collector("cleanup", self._prune_metrics)
        text = "1 while the configuration in force is that of the file, 0 after a reload that was refused."
        self._reloaded = Gauge("watchd_config_last_reload_successful", text, registry=None)
        self._reloaded.set(1)
        self._metrics.add_collector("config", self._reloaded)
        self._evidence = Evidence(
            store, config.cleanup, self._on_regrets, lambda: measured_view(mirror.view, watcher.disks)
        )
        cleaner = CleanerParts(
            connect=lambda read_only: EngineClient(config.engine, read_only=read_only, beside=watcher),
            store=store,
            observer=self._observer,
            metrics=self._prune_metrics,
            locate_disks=lambda: locate_disks(mirror.view, watcher.disks),
            followed=self._watch.followed,
            on_fresh_view=self._on_fresh_view,
            notify=self._notify,
        )
        self._cleaner = Cleaner(config.cleanup, cleaner)
        self._preview = Preview(mirror, self._sizes, config.cleanup, self._observer, watcher.disks)
        self._survey = Survey(mirror, self._sizes, config.cleanup, self._observer, watcher.disks)
        events = LastEvents()
        self._watch.add_listeners(self._recorder, self._sizes, self._logs, events, self._evidence, self)
        api = Api(
            self._metrics.overview,
            self._metrics.networks,
            self._preview,
            next_run=lambda: self._cleaner.next_run(),  # noqa: PLW0108 - a reload makes another cleaner
            last_runs=store.last_runs,
            disk_marks=lambda since: store.disk_marks(mirror.view.engine.id, since=since),
        )
        details = Details(watcher, mirror, store)
        self._advising = Advising(config.state.resolve(), file)
        page = Page(self._preview, self._survey, store, events, config.state.resolve())
        self._server = Server(
            config.http.addresses,
            {
                "/metrics": lambda _: Response(self._metrics.page(), exposition.CONTENT_TYPE, gzipped=True),
                "/healthz": lambda _: Response(b"ok\n"),
                "/readyz": self._readiness,
                **api.routes,
                **details.routes,
                **page.routes,
                **self._advising.routes,
            },
            read_access(config.http),
            private=store.path.with_name(SOCKET),
        )

    def start(self) -> None:
        """Start watching, serving and cleaning. Raise `WatchdError` when the address cannot be listened on."""
        logger.info("watchd %s, engine %s, state in %s", __version__, self._config.engine.host, self._store.path.parent)
        self._server.start()
        logger.info("metrics at %s", self.address)
        self._recorder.start()
        self._evidence.start()
        self._sizes.start()
        self._logs.start()
        self._metrics.start()
        self._watch.start()
        self._notifier.start()
        self._cleaner.start()

    @property
    def address(self) -> str:
        """URLs of the metrics; of UNIX sockets the path."""
        http = self._config.http
        scheme = "https" if http.tls_cert else "http"
        named = (f"localhost{each}" if each.startswith(":") else each for each in http.addresses)
        return ", ".join(each if is_unix(each) else f"{scheme}://{each}/metrics" for each in named)

    def on_events(self, events: Sequence[Event], before: EngineView, after: EngineView, *, listed: bool) -> None:  # noqa: ARG002 - Listener's
        """Pass events on to the cleaner, which a reload replaces."""
        self._cleaner.on_events(events)

    def _on_fresh_view(self, view: EngineView) -> None:
        self._watch.compare(view)
        self._evidence.on_fresh_view(view)

    def _on_regrets(self, regrets: Sequence[Recorded]) -> None:
        self._prune_metrics.on_regrets(regrets)
        for regret in regrets:
            logger.info("%s", report.regretted(regret))
        told = notification.of_regrets(regrets, self._watch.mirror.view.engine)
        if told is not None:
            self._notify(told)

    def _notify(self, told: Notification) -> None:
        self._notifier.send(Message(told.title, told.body, is_failure=told.is_failure))

    def probe(self) -> None:
        """Wake the threads that may wait for long, so that their heartbeats tell whether they are stuck."""
        self._server.probe()
        self._cleaner.wake()

    def reload(self, load: Callable[[], Config]) -> None:
        """Apply the configuration that `load` returns. If it is not valid, change nothing."""
        before = self._config
        try:
            config, fixed = _as_far_as_possible(before, load())
            access = read_access(config.http)
        except WatchdError as error:
            self._reloaded.set(0)
            for problem in str(error).splitlines():
                logger.error("configuration: %s", problem)  # noqa: TRY400 - its traceback says nothing more
            logger.error("the configuration is not read again: the previous one stays in force")  # noqa: TRY400 - the same
            return
        self._config = config
        log.set_up(config.log.level, config.log.format)
        self._server.replace_access(access)
        self._notifier.replace(config.notify.urls)
        self._advising.forget()
        if config.cleanup != before.cleanup:
            self._evidence.replace(config.cleanup)
            self._observer.count_unwatched = config.cleanup.count_unwatched
            self._cleaner = self._cleaner.replaced_by(config.cleanup)
            self._cleaner.start()
            self._preview.replace(config.cleanup)
            self._survey.replace(config.cleanup)
        for key in fixed:
            logger.warning("%s has changed: that takes effect when watchd is started again", key)
        self._reloaded.set(1)
        logger.info("the configuration was read again")

    def tick(self) -> None:
        """Record that the engine is still watched, and ends of containers; trim state and memory once an hour."""
        if self._watch.ready:
            self._recorder.tick()
            self._evidence.tick()
        self._metrics.save(self._store)
        self._preview.tick()
        self._metrics.overview.tick()
        if time.monotonic() >= self._trim_at:
            self._trim_at = time.monotonic() + TRIM_INTERVAL
            gc.tidy()
            state = self._config.state
            try:
                self._store.trim(before=time.time() - state.keep_history, most=state.max_size)
            except StateError as error:
                logger.warning("the state is not trimmed: %s", error)

    def close(self) -> None:
        """Stop in the reverse order: no new run, no new request, no new event. Takes some seconds at the most."""
        self._cleaner.close()
        if not self._cleaner.wait_until_idle(RUN_END_WAIT):
            logger.warning("a run is still under way: the next one records the outcome of its current object")
        self._notifier.stop()
        self._server.stop()
        self._advising.stop()
        self._watch.stop()
        self._recorder.stop()
        self._evidence.stop()
        self._sizes.stop()
        self._logs.stop()
        self._metrics.close()
        self._metrics.save(self._store)

    def _readiness(self, _: Query) -> Response:
        if self._watch.ready:
            return Response(b"ready\n")
        return Response(b"the engine's containers are not listed, or its event stream is not connected\n", status=503)


def _as_far_as_possible(before: Config, after: Config) -> tuple[Config, list[str]]:
    """Return the new configuration with the settings that need a restart as before, and their keys."""
    sections: dict[str, Any] = {}
    fixed: list[str] = []
    for section in (field.name for field in fields(Config)):
        old, new = getattr(before, section), getattr(after, section)
        kept = {
            field.name: getattr(old, field.name)
            for field in fields(new)
            if section in _FIXED or (section, field.name) in _FIXED_KEYS
        }
        fixed += [f"{section}.{key}" for key, value in kept.items() if getattr(new, key) != value]
        sections[section] = replace(new, **kept)
    return Config(**sections), sorted(fixed)
