"""A proxy in front of an engine, as people run one to give a program less than all of the engine's API.

with in_front_of(engine, directory / "proxy.sock", methods={"GET", "HEAD"}) as proxy:
...
assert proxy.requests == {("GET", "/containers/json"), ...}

It can also answer as no real engine does, see `fault`, `cut` and `say`.
"""

import socket
import socketserver
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from tests.harness.engine import Engine

Fault = Callable[["Handler"], None]  # answers instead of the engine

HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive"}


class Proxy(socketserver.ThreadingUnixStreamServer):
    """Passes on requests of some methods, refuses all others, and records all."""

    daemon_threads = True
    request_queue_size = 128  # connections that wait to be accepted: five of the default are too few for a daemon
    block_on_close = False

    def __init__(self, engine: Engine, path: Path, methods: Collection[str]) -> None:
        super().__init__(str(path), Handler)
        self.engine = engine
        self.methods = methods
        self.host = f"unix://{path}"
        self.requests: set[tuple[str, str]] = set()
        self.upstream: list[socket.socket] = []
        self.fault: Fault | None = None
        self._lock = threading.Lock()  # of the streams: what is said goes to all that have begun
        self._streams: list[BufferedIOBase] = []

    def cut(self) -> None:
        """Cut the connections that are being passed on."""
        while self.upstream:
            with suppress(OSError):
                self.upstream.pop().shutdown(socket.SHUT_RDWR)

    def say(self, events: bytes) -> None:
        """Send further events to the clients that follow the engine's."""
        with self._lock:
            for stream in self._streams:
                with suppress(OSError):  # it hangs up
                    stream.write(events)

    @contextmanager
    def followed_by(self, stream: BufferedIOBase, begin: Callable[[], None]) -> Iterator[None]:
        """Add a client that follows the engine's events, whose reply is begun."""
        with self._lock:
            begin()
            self._streams.append(stream)
        try:
            yield
        finally:
            with self._lock:
                self._streams.remove(stream)


class _ToEngine(HTTPConnection):
    def __init__(self, proxy: Proxy) -> None:
        super().__init__("localhost")
        self._proxy = proxy

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._proxy.engine.socket))
        self._proxy.upstream.append(self.sock)


class Handler(BaseHTTPRequestHandler):
    server: Proxy

    def handle_one_request(self) -> None:
        with suppress(OSError, HTTPException):  # either side has gone
            super().handle_one_request()

    def address_string(self) -> str:
        return "watchd"  # who connects to a UNIX socket has no address

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""

    def __getattr__(self, name: str) -> Any:
        """Answer every method."""
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _answer(self) -> None:
        self.close_connection = True
        self.server.requests.add((self.command, self.path.partition("?")[0]))
        if self.server.fault is not None:
            self.server.fault(self)
        else:
            self.pass_on()

    def pass_on(self) -> None:
        """Pass the request on to the engine."""
        if self.command not in self.server.methods:
            self.send_error(403, "this proxy passes no such request on")
            return
        engine = _ToEngine(self.server)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        engine.request(self.command, self.path, body, {"Content-Type": "application/json"} if body else {})
        reply = engine.getresponse()
        self.send_response_only(reply.status, reply.reason)
        for name, value in reply.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Connection", "close")
        with ExitStack() as stack:
            if "/events?" in f"{self.path}?":
                stack.enter_context(self.server.followed_by(self.wfile, self.end_headers))
            else:
                self.end_headers()
            while piece := reply.read1(65536):
                self.wfile.write(piece)


@contextmanager
def in_front_of(engine: Engine, path: Path, *, methods: Collection[str]) -> Iterator[Proxy]:
    """Run a proxy at a UNIX socket."""
    with Proxy(engine, path, methods) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            proxy.cut()
