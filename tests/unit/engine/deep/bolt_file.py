"""Writes files as bbolt does, page by page: small buckets inline, the others as trees of pages."""

import struct
from collections.abc import Mapping
from typing import Any

PAGE = 512  # bytes: small pages make tall trees
_INLINE = PAGE // 4  # bytes: bbolt's bound
_BRANCH, _LEAF, _META = 1, 2, 4

Tree = Mapping[Any, Any]  # of str or bytes to bytes, or to a tree


def bolt_file(tree: Tree, *, transaction: int = 7, page_size: int = PAGE) -> bytes:
    """Return a database with these keys and buckets; the older meta page is of an empty one."""
    writer = _Writer(page_size)
    empty = writer.page(_LEAF, [])
    root = writer.root(tree)
    count = len(writer.pages) + 2
    metas = [(0, empty, transaction - 1), (1, root, transaction)]
    return b"".join([writer.meta(number, of, count, when) for number, of, when in metas] + writer.pages)


class _Writer:
    def __init__(self, page_size: int) -> None:
        self.size = page_size
        self.pages: list[bytes] = []

    def root(self, tree: Tree) -> int:
        """Write a bucket's pages, and return the number of the top one."""
        level = [(key, self._leaf_value(value)) for key, value in sorted(_bytes(tree).items())]
        groups = self._grouped([(key, flags, value) for key, (flags, value) in level])
        above = [(group[0][0], self.page(_LEAF, group)) for group in groups]
        while len(above) > 1:
            pairs = [above[at : at + 8] for at in range(0, len(above), 8)]
            above = [(pair[0][0], self._branch(pair)) for pair in pairs]
        return above[0][1] if above else self.page(_LEAF, [])

    def page(self, flags: int, elements: list[tuple[bytes, int, bytes]]) -> int:
        """Write a leaf page and those that it runs over into; return its number."""
        number = len(self.pages) + 2
        self._put(number, flags, len(elements), _leaf(elements))
        return number

    def meta(self, number: int, root: int, count: int, transaction: int) -> bytes:
        """Return a meta page."""
        body = struct.pack("<IIIIQQQQQ", 0xED0CDAED, 2, self.size, 0, root, 0, 0, count, transaction)
        value = 0xCBF29CE484222325
        for byte in body:
            value = (value ^ byte) * 0x100000001B3 % 2**64
        return (struct.pack("<QHHI", number, _META, 0, 0) + body + struct.pack("<Q", value)).ljust(self.size, b"\0")

    def _leaf_value(self, value: Any) -> tuple[int, bytes]:
        if isinstance(value, bytes):
            return 0, value
        elements = [(key, each) for key, each in sorted(_bytes(value).items())]
        if all(isinstance(each, bytes) for _, each in elements):
            inline = struct.pack("<QHHI", 0, _LEAF, len(elements), 0) + _leaf(
                [(key, 0, each) for key, each in elements]
            )
            if len(inline) <= _INLINE:
                return 1, struct.pack("<QQ", 0, 0) + inline
        return 1, struct.pack("<QQ", self.root(value), 0)

    def _branch(self, below: list[tuple[bytes, int]]) -> int:
        number = len(self.pages) + 2
        at, heads, keys = 16 * len(below), [], b""
        for place, (key, page) in enumerate(below):
            heads.append(struct.pack("<IIQ", at - 16 * place + len(keys), len(key), page))
            keys += key
        self._put(number, _BRANCH, len(below), b"".join(heads) + keys)
        return number

    def _put(self, number: int, flags: int, count: int, body: bytes) -> None:
        pages = -(-(16 + len(body)) // self.size)
        data = (struct.pack("<QHHI", number, flags, count, pages - 1) + body).ljust(pages * self.size, b"\0")
        self.pages += [data[at : at + self.size] for at in range(0, len(data), self.size)]

    def _grouped(self, elements: list[tuple[bytes, int, bytes]]) -> list[list[tuple[bytes, int, bytes]]]:
        groups: list[list[tuple[bytes, int, bytes]]] = []
        room = 0
        for element in elements:
            needs = 16 + len(element[0]) + len(element[2])
            if not groups or needs > room:
                groups.append([])
                room = self.size - 16
            groups[-1].append(element)
            room -= needs
        return groups


def _leaf(elements: list[tuple[bytes, int, bytes]]) -> bytes:
    heads, data = [], b""
    for place, (key, flags, value) in enumerate(elements):
        heads.append(struct.pack("<IIII", flags, 16 * (len(elements) - place) + len(data), len(key), len(value)))
        data += key + value
    return b"".join(heads) + data


def _bytes(tree: Tree) -> dict[bytes, Any]:
    return {key.encode() if isinstance(key, str) else key: value for key, value in tree.items()}
