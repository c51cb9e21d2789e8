"""What the daemon asks of its own process: how it is set up, and how it ends when something in it goes wrong."""

import ctypes
import logging
import os
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Iterable
from contextlib import suppress
from typing import NoReturn

from watchd.pulse import Pulse
from watchd.signals import Signals

logger = logging.getLogger(__name__)

SWITCH_INTERVAL = 0.001  # seconds; Python's 5 ms are long where a cgroup is to be read within 20
_M_ARENA_MAX = -8  # malloc.h


def prepare() -> None:
    """Set this process up: what of it is Python's or the C library's own."""
    _raise_descriptor_limit()
    _share_one_heap()
    sys.setswitchinterval(SWITCH_INTERVAL)


def end_when_a_thread_dies(signals: Signals) -> threading.Event:
    """End the process, for its supervisor to start it again, rather than go on without one of its threads."""
    failed = threading.Event()

    def hook(arguments: threading.ExceptHookArgs) -> None:
        name = arguments.thread.name if arguments.thread else "a thread"
        info = (arguments.exc_type, arguments.exc_value, arguments.exc_traceback)
        logger.critical("%s died: this is a defect of watchd, which ends now", name, exc_info=info)  # type: ignore[arg-type] # exc_value is None only at interpreter exit
        failed.set()
        signals.send(signal.SIGTERM)

    threading.excepthook = hook
    return failed


def end_if_stuck(pulses: Iterable[Pulse]) -> None:
    """End the process at once when something makes no progress: to stop it in order would wait for that."""
    for pulse in pulses:
        if pulse.is_stuck:
            logger.critical(
                "%s makes no progress: this is a defect of watchd, or of what it waits for; watchd ends now", pulse.what
            )
            for thread in threading.enumerate():
                frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - there is no other way to see them
                logger.critical("%s is at:\n%s", thread.name, "".join(traceback.format_stack(frame)))
            end(1)


def end(code: int) -> NoReturn:
    """End the process without waiting for its threads."""
    logging.shutdown()
    os._exit(code)


def _raise_descriptor_limit() -> None:
    """Raise the soft limit of open files to the hard one: up to twenty are kept for each container."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _share_one_heap() -> None:
    """Have all threads allocate from one heap of glibc's. One of each thread's own would keep 2 to 4 MiB for nothing.

    Python lets one thread at a time allocate anyhow. Other C libraries have no such setting.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
