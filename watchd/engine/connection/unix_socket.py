"""Requests over a UNIX socket.

A run makes thousands of small ones, and `requests` and urllib3 take three times the CPU time of `http.client` for each.
"""

import socket
from collections import deque
from collections.abc import Mapping
from http.client import HTTPConnection
from typing import NamedTuple

from urllib3.util import wait_for_read


class Reply(NamedTuple):
    """Status and body of a reply."""

    status: int
    body: bytes


class UnixSocket:
    """Connections to one socket, of which `kept` stay open while unused. Safe to use from several threads."""

    def __init__(self, path: str, headers: Mapping[str, str], kept: int) -> None:
        self._path = path
        self._headers = headers
        self._kept = kept
        self._unused: deque[HTTPConnection] = deque()
        self._is_closed = False

    def ask(self, method: str, target: str, timeout: float) -> Reply:
        """Send a request without a body and return the reply. Raise `OSError` or `HTTPException`.

        `timeout` is in seconds, for each wait.
        """
        connection = self._connected(timeout)
        try:
            connection.request(method, target, headers=self._headers)
            response = connection.getresponse()
            reply = Reply(response.status, response.read())
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

    def _connected(self, timeout: float) -> HTTPConnection:
        while True:
            try:
                connection = self._unused.pop()
            except IndexError:
                return _connect(self._path, timeout)
            if not wait_for_read(connection.sock, timeout=0):  # the end is all that can come without a request
                connection.sock.settimeout(timeout)
                return connection
            connection.close()

    def _keep(self, connection: HTTPConnection) -> None:
        if connection.sock is not None and len(self._unused) < self._kept:  # without: the reply said to close it
            self._unused.append(connection)
            if not self._is_closed:
                return
            self.close()
        connection.close()


def _connect(path: str, timeout: float) -> HTTPConnection:
    connection = HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    try:
        connection.sock.settimeout(timeout)
        connection.sock.connect(path)
    except BaseException:
        connection.close()
        raise
    return connection
