"""The beginning of a TLS connection, before it is known whether the client speaks HTTP at all."""

import asyncio
import ssl
from collections.abc import Callable

TIMEOUT = 10.0  # seconds


class Handshake(asyncio.Protocol):
    """A client that TLS is being agreed on with. Once it is, `connect` makes the protocol that goes on.

    The context is asked for at each connection, so that another certificate serves whoever comes after it was renewed.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        connect: Callable[[], asyncio.Protocol],
        pending: dict["Handshake", None],
        failed: Callable[[OSError], None],
    ) -> None:
        self._context = context
        self._connect = connect
        self._pending = pending  # in the order in which they came
        self._failed = failed
        self._early = b""  # what arrived together with the end of the handshake
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a stream's is
        transport.pause_reading()  # until TLS reads
        self._transport = transport
        self._pending[self] = None
        self._task = asyncio.get_running_loop().create_task(self._agree(transport))

    def data_received(self, data: bytes) -> None:
        """Keep what is said too early for `connect`'s protocol to be there."""
        self._early += data

    def abort(self) -> None:
        """Cut the connection."""
        self._pending.pop(self, None)
        if self._transport is not None:
            self._transport.abort()

    async def _agree(self, transport: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        try:
            secured = await loop.start_tls(
                transport, self, self._context, server_side=True, ssl_handshake_timeout=TIMEOUT
            )
        except OSError as error:  # no TLS, no certificate that is known, no client any more
            self._failed(error)
            return
        finally:
            self._pending.pop(self, None)
        if secured is None or secured.is_closing():
            return
        protocol = self._connect()
        secured.set_protocol(protocol)
        protocol.connection_made(secured)
        if self._early:
            protocol.data_received(self._early)
