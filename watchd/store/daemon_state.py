"""The state of the daemon: locked first, then opened; a damaged database is moved aside."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

from watchd.errors import DamagedState, WatchdError
from watchd.runtime.locks import Locked, hold
from watchd.store.database.connection import FILES, make_directory
from watchd.store.store import Store
from watchd.units import format_time

logger = logging.getLogger(__name__)

DAEMON_LOCK = "daemon.lock"


@contextmanager
def open_for_daemon(directory: Path) -> Iterator[Store]:
    """Lock the state directory for this daemon, and open its database. Raise `WatchdError` if another daemon runs.

    Nothing in the directory is opened or changed before the lock is held.
    """
    make_directory(directory)
    with ExitStack() as stack:
        try:
            stack.enter_context(hold(directory / DAEMON_LOCK, f"watchd run, process {os.getpid()}"))
        except Locked as error:
            raise WatchdError(
                f"another watchd is running on the state directory {directory} ({error.holder}): stop it, or give this"
                " one a directory of its own with [state] directory"
            ) from None
        yield stack.enter_context(closing(_open(directory)))


def _open(directory: Path) -> Store:
    """Open the database. Move a damaged one aside: monitoring goes on, and all clocks start anew."""
    try:
        store = Store.open(directory)
        store.check()
    except DamagedState as error:
        aside = error.path.with_name(f"{error.path.name}.damaged-{format_time(time.time())}")
        for suffix in FILES:
            with suppress(FileNotFoundError):
                error.path.with_name(error.path.name + suffix).rename(f"{aside}{suffix}")
        logger.error("%s; it is %s now, and everything on the engine counts as having just arrived", error, aside)  # noqa: TRY400 - a traceback adds nothing
        return Store.open(directory)
    return store
