"""The engine and the state of one command."""

from contextlib import suppress
from types import TracebackType
from typing import Self

from watchd.config import Config
from watchd.errors import StateError

# ruff: noqa: PLC0415 - see watchd/cli/__init__.py


class Session:
    """Open the engine and the state for `prune`, `explain` or `df`; close both at the end.

    With `read_only` the engine is only read, and state that cannot be written is read, or empty: `state_error` then
    has the reason.
    """

    def __init__(self, config: Config, *, read_only: bool) -> None:
        from watchd.cleanup.observe.observer import Observer
        from watchd.cli.progress import inspecting_progress
        from watchd.engine.client import EngineClient
        from watchd.runtime.locks import is_held
        from watchd.store import Store
        from watchd.store.daemon_state import DAEMON_LOCK

        self.cleanup = config.cleanup
        self.client = EngineClient(config.engine, read_only=read_only)
        self.client.progress = inspecting_progress
        self.store: Store | None = None
        self.state_error: StateError | None = None
        directory = config.state.resolve()
        try:
            self.store = Store.open(directory)
        except StateError as error:
            if not read_only:
                raise
            self.state_error = error
            with suppress(StateError):  # without any state, everything counts as having just arrived
                self.store = Store.open_read_only(directory)
        self.observer = Observer(
            self.store,
            writable=self.state_error is None,
            count_unwatched=config.cleanup.count_unwatched,
            beside_daemon=is_held(directory / DAEMON_LOCK),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.client.close()
        if self.store is not None:
            self.store.close()
