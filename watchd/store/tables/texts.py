"""Texts and IDs in few bytes."""

import hashlib
import sqlite3

from watchd.model import Kind

_HEX = frozenset("0123456789abcdef")
_PREFIX = "sha256:"


def digest(text: str) -> int:
    """Return the number of a text: the first 63 bits of its SHA-256."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def intern(connection: sqlite3.Connection, text: str) -> int:
    """Keep a text once. Return its number."""
    number = digest(text)
    connection.execute("INSERT OR IGNORE INTO timeline_text VALUES (?, ?)", (number, text))
    return number


def packed(kind: Kind, id_: str) -> bytes | str:
    """Return the bytes of an ID of 64 hex digits; any other one as it is."""
    if kind != "image":
        return bytes.fromhex(id_) if _is_digest(id_) else id_
    bare = id_.removeprefix(_PREFIX)
    return bytes.fromhex(bare) if id_.startswith(_PREFIX) and _is_digest(bare) else id_


def unpacked(kind: Kind, id_: bytes | str) -> str:
    """Return the ID that was packed."""
    if isinstance(id_, str):
        return id_
    return f"{_PREFIX}{id_.hex()}" if kind == "image" else id_.hex()


def _is_digest(text: str) -> bool:
    return len(text) == 64 and _HEX.issuperset(text)
