"""TLS handshake of a new connection."""

import asyncio
import ssl
from collections.abc import Callable

from watchd.http.application import Application

TIMEOUT = 10.0  # seconds


class Handshake(asyncio.Protocol):
    """TLS handshake with one client; `connect` then makes the protocol that serves `application`.

    While it lasts it is in `pending`, oldest first. `on_failure` gets the reason if no connection was made.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        application: Application,
        connect: Callable[[Application], asyncio.Protocol],
        pending: dict["Handshake", None],
        on_failure: Callable[[OSError], None],
    ) -> None:
        self.application = application
        self._context = context
        self._connect = connect
        self._pending = pending
        self._on_failure = on_failure
        self._early = b""  # data that arrived with the end of the handshake
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the handshake."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - this is a stream socket
        transport.pause_reading()  # until `start_tls` reads
        self._transport = transport
        self._pending[self] = None
        self._task = asyncio.get_running_loop().create_task(self._run(transport))

    def data_received(self, data: bytes) -> None:
        """Keep data that arrives before the protocol of the connection exists."""
        self._early += data

    def abort(self) -> None:
        """Cut the connection."""
        self._pending.pop(self, None)
        if self._transport is not None:
            self._transport.abort()

    async def _run(self, transport: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        try:
            secured = await loop.start_tls(
                transport, self, self._context, server_side=True, ssl_handshake_timeout=TIMEOUT
            )
        except OSError as error:  # not TLS, no valid certificate, or disconnected
            self._on_failure(error)
            return
        finally:
            self._pending.pop(self, None)
        if secured is None or secured.is_closing():
            return
        protocol = self._connect(self.application)
        secured.set_protocol(protocol)
        protocol.connection_made(secured)
        if self._early:
            protocol.data_received(self._early)
