"""Requests to one engine: the connection, time-outs, and replies as JSON."""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import requests

from watchd.config.schema.config import Engine as EngineConfig
from watchd.engine.connection.http_connection import Reply
from watchd.engine.connection.transport import (
    CONNECT_TIMEOUT,
    Connection,
    Requests,
    message_of,
    parts_of,
    tls_of,
    translated,
)
from watchd.engine.decode.fields import MalformedReply
from watchd.errors import EngineRefused

# Seconds. What lists has to walk everything on hosts with thousands of objects; a removal may have to wait for the
# disk, and giving up on one would cancel it midway inside the engine.
READ_TIMEOUT = 30.0
LIST_TIMEOUT = 120.0
REMOVE_TIMEOUT = 900.0
_PAUSES = (0.0, 0.1, 0.5)  # seconds before each further try of a list that removals beside it disturb

T = TypeVar("T")


class Requester:
    """Sends requests to an engine. The first one connects. Safe to use from several threads."""

    def __init__(self, config: EngineConfig, *, read_only: bool, requests_made: Requests, connections: int) -> None:
        self.host = config.host
        self.read_only = read_only
        self.requests_made = requests_made
        self.on_answer: Callable[[], object] = lambda: None
        """Called after each answer: many of them may take long, and each is progress."""
        self._config = config
        self._connections = connections
        self._tls = tls_of(config)
        self._connection: Connection | None = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """Forget the connection. The next request makes a new one, and asks anew which API version to speak."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _while_others_remove(self, ask: Callable[[], T]) -> T:
        """Ask again where the answer is 404: it is that of containerd's store when something goes meanwhile.

        "snapshot ... does not exist" where a build ends, "content digest ...: not found" where an image goes (28.5.2).
        """
        for pause in _PAUSES:
            try:
                return ask()
            except EngineRefused as error:
                if error.status != requests.codes.not_found:
                    raise
            time.sleep(pause)
        return ask()

    def _list(self, path: str, params: Mapping[str, Any]) -> Sequence[Any]:
        reply = self._json("GET", path, params=params, timeout=LIST_TIMEOUT)
        if not isinstance(reply, list):
            raise MalformedReply(f"{path}: a list was expected")
        return reply

    def _json(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, timeout: float = READ_TIMEOUT
    ) -> Any:
        body = self._request(method, path, params=params, timeout=timeout)
        try:
            return json.loads(body)
        except ValueError:  # that of JSON, and that of a number with more digits than Python reads
            raise MalformedReply(f"{method} {path}: the reply is not JSON") from None

    def _request(self, method: str, path: str, *, timeout: float, params: Mapping[str, Any] | None = None) -> bytes:
        """Send a request and return the body of the reply."""
        connection = self._connected()
        with translated(self.host):
            reply = connection.ask(method, path, params=params or {}, timeout=timeout)
        return self._accepted(reply)

    def _follow(self, path: str, params: Mapping[str, Any]) -> requests.Response:
        """Send a GET whose reply goes on until its connection ends."""
        connection = self._connected()
        with translated(self.host):
            response = connection.follow(path, params=params, timeout=CONNECT_TIMEOUT)
            body = response.content if response.status_code != requests.codes.ok else b""
        self._accepted(Reply(response.status_code, body))
        return response

    def _accepted(self, reply: Reply) -> bytes:
        self.on_answer()
        if reply.status >= requests.codes.multiple_choices:
            raise EngineRefused(message_of(reply), reply.status)
        return reply.body

    def _connected(self) -> Connection:
        with self._lock:
            if self._connection is None:
                with translated(self.host):
                    self._connection = Connection(
                        self._config,
                        read_only=self.read_only,
                        requests_made=self.requests_made,
                        tls=self._tls,
                        kept=self._connections,
                    )
            return self._connection

    def _api_version(self) -> tuple[int, ...]:
        return parts_of(self._connected().api_version)
