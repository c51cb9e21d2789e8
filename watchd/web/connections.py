"""One client's connection, and how much of watchd one client or all of them can take.

uvicorn by itself lets a client take all the time it wants to send a request and to read the reply.
"""

import asyncio
import logging
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 512
LONGEST_HEAD = 16 * 1024  # bytes
MOST_UNREAD = 64 * 1024 * 1024  # bytes of replies that clients have not read yet, of all connections together
HEAD_TIMEOUT = 10.0  # seconds for a request to arrive once a connection is made or the request has begun
REPLY_TIMEOUT = 60.0  # seconds for a reply to be made and read
IDLE_TIMEOUT = 75  # seconds between requests

# What it says at lower levels is of clients that are none of ours: they must not fill the log.
logging.getLogger("uvicorn.error").setLevel(logging.ERROR)


class Connection(H11Protocol):
    """HTTP/1.1 on one connection, that is cut when it takes too long, and when it is one too many."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._timer: asyncio.TimerHandle | None = None
        self._waits_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Take a new connection. Where there are too many, the one that has waited longest without a request goes."""
        super().connection_made(transport)
        self._waits_since = self.loop.time()
        self._cut_in(HEAD_TIMEOUT)
        if len(self.connections) > MOST_CONNECTIONS:
            waiting = [other for other in self._all() if not other.is_busy]
            min(waiting, key=lambda other: other._waits_since, default=self).transport.abort()  # noqa: SLF001 - its own class's

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._cut_in(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what a client sends."""
        began = not self.is_busy and self.timeout_keep_alive_task is not None  # the first bytes after a pause
        super().data_received(data)
        if self.is_busy:
            self._cut_in(REPLY_TIMEOUT)
        elif began:
            self._cut_in(HEAD_TIMEOUT)

    def on_response_complete(self) -> None:
        """Go on after a reply was handed over; the client may be slow to read it."""
        super().on_response_complete()
        self._waits_since = self.loop.time()
        self._cut_in(REPLY_TIMEOUT if self.is_busy or self.unread else None)
        unread = {other: other.unread for other in self._all()}
        while sum(unread.values()) > MOST_UNREAD:
            slowest = max(unread, key=lambda other: unread[other])
            slowest.transport.abort()
            del unread[slowest]

    @property
    def is_busy(self) -> bool:
        """Whether a request is being answered."""
        return bool(self.cycle) and not self.cycle.response_complete  # None before the first request

    @property
    def unread(self) -> int:
        """Bytes that the client has not read yet and that the kernel does not hold either."""
        return self.transport.get_write_buffer_size()

    def _all(self) -> list["Connection"]:
        return [other for other in self.connections if isinstance(other, Connection)]

    def _cut_in(self, seconds: float | None) -> None:
        """Cut the connection after so many seconds, unless this is called again before."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._too_slow)

    def _too_slow(self) -> None:
        if self.is_busy or self.unread or self.timeout_keep_alive_task is None:
            self.transport.abort()
