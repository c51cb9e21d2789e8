"""Signals, taken one after the other by the main thread when it is ready for them.

A handler that did something would do it in the middle of whatever the main thread is at, locks that it holds included.
"""

import select
import signal
import socket
from collections.abc import Iterable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self


class Signals:
    """Collects some signals of the process, from `with` to its end. To be made and used by the main thread."""

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self._numbers = list(numbers)
        self._before: dict[signal.Signals, Any] = {}
        self._taken, self._sent = socket.socketpair()

    def __enter__(self) -> Self:
        self._sent.setblocking(False)
        self._before_fd = signal.set_wakeup_fd(self._sent.fileno(), warn_on_full_buffer=False)
        for number in self._numbers:
            self._before[number] = signal.signal(number, _nothing)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        signal.set_wakeup_fd(self._before_fd)
        self._taken.close()
        self._sent.close()

    def take(self, timeout: float) -> int | None:
        """Wait at most `timeout` seconds for a signal, and return its number."""
        ready, _, _ = select.select([self._taken], [], [], max(0.0, timeout))
        return self._taken.recv(1)[0] if ready else None

    def send(self, number: signal.Signals) -> None:
        """Have `take` return a number, as if it had come from outside. Called from any thread."""
        with suppress(OSError):
            self._sent.send(bytes([number]))


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: Python has written the number to the socket by now."""
