"""The HTTP server. Nothing outside of this package imports uvicorn.

uvicorn's event loop runs in one thread and keeps slow clients from costing more than a socket. What answers a request
runs in a small pool of threads, since it reads files.
"""

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import uvicorn

from watchd.errors import WatchdError
from watchd.web.access import Access, in_words
from watchd.web.application import Application, Routes
from watchd.web.connections import IDLE_TIMEOUT, LONGEST_HEAD, MOST_CONNECTIONS, Connection
from watchd.web.handshake import Handshake
from watchd.web.private import reachable

logger = logging.getLogger(__name__)

_WORKERS = 4
_BACKLOG = 256
_TELL_EVERY = 60.0  # seconds
_GRACE = 1  # seconds for requests under way when the server stops


class Server:
    """Serves routes on one address, in threads of its own from `start` to `stop`.

    On the UNIX socket at `private`, if one is given, it answers whoever may open that: the user it runs as, and root.
    """

    def __init__(self, listen: str, routes: Routes, access: Access, *, private: Path | None = None) -> None:
        self.listen = listen
        self._private = private
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="watchd-http")
        self._application = Application(routes, self._pool, access)
        self._server = _Uvicorn(self._application, Application(routes, self._pool, None))
        self._thread = threading.Thread(target=self._serve, name="watchd-http", daemon=True)
        self._sockets: list[socket.socket] = []

    def start(self) -> None:
        """Listen. Raise `WatchdError` when the address cannot be listened on."""
        host, _, port = self.listen.rpartition(":")
        try:
            family, *_, address = socket.getaddrinfo(
                host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            self._sockets.append(socket.create_server(address[:2], family=family, backlog=_BACKLOG))
        except OSError as error:
            raise WatchdError(
                f"cannot listen on {self.listen}: {in_words(error)} (set [http] listen, or WATCHD_HTTP__LISTEN)"
            ) from None
        if self._private is not None:
            self._listen_privately(self._private)
        self._warn()
        self._thread.start()

    def admit(self, access: Access) -> None:
        """Have other access from the next connection and request on."""
        before, self._application.access = self._application.access, access
        if before is not None:
            before.credentials.close()
        self._server.call(self._server.let_go)
        self._warn()

    def call(self, function: Callable[[], object]) -> None:
        """Call it from the event loop: it is, when that still goes round."""
        self._server.call(function)

    def stop(self) -> None:
        """Stop listening; requests under way have a moment to end."""
        self._server.end()
        if self._thread.is_alive():
            self._thread.join(_GRACE + 0.5)
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._application.access is not None:
            self._application.access.credentials.close()
        if self._private is not None:
            with suppress(OSError):
                self._private.unlink()

    def _listen_privately(self, path: Path) -> None:
        """Listen on a UNIX socket. Where that cannot be, only those miss something who would ask there."""
        private = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            path.unlink(missing_ok=True)  # of a watchd that was killed: another one that runs holds the state's lock
            with reachable(path) as short:
                private.bind(short)
            path.chmod(0o600)
            private.listen(_BACKLOG)  # only now can anyone connect
        except OSError as error:
            private.close()
            logger.warning("cannot listen on %s, so `watchd healthcheck` has no answer: %s", path, in_words(error))
        else:
            self._sockets.append(private)

    def _warn(self) -> None:
        for warning in self._application.access.warnings if self._application.access else ():
            logger.warning("%s", warning)

    def _serve(self) -> None:
        asyncio.run(self._server.serve(sockets=self._sockets))


class _Uvicorn(uvicorn.Server):
    """uvicorn, which by itself wakes up ten times a second: that costs more CPU than being scraped does.

    What comes by a UNIX socket is for the `private` application. What comes by TCP has to speak TLS where that is set.
    """

    def __init__(self, public: Application, private: Application) -> None:
        super().__init__(
            uvicorn.Config(
                public,
                lifespan="off",
                log_config=None,
                access_log=False,
                ws="none",
                http=Connection,
                h11_max_incomplete_event_size=LONGEST_HEAD,
                timeout_keep_alive=IDLE_TIMEOUT,
                loop="asyncio",
                server_header=False,
                date_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=_GRACE,
            )
        )
        self._public = public
        self._private = private
        self._handshakes: dict[Handshake, None] = {}
        self._tell_at = 0.0  # monotonic
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()

    def end(self) -> None:
        """End serving. Called from another thread."""
        self.should_exit = True
        self.call(self._ended.set)

    def call(self, function: Callable[[], object]) -> None:
        """Call a function in the loop. Called from another thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # it is closed
                self._loop.call_soon_threadsafe(function)

    def let_go(self) -> None:
        """Keep no connection beyond the request that it is at: who comes again shows anew who it is."""
        for connection in list(self.server_state.connections):
            connection.shutdown()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections: as uvicorn does, but each socket has its own kind."""
        loop = asyncio.get_running_loop()
        self.servers = []
        for each in sockets or []:
            accept = self._accept_privately if each.family == socket.AF_UNIX else self._accept
            self.servers.append(await loop.create_server(accept, sock=each, backlog=_BACKLOG))
        self.started = True

    async def main_loop(self) -> None:
        """Serve until the end."""
        self._loop = asyncio.get_running_loop()
        if not self.should_exit:
            await self._ended.wait()
        for handshake in list(self._handshakes):
            handshake.abort()

    def _accept(self) -> asyncio.Protocol:
        access = self._public.access
        if access is None or access.tls is None:
            return self._connect(self._public)
        if len(self._handshakes) >= MOST_CONNECTIONS:
            next(iter(self._handshakes)).abort()
        return Handshake(access.tls, lambda: self._connect(self._public), self._handshakes, self._not_agreed)

    def _not_agreed(self, error: OSError) -> None:
        """Tell why clients do not get as far as a request, but not of each: they must not fill the log."""
        if time.monotonic() >= self._tell_at:
            self._tell_at = time.monotonic() + _TELL_EVERY
            logger.info("a client did not agree on TLS: %s (told once a minute at the most)", in_words(error))

    def _accept_privately(self) -> asyncio.Protocol:
        return self._connect(self._private)

    def _connect(self, application: Application) -> Connection:
        connection = Connection(self.config, self.server_state, app_state={})
        connection.app = application
        return connection
