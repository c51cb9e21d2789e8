"""Limits for connections: number, time, size. uvicorn itself limits neither slow senders nor slow readers."""

import asyncio
import logging
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS = 512
MAX_HEAD_SIZE = 16 * 1024  # bytes
MAX_UNSENT = 64 * 1024 * 1024  # bytes of replies in watchd's memory, of all connections
HEAD_TIMEOUT = 10.0  # seconds for the head of a request, from the connection or its first byte
REPLY_TIMEOUT = 60.0  # seconds for a reply to be made and sent
IDLE_TIMEOUT = 75  # seconds between requests

# Below ERROR it logs what clients send wrong: they must not be able to fill the log.
logging.getLogger("uvicorn.error").setLevel(logging.ERROR)


class Connection(H11Protocol):
    """HTTP/1.1 connection that is cut at a deadline, or if there are too many connections."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._timer: asyncio.TimerHandle | None = None
        self._idle_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn's signature
        """Add the connection. If there are too many, cut the one that has been idle longest."""
        super().connection_made(transport)
        self._idle_since = self.loop.time()
        self._set_deadline(HEAD_TIMEOUT)
        if len(self.connections) > MAX_CONNECTIONS:
            idle = [other for other in self._all() if not other.is_busy]
            min(idle, key=lambda other: other._idle_since, default=self).transport.abort()  # noqa: SLF001 - its own class

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection."""
        self._set_deadline(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse data and set the deadline of the request or its reply."""
        began = not self.is_busy and self.timeout_keep_alive_task is not None  # the first bytes after a pause
        super().data_received(data)
        if self.is_busy:
            self._set_deadline(REPLY_TIMEOUT)
        elif began:
            self._set_deadline(HEAD_TIMEOUT)

    def on_response_complete(self) -> None:
        """Set the deadline for sending the reply, and cut the slowest readers if replies take too much memory."""
        super().on_response_complete()
        self._idle_since = self.loop.time()
        self._set_deadline(REPLY_TIMEOUT if self.is_busy or self.unsent else None)
        unsent = {other: other.unsent for other in self._all()}
        while sum(unsent.values()) > MAX_UNSENT:
            slowest = max(unsent, key=lambda other: unsent[other])
            slowest.transport.abort()
            del unsent[slowest]

    @property
    def is_busy(self) -> bool:
        """Return whether a request is in progress."""
        return bool(self.cycle) and not self.cycle.response_complete  # None before the first request

    @property
    def unsent(self) -> int:
        """Bytes of replies that the kernel has not accepted yet, because the client reads slowly."""
        return self.transport.get_write_buffer_size()

    def _all(self) -> list["Connection"]:
        return [other for other in self.connections if isinstance(other, Connection)]

    def _set_deadline(self, seconds: float | None) -> None:
        """Cut the connection after `seconds`, in place of the previous deadline. None: no deadline."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._on_deadline)

    def _on_deadline(self) -> None:
        if self.is_busy or self.unsent or self.timeout_keep_alive_task is None:
            self.transport.abort()
