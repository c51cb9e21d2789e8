"""gzip, as HTTP has it."""

try:
    from isal import isal_zlib as zlib
except ImportError:  # it is made for x86-64 and 64-bit ARM alone
    import zlib  # type: ignore[no-redef]

_LEVEL = 1  # a twentieth of the size of metrics; higher levels cost more CPU than the network is worth
_FORMAT = 16 + zlib.MAX_WBITS  # what zlib calls it


class Gzipped:
    """A text that is compressed as it is made, piece by piece, so that the whole of it is never there."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _FORMAT)
        self._pieces: list[bytes] = []

    def add(self, piece: bytes) -> None:
        """Add the next piece."""
        self._pieces.append(self._compressor.compress(piece))

    def finished(self) -> bytes:
        """Return all of it, compressed. Nothing can be added afterwards."""
        self._pieces.append(self._compressor.flush())
        return b"".join(self._pieces)


def compressed(body: bytes) -> bytes:
    """Return it compressed."""
    text = Gzipped()
    text.add(body)
    return text.finished()


def decompressed(body: bytes) -> bytes:
    """Return what was compressed."""
    return zlib.decompress(body, _FORMAT)
