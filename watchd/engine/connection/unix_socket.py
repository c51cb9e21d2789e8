"""Requests over a UNIX socket, on connections that stay open."""

from collections import deque
from collections.abc import Mapping

from urllib3.util import wait_for_read

from watchd.engine.connection.http_connection import HttpConnection, Reply


class UnixSocket:
    """Connections to one socket, of which `kept` stay open while unused. Safe to use from several threads.

    Raise `ValueError` if a header is not one line of Latin text.
    """

    def __init__(self, path: str, headers: Mapping[str, str], kept: int) -> None:
        for name, value in headers.items():
            if not f"{name}{value}".isprintable():
                raise ValueError(f"the header {name!r} is not one line of text")
        lines = (f"{name}: {value}\r\n" for name, value in {"Host": "localhost", **headers}.items())
        self._headers = "".join(lines).encode("latin-1")
        self._path = path
        self._kept = kept
        self._unused: deque[HttpConnection] = deque()
        self._is_closed = False

    def ask(self, method: str, target: str, timeout: float) -> Reply:
        """Send a request without a body and return the reply. Raise `OSError` or `HTTPException`.

        `timeout` is in seconds, for each wait.
        """
        assert " " not in target and target.isprintable(), target  # noqa: S101,PT018 - a line break would begin a header
        length = b"Content-Length: 0\r\n" if method == "POST" else b""  # without it some proxies refuse a POST
        request = f"{method} {target} HTTP/1.1\r\n".encode("ascii") + self._headers + length + b"\r\n"
        connection = self._connected(timeout)
        try:
            reply = connection.ask(request)
        except BaseException:
            connection.close()
            raise
        self._keep(connection)
        return reply

    def close(self) -> None:
        """Close unused connections now, and the others after their reply."""
        self._is_closed = True
        while self._unused:
            self._unused.pop().close()

    def _connected(self, timeout: float) -> HttpConnection:
        while True:
            try:
                connection = self._unused.pop()
            except IndexError:
                return HttpConnection(self._path, timeout)
            if not wait_for_read(connection.socket, timeout=0):  # the end is all that can come without a request
                connection.set_timeout(timeout)
                return connection
            connection.close()

    def _keep(self, connection: HttpConnection) -> None:
        if not connection.is_over and len(self._unused) < self._kept:
            self._unused.append(connection)
            if not self._is_closed:
                return
            self.close()
        connection.close()
