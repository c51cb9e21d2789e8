"""HTTP/1.1 on one connection to a UNIX socket.

A run makes thousands of small requests. `http.client` takes five times the CPU time for each, most of it for headers
that nobody reads, and `requests` with urllib3 fifteen times.
"""

import re
import socket
from collections.abc import Iterator
from http.client import HTTPException
from typing import NamedTuple

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: .*)?")
_LONGEST_LINE = 65536  # bytes, of a status or a header
_MOST_HEADERS = 100
_NO_BODY = (204, 304)


class Reply(NamedTuple):
    """Status and body of a reply."""

    status: int
    body: bytes


class _Head(NamedTuple):
    status: int
    length: int | None  # bytes of the body; None: not given
    is_chunked: bool
    is_last: bool  # the connection ends after this reply


class HttpConnection:
    """One connection to a UNIX socket, for one request at a time. `is_over`: it takes no further request."""

    def __init__(self, path: str, timeout: float) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.is_over = False
        try:
            self.set_timeout(timeout)
            self.socket.connect(path)
        except BaseException:
            self.socket.close()
            raise
        self._received = self.socket.makefile("rb")

    def set_timeout(self, timeout: float) -> None:
        """Set how long to wait for the other side at most, in seconds, each time."""
        self.socket.settimeout(timeout)

    def close(self) -> None:
        """End the connection."""
        self._received.close()
        self.socket.close()

    def ask(self, request: bytes) -> Reply:
        """Send a request, whose method is not HEAD, and return the reply. Raise `OSError` or `HTTPException`."""
        self.socket.sendall(request)
        head = self._head()
        while head.status < 200:  # an interim reply, such as 103
            head = self._head()
        self.is_over = head.is_last
        return Reply(head.status, self._body(head))

    def _head(self) -> _Head:
        line = self._line()
        status = _STATUS.fullmatch(line)
        if not status:
            raise HTTPException(f"the reply is not HTTP/1: it begins with {line[:40]!r}")
        length, is_chunked, is_last = None, False, status[1] == b"0"
        for _ in range(_MOST_HEADERS):
            line = self._line()
            if not line:
                return _Head(int(status[2]), length, is_chunked, is_last)
            name, _, value = line.partition(b":")
            match name.lower():
                case b"content-length":
                    length = _number(value, base=10)
                case b"transfer-encoding":
                    is_chunked = value.rstrip().lower().endswith(b"chunked")
                case b"connection":
                    is_last = value.strip().lower() == b"close"
        raise HTTPException(f"the reply has more than {_MOST_HEADERS} headers")

    def _body(self, head: _Head) -> bytes:
        if head.status in _NO_BODY:
            return b""
        if head.is_chunked:
            return b"".join(self._chunks())
        if head.length is not None:
            return self._read(head.length)
        self.is_over = True
        return self._received.read()

    def _chunks(self) -> Iterator[bytes]:
        while length := _number(self._line().partition(b";")[0], base=16):
            yield self._read(length)
            if self._line():
                raise HTTPException("a chunk of the reply is longer than it says")
        while self._line():  # trailers
            pass

    def _read(self, length: int) -> bytes:
        data = self._received.read(length)
        if len(data) < length:
            raise HTTPException("the reply ends too early")
        return data

    def _line(self) -> bytes:
        line = self._received.readline(_LONGEST_LINE)
        if line.endswith(b"\n"):
            return line.rstrip(b"\r\n")
        raise HTTPException(
            "a line of the reply is too long" if len(line) == _LONGEST_LINE else "the reply ends too early"
        )


def _number(text: bytes, *, base: int) -> int:
    try:
        number = int(text, base)
    except ValueError:
        number = -1
    if number < 0:
        raise HTTPException(f"the reply has {text[:20]!r} for a length")
    return number
