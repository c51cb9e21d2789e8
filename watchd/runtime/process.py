"""The process: its limits, its heap, and its end when a thread dies or is stuck."""

import ctypes
import logging
import os
import resource
import signal
import sys
import threading
import traceback
from contextlib import suppress
from typing import NoReturn

from watchd.runtime import watchdog
from watchd.runtime.signals import Signals

logger = logging.getLogger(__name__)

SWITCH_INTERVAL = 0.001  # seconds; Python's 5 ms are long where a cgroup is to be read within 20
_M_ARENA_MAX = -8  # malloc.h


def prepare() -> None:
    """Set the limit of open files, the heap, and the interval of thread switches."""
    _raise_descriptor_limit()
    _share_one_heap()
    sys.setswitchinterval(SWITCH_INTERVAL)


def end_when_a_thread_dies(signals: Signals) -> threading.Event:
    """End the process when a thread raises, for its supervisor to restart it. Return the event that is then set."""
    failed = threading.Event()

    def hook(arguments: threading.ExceptHookArgs) -> None:
        name = arguments.thread.name if arguments.thread else "a thread"
        info = (arguments.exc_type, arguments.exc_value, arguments.exc_traceback)
        logger.critical("%s died: a bug of watchd, which exits", name, exc_info=info)  # type: ignore[arg-type] # exc_value is None only at interpreter exit
        failed.set()
        signals.send(signal.SIGTERM)

    threading.excepthook = hook
    return failed


def abort_if_stuck() -> None:
    """End the process at once when a thread is stuck: an orderly stop would wait for it."""
    stuck = [heartbeat.what for heartbeat in watchdog.supervised() if heartbeat.is_stuck]
    if not stuck:
        return
    for what in stuck:
        logger.critical("%s makes no progress: a bug of watchd, or of what it waits for; watchd exits", what)
    for thread in threading.enumerate():
        frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - the only way to get them
        for line in "".join(traceback.format_stack(frame)).splitlines():  # a record is one line
            logger.critical("%s: %s", thread.name, line)
    end(1)


def end(code: int) -> NoReturn:
    """End the process without waiting for its threads."""
    logging.shutdown()
    os._exit(code)


def go_first() -> None:
    """Give the calling thread real-time priority where allowed: for short work with a deadline."""
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(os.sched_get_priority_min(os.SCHED_RR)))


def _raise_descriptor_limit() -> None:
    """Raise the soft limit of open files to the hard one: up to twenty are kept for each container."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _share_one_heap() -> None:
    """Make all threads share one glibc heap: a heap per thread wastes 2 to 4 MiB each, and the GIL serialises anyway.

    Other C libraries have no such setting.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
