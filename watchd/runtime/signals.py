"""Signals, queued for the main thread.

A handler would interrupt the main thread at any point, perhaps while it holds a lock.
"""

import select
import signal
import socket
from collections.abc import Iterable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self


class Signals:
    """Queue of some signals of the process, filled within `with`. Used by the main thread only."""

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self._numbers = list(numbers)
        self._before: dict[signal.Signals, Any] = {}
        self._receiver, self._sender = socket.socketpair()

    def __enter__(self) -> Self:
        self._sender.setblocking(False)
        self._before_fd = signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        for number in self._numbers:
            self._before[number] = signal.signal(number, _nothing)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        signal.set_wakeup_fd(self._before_fd)
        self._receiver.close()
        self._sender.close()

    def take(self, timeout: float) -> int | None:
        """Wait at most `timeout` seconds for a signal. Return its number, None if there was none."""
        ready, _, _ = select.select([self._receiver], [], [], max(0.0, timeout))
        return self._receiver.recv(1)[0] if ready else None

    def send(self, number: signal.Signals) -> None:
        """Queue a signal. Called from any thread."""
        with suppress(OSError):
            self._sender.send(bytes([number]))


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """Ignore the signal: Python has already written its number to the socket."""
