"""What `prune` and `explain` work with: the engine, the state, a plan."""

import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING

import click

from watchd.cli.output import say
from watchd.config import Config
from watchd.errors import EngineError, StateError

if TYPE_CHECKING:
    from watchd.model import ImageUsage
    from watchd.prune.plan import Outcomes, Plan
    from watchd.prune.run import Prepared

# ruff: noqa: PLC0415 - see watchd/cli/__init__.py


class Session:
    """The connection and the state of one command."""

    def __init__(self, config: Config, *, dry_run: bool) -> None:
        from watchd.engine.client import EngineClient
        from watchd.prune.usage import Usage
        from watchd.store import Store

        self._config = config
        self._trouble: StateError | None = None
        self._client = EngineClient(config.engine, read_only=dry_run)
        directory = config.state.resolve()
        self._store: Store | None = None
        try:
            self._store = Store.open(directory)
        except StateError as error:
            if not dry_run:
                raise
            self._trouble = error
            with suppress(StateError):  # not even to be read: then everything has only just come
                self._store = Store.open_read_only(directory)
        self._usage = Usage(self._store, writable=self._trouble is None, count_unwatched=config.cleanup.count_unwatched)

    def prepare(self, names: tuple[str, ...] = (), at: Callable[[float], float] | None = None) -> "Prepared":
        """Look and plan for the policies of these names (none: all), for now or the time that `at` tells."""
        from watchd.prune.planner import Occasion
        from watchd.prune.run import prepare

        return prepare(self._client, self._config.cleanup, self._usage, occasion=Occasion(due=names or None), at=at)

    def image_usage(self) -> "ImageUsage | None":
        """Return what the layers of images take, None where the engine does not tell."""
        try:
            return self._client.image_usage()
        except EngineError as error:
            click.echo(f"Note: what images take is not known: {error}", err=True)
            return None

    def take_all(self, images: "ImageUsage | None") -> "Prepared":
        """Look at everything, with all sizes, also of what there is no policy for, and plan."""
        from watchd.prune.run import prepare_all

        return prepare_all(self._client, self._config.cleanup, self._usage, images)

    def carry_out(self, prepared: "Prepared", *, quiet: bool) -> "Outcomes":
        """Act on a plan, and tell each outcome: to stderr where stdout is for JSON. A signal ends it in good order."""
        from watchd.cli.progress import telling
        from watchd.prune.run import carry_out

        stop = threading.Event()

        def interrupted(number: int, _frame: FrameType | None) -> None:
            stop.set()
            signal.signal(number, signal.SIG_DFL)  # who asks twice does not want to wait

        def tell(line: str) -> None:
            with suppress(OSError):  # a reader that went away ends no run
                say([line], err=quiet)

        assert self._store is not None  # noqa: S101 - without one only a dry run gets this far
        for number in (signal.SIGINT, signal.SIGTERM):  # the item in hand is finished and recorded
            signal.signal(number, interrupted)
        try:
            with telling(len(prepared.plan.in_force), tell, bar=not quiet and sys.stdout.isatty()) as done:
                return carry_out(prepared, self._client, self._store, stop=stop, done=done)
        finally:
            self._trim()

    def _trim(self) -> None:
        """Forget what has been on record for long: where no daemon runs nobody else does."""
        state = self._config.state
        with suppress(StateError):
            if self._store is not None:
                self._store.trim(before=time.time() - state.keep_history, most=state.max_size)

    def notes(self, plan: "Plan") -> list[str]:
        """Return what to tell beside the plan."""
        notes = []
        if self._trouble is not None:
            notes.append(f"Note: clocks were not recorded: {self._trouble}")
        for kind, error in plan.incomplete.items():
            notes.append(f"Note: {kind.replace('_', ' ')}s could not be judged, nor what rests on them: {error}")
        notes += [
            f"Note: {item.kind} {item.name}: {item.facts['warning']}" for item in plan.items if "warning" in item.facts
        ]
        reported = sorted(
            {str(item.policy) for item in plan.items if item.action == "remove" and item.mode == "report"}
        )
        if reported:
            notes.append(
                f"Note: in report mode, so nothing of it goes: {', '.join(reported)}. To have a policy remove, set"
                ' mode = "enforce" in it, or in [cleanup] for all.'
            )
        return notes
