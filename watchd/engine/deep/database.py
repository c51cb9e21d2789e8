"""Copies of containerd's databases: taken in one go while containerd writes, and checked."""

import os
from pathlib import Path

from watchd.engine.deep.bolt import Bucket, File, Torn, newest

_ATTEMPTS = 5
_HEAD = 2 * 65536  # bytes with both meta pages, whatever the page size
_LARGEST = 512 * 1024 * 1024  # bytes: a database of that size has millions of keys


def read(path: Path) -> Bucket:
    """Return the root of a copy of a database. Raise `Torn` where no copy checks, `OSError` if it cannot be read.

    bbolt overwrites no page that the last transaction can reach, and writes the meta page last. So a copy is whole if
    the last transaction is the same before and after it. Nothing is locked: containerd is not kept waiting.
    """
    for _ in range(_ATTEMPTS):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            before = newest(os.pread(descriptor, _HEAD, 0))
            data = _read(descriptor, before.pages * before.page_size)
            after = newest(os.pread(descriptor, _HEAD, 0))
        finally:
            os.close(descriptor)
        if before == after:
            return File(data, before).root
    raise Torn(f"{path} was written to during each of {_ATTEMPTS} copies")


def _read(descriptor: int, size: int) -> bytes:
    if size > _LARGEST:
        raise Torn(f"it has {size} bytes, and no more than {_LARGEST} are read")
    parts, at = [], 0
    while at < size and (part := os.pread(descriptor, size - at, at)):
        parts.append(part)
        at += len(part)
    return b"".join(parts)
