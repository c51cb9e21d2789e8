"""The HTTP server. Nothing outside of this package imports uvicorn.

uvicorn's event loop runs in one thread and keeps slow clients from costing more than a socket. What answers a request
runs in a small pool of threads, since it reads files.
"""

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import uvicorn

from watchd.errors import WatchdError
from watchd.gzipped import compressed, decompressed
from watchd.web.connections import IDLE_TIMEOUT, LONGEST_HEAD, Connection
from watchd.web.hosts import Hosts, is_loopback

logger = logging.getLogger(__name__)

_Message = MutableMapping[str, Any]
_WORKERS = 4
_GZIP_FROM = 1024  # bytes
# For a browser: nothing here is to be run, framed, guessed at or kept.
_SECURITY = [
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]
_GRACE = 1  # seconds for requests under way when the server stops


@dataclass(frozen=True, slots=True)
class Response:
    """What a route answers with. `gzipped`: the body is compressed already, for all who can read that."""

    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    status: int = 200
    gzipped: bool = False


Routes = Mapping[str, Callable[[], Response]]


class Server:
    """Serves routes on one address, in threads of its own from `start` to `stop`."""

    def __init__(self, listen: str, routes: Routes, *, allowed_hosts: Sequence[str] = ()) -> None:
        self.listen = listen
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="watchd-http")
        self._server = _Uvicorn(
            uvicorn.Config(
                _Application(routes, Hosts(listen, allowed_hosts), self._pool),
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
        self._thread = threading.Thread(target=self._serve, name="watchd-http", daemon=True)
        self._socket: socket.socket | None = None

    def start(self) -> None:
        """Listen. Raise `WatchdError` when the address cannot be listened on."""
        host, _, port = self.listen.rpartition(":")
        try:
            family, *_, address = socket.getaddrinfo(
                host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            self._socket = socket.create_server(address[:2], family=family, backlog=256)
        except OSError as error:
            raise WatchdError(
                f"cannot listen on {self.listen}: {_words(error)} (set [http] listen, or WATCHD_HTTP__LISTEN)"
            ) from None
        if not is_loopback(self.listen):
            logger.warning("%s is reached from other machines, and whoever reaches it can read it", self.listen)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; requests under way have a moment to end."""
        self._server.end()
        if self._thread.is_alive():
            self._thread.join(_GRACE + 0.5)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _serve(self) -> None:
        assert self._socket is not None  # noqa: S101 - start() has made it
        asyncio.run(self._server.serve(sockets=[self._socket]))


class _Uvicorn(uvicorn.Server):
    """uvicorn, which by itself wakes up ten times a second: that costs more CPU than being scraped does."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()

    def end(self) -> None:
        """End serving. Called from another thread."""
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._ended.set)

    async def main_loop(self) -> None:
        """Serve until the end."""
        self._loop = asyncio.get_running_loop()
        if not self.should_exit:
            await self._ended.wait()


class _Application:
    """The ASGI application: GET and HEAD on known paths, for who calls this server by one of its names."""

    def __init__(self, routes: Routes, hosts: Hosts, pool: ThreadPoolExecutor) -> None:
        self._routes = routes
        self._hosts = hosts
        self._pool = pool

    async def __call__(
        self,
        scope: _Message,
        receive: Callable[[], Awaitable[_Message]],  # noqa: ARG002 - no route reads a request's body
        send: Callable[[_Message], Awaitable[None]],
    ) -> None:
        refused = self._refusal(scope)
        if refused is not None:
            status, headers, body = _encoded(scope, refused)
            if refused.status == HTTPStatus.METHOD_NOT_ALLOWED:
                headers.append((b"allow", b"GET, HEAD"))
            headers.append((b"connection", b"close"))
        else:
            route = self._routes[scope["path"]]
            answer = lambda: _encoded(scope, route())  # noqa: E731 - compressing takes time too, and not the loop's
            status, headers, body = await asyncio.get_running_loop().run_in_executor(self._pool, answer)
        await send({"type": "http.response.start", "status": status, "headers": [*headers, *_SECURITY]})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    def _refusal(self, scope: _Message) -> Response | None:
        """Return what a request is refused with, None where it is to be answered."""
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        if host and not self._hosts.accept(host):
            return Response(b"this server has no such name: see [http] allowed_hosts\n", status=421)
        if scope["path"] not in self._routes:
            return Response(b"not found\n", status=404)
        if scope["method"] not in ("GET", "HEAD"):
            return Response(b"only GET and HEAD\n", status=405)
        if b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0":
            return Response(b"a request has no body here\n", status=413)
        return None


def _encoded(scope: _Message, response: Response) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return status, headers and body, compressed where that is worth while and the client can read it."""
    body = response.body
    headers = [(b"content-type", response.content_type.encode())]
    if response.gzipped or len(body) >= _GZIP_FROM:
        headers.append((b"vary", b"accept-encoding"))
        if _accepts_gzip(scope["headers"]):
            headers.append((b"content-encoding", b"gzip"))
            body = body if response.gzipped else compressed(body)
        elif response.gzipped:
            body = decompressed(body)
    headers.append((b"content-length", str(len(body)).encode()))
    return response.status, headers, body


def _words(error: OSError) -> str:
    """Return what went wrong in the system's words: Python adds the address to some of them."""
    if isinstance(error, socket.gaierror) or error.errno is None:
        return str(error.strerror or error)
    return os.strerror(error.errno)


def _accepts_gzip(headers: list[tuple[bytes, bytes]]) -> bool:
    accepted = b",".join(value for name, value in headers if name == b"accept-encoding").lower()
    for coding in accepted.split(b","):
        name, _, weight = coding.partition(b";")
        if name.strip() in (b"gzip", b"*"):
            return weight.replace(b" ", b"") not in (b"q=0", b"q=0.0", b"q=0.00", b"q=0.000")
    return False
