"""uvicorn with two applications, TLS that can be renewed, and an event loop that sleeps while nothing happens."""

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from contextlib import suppress

import uvicorn

from watchd.http.access import error_reason
from watchd.http.application import Application
from watchd.http.connections import IDLE_TIMEOUT, MAX_CONNECTIONS, MAX_HEAD_SIZE, Connection
from watchd.http.handshake import Handshake
from watchd.http.listening import BACKLOG

logger = logging.getLogger(__name__)

SHUTDOWN_TIMEOUT = 1  # seconds for requests in progress
_LOG_INTERVAL = 60.0  # seconds


class UvicornServer(uvicorn.Server):
    """Serve `public` on TCP, with TLS if it has any, `local` on UNIX sockets, `private` on one of them.

    uvicorn's own main loop wakes up ten times a second, which costs more CPU than the scrapes.
    """

    def __init__(self, *, public: Application, local: Application, private: Application) -> None:
        super().__init__(
            uvicorn.Config(
                private,
                lifespan="off",
                log_config=None,
                access_log=False,
                ws="none",
                http=Connection,
                h11_max_incomplete_event_size=MAX_HEAD_SIZE,
                timeout_keep_alive=IDLE_TIMEOUT,
                loop="asyncio",
                server_header=False,
                date_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=SHUTDOWN_TIMEOUT,
            )
        )
        self._public = public
        self._local = local
        self._private = private
        self.private_socket: socket.socket | None = None
        self._handshakes: dict[Handshake, None] = {}
        self._log_at = 0.0  # monotonic
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()

    def end(self) -> None:
        """End serving. Thread-safe."""
        self.should_exit = True
        self.call(self._ended.set)

    def call(self, function: Callable[[], object]) -> None:
        """Call a function in the event loop. Thread-safe."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(function)

    def replace(self, public: Application, local: Application) -> None:
        """Serve new connections with these. Thread-safe."""
        self._public, self._local = public, local
        self.call(self._close_replaced)

    def _close_replaced(self) -> None:
        """Close the connections of replaced applications: at once, or after the request in progress.

        A handshake in progress is cut: it may have checked no client certificate.
        """
        for connection in list(self.server_state.connections):
            if isinstance(connection, Connection) and connection.app not in (self._public, self._local, self._private):
                connection.shutdown()
        for handshake in list(self._handshakes):
            if handshake.application is not self._public:
                handshake.abort()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections, as uvicorn does, but with a protocol for each kind of socket."""
        self._loop = loop = asyncio.get_running_loop()
        self.servers = []
        for each in sockets or []:
            accept = self._accept_public
            if each.family == socket.AF_UNIX:
                accept = self._accept_private if each is self.private_socket else self._accept_local
            self.servers.append(await loop.create_server(accept, sock=each, backlog=BACKLOG))
        self.started = True

    async def main_loop(self) -> None:
        """Serve until `end`."""
        if not self.should_exit:
            await self._ended.wait()
        for handshake in list(self._handshakes):
            handshake.abort()

    def _accept_local(self) -> asyncio.Protocol:
        return self._connect(self._local)

    def _accept_private(self) -> asyncio.Protocol:
        return self._connect(self._private)

    def _accept_public(self) -> asyncio.Protocol:
        application = self._public
        if application.access is None or application.access.tls is None:
            return self._connect(application)
        if len(self._handshakes) >= MAX_CONNECTIONS:
            next(iter(self._handshakes)).abort()
        return Handshake(application.access.tls, application, self._connect, self._handshakes, self._log_failure)

    def _connect(self, application: Application) -> Connection:
        connection = Connection(self.config, self.server_state, app_state={})
        connection.app = application
        return connection

    def _log_failure(self, error: OSError) -> None:
        """Log why a TLS handshake failed, once a minute: clients must not be able to fill the log."""
        if time.monotonic() >= self._log_at:
            self._log_at = time.monotonic() + _LOG_INTERVAL
            logger.info("a TLS handshake failed: %s (logged at most once a minute)", error_reason(error))
