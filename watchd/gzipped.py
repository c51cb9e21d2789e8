"""gzip, for HTTP."""

try:
    from isal import isal_zlib as zlib
except ImportError:  # there are builds for x86-64 and 64-bit ARM only
    import zlib  # type: ignore[no-redef]

_LEVEL = 1  # metrics become a twentieth; higher levels cost more CPU than they save
_FORMAT = 16 + zlib.MAX_WBITS  # gzip, in zlib's terms


class Gzipped:
    """Compress a text piece by piece, so that the whole of it is never in memory."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _FORMAT)
        self._pieces: list[bytes] = []

    def add(self, piece: bytes) -> None:
        """Add the next piece."""
        self._pieces.append(self._compressor.compress(piece))

    def finished(self) -> bytes:
        """Return the compressed text. Nothing can be added afterwards."""
        self._pieces.append(self._compressor.flush())
        return b"".join(self._pieces)


def compressed(body: bytes) -> bytes:
    """Compress a text."""
    text = Gzipped()
    text.add(body)
    return text.finished()


def decompressed(body: bytes) -> bytes:
    """Decompress a text."""
    return zlib.decompress(body, _FORMAT)
