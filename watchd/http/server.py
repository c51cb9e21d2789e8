"""HTTP server. Nothing outside of this package imports uvicorn.

uvicorn's event loop runs in one thread and keeps slow clients from costing more than a socket. Routes run in a small
pool of threads, since they read files.
"""

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from watchd.http.access import Access, error_reason
from watchd.http.application import Application, Routes
from watchd.http.listening import BACKLOG, listen, remove
from watchd.http.private import short_path
from watchd.http.uvicorn_server import SHUTDOWN_TIMEOUT, UvicornServer
from watchd.runtime.watchdog import Heartbeat, Pool

logger = logging.getLogger(__name__)

_WORKERS = 4
_MAX_TURN = 300.0  # seconds that one turn of the event loop may take


class Server:
    """Serve routes on some addresses, in its own threads, from `start` to `stop`.

    It also listens on the UNIX socket at `private`, if given: without login or TLS, for its own user and root.
    """

    def __init__(
        self, addresses: Sequence[str], routes: Routes, access: Access, *, private: Path | None = None
    ) -> None:
        self._addresses = addresses
        self._routes = routes
        self._access = access
        self._private = private
        self._pool = Pool(_WORKERS, "watchd-request", "an HTTP request")
        self._checker = Pool(1, "watchd-passwords", "checking a password")
        self._server = UvicornServer(
            public=self._application(access), local=self._application(_local(access)), private=self._application(None)
        )
        self._thread = threading.Thread(target=self._serve, name="watchd-http", daemon=True)
        self._heartbeat = Heartbeat("the HTTP server", _MAX_TURN, thread="watchd-http")
        self._sockets: list[socket.socket] = []

    def start(self) -> None:
        """Listen. Raise `WatchdError` if an address cannot be used."""
        for address in self._addresses:
            self._sockets.append(listen(address))
        if self._private is not None:
            self._listen_privately(self._private)
        self._log_warnings()
        self._thread.start()

    def replace_access(self, access: Access) -> None:
        """Check new requests against `access`. Requests that have begun keep theirs to the end."""
        self._access = access
        self._server.replace(self._application(access), self._application(_local(access)))
        self._log_warnings()

    def probe(self) -> None:
        """Check that the event loop turns."""
        self._heartbeat.probe(lambda: self._server.call(self._heartbeat.idle))

    def stop(self) -> None:
        """Stop listening. Requests in progress have a moment to end."""
        self._server.end()
        if self._thread.is_alive():
            self._thread.join(SHUTDOWN_TIMEOUT + 0.5)
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._checker.shutdown(wait=False, cancel_futures=True)
        with suppress(OSError):
            for address in self._addresses[: len(self._sockets)]:
                remove(address)
            if self._private is not None:
                self._private.unlink()

    def _application(self, access: Access | None) -> Application:
        return Application(self._routes, self._pool, self._checker, access)

    def _listen_privately(self, path: Path) -> None:
        """Listen on a UNIX socket. A failure is only logged: metrics do not depend on it."""
        private = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            path.unlink(missing_ok=True)  # left by a watchd that was killed: a running one would hold the state's lock
            os.fchmod(private.fileno(), 0o600)  # the mode that bind() gives the file: chmod() would follow a link
            with short_path(path) as short:
                private.bind(short)
            private.listen(BACKLOG)
        except OSError as error:
            private.close()
            logger.warning("cannot listen on %s, so `watchd healthcheck` fails: %s", path, error_reason(error))
        else:
            self._sockets.append(private)
            self._server.private_socket = private

    def _log_warnings(self) -> None:
        for warning in self._access.warnings:
            logger.warning("%s", warning)

    def _serve(self) -> None:
        asyncio.run(self._server.serve(sockets=self._sockets))


def _local(access: Access) -> Access:
    """Return the access by UNIX sockets: the same logins, any host name, no TLS."""
    return replace(access, hosts=None, tls=None)
