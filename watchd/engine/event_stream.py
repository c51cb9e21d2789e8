"""The engine's events as they arrive: `GET /events`."""

import json
import socket
from collections.abc import Iterator
from contextlib import suppress

import requests

from watchd.engine.connection.transport import translated
from watchd.engine.decode.fields import MalformedReply
from watchd.engine.decode.system import event
from watchd.errors import EngineUnreachable
from watchd.model import Event

_PIECE = 65536  # bytes that are read at once, at most
_LONGEST_EVENT = 4 * 1024 * 1024  # bytes; it has a container's labels in it


class EventStream(Iterator[Event]):
    """The engine's events as they come.

    Iteration ends when the stream is closed, by whichever thread, and when the connection ends: often without an
    exception, so the end of the loop is the disconnect.
    """

    def __init__(self, host: str, response: requests.Response) -> None:
        self._host = host
        self._response = response
        # The time-out was for the answer to begin; an idle host may have no event for days.
        self._socket = _socket_of(response)
        if self._socket is not None:
            self._socket.settimeout(None)
        self._is_read = False
        self._lines = self._received()

    def __next__(self) -> Event:
        with translated(self._host):
            for line in self._lines:
                try:
                    return event(json.loads(line))
                except (ValueError, MalformedReply):
                    continue  # one odd message costs nothing but itself
        raise StopIteration

    def _received(self) -> Iterator[bytes]:
        """Yield each line when it arrives, also from a proxy that passes the stream on without HTTP's chunks.

        requests' own way to read lines would wait for the end of such a stream.
        """
        pending = b""
        self._is_read = True
        try:
            while piece := self._response.raw.read1(_PIECE):
                *lines, pending = (pending + piece).split(b"\n")
                yield from filter(bytes.strip, lines)
                if len(pending) > _LONGEST_EVENT:
                    raise EngineUnreachable(f"the engine at {self._host} sends an event that does not end")
        finally:
            self._is_read = False
            self._response.close()

    def close(self) -> None:
        """End the connection; another thread that waits for an event gets the end of the stream."""
        if self._socket is not None:
            with suppress(OSError):  # it may have ended already
                self._socket.shutdown(socket.SHUT_RDWR)
        # Who is reading closes it: http.client's reader must not vanish beneath it.
        if not self._is_read or self._socket is None:
            self._response.close()


def _socket_of(response: requests.Response) -> socket.socket | None:
    """Return the socket that a response comes from.

    A connection that is not to be kept alive (a proxy may say so) is let go of, or has let go of its socket, and only
    http.client's reader still knows that.
    """
    connection = response.raw.connection
    if connection is not None and connection.sock is not None:
        return connection.sock
    reader = getattr(getattr(response.raw, "_fp", None), "fp", None)
    return getattr(getattr(reader, "raw", None), "_sock", None)
