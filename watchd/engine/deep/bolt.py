"""bbolt's file format, in which containerd keeps its databases. Read-only; every page is checked. Pure."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

# A page: its number, flags, count of elements, number of further pages. Little-endian, as on every machine with Docker.
_PAGE = struct.Struct("<QHHI")
_BRANCH, _LEAF, _META = 0x01, 0x02, 0x04
_BRANCH_ELEMENT = struct.Struct("<IIQ")  # offset of the key from here, its length, page
_LEAF_ELEMENT = struct.Struct("<IIII")  # flags, offset of the key from here, its length, length of the value
_IS_BUCKET = 0x01
_BUCKET = struct.Struct("<QQ")  # page of its root (0: the page follows), sequence

# After the page's head: magic, version, page size, flags, root bucket, freelist, pages, transaction, checksum.
_META_PAGE = struct.Struct("<IIIIQQQQQQ")
_MAGIC, _VERSION = 0xED0CDAED, 2
_SMALLEST, _LARGEST = 512, 65536  # page sizes
_DEEPEST = 64  # pages above each other: a tree of this depth has more keys than a disk has room for


class Torn(ValueError):
    """The pages do not fit together: the file was copied while it was written, or is damaged."""


@dataclass(frozen=True, slots=True)
class Meta:
    """A meta page: the state of the database after one transaction."""

    page_size: int
    root: int  # page of the root bucket
    pages: int  # the file has no more in use
    transaction: int


class Bucket:
    """A bucket: keys with values, and buckets in it by name."""

    __slots__ = ("_at", "_file", "_number")

    def __init__(self, file: "File", number: int, at: int = 0) -> None:
        self._file = file
        self._number = number  # of the root page; 0: it is inline
        self._at = at  # where the inline page is

    def __iter__(self) -> Iterator[tuple[bytes, "bytes | Bucket"]]:
        """Yield keys in order, each with its value or the bucket of that name. Raise `Torn`."""
        if self._number:
            yield from self._file.elements(self._number)
        else:
            yield from self._file.inline(self._at)

    def values(self) -> dict[str, bytes]:
        """Return the keys with values."""
        return {_text(key): value for key, value in self if isinstance(value, bytes)}

    def buckets(self) -> Iterator[tuple[str, "Bucket"]]:
        """Yield the buckets in it by name."""
        for key, value in self:
            if isinstance(value, Bucket):
                yield _text(key), value

    def bucket(self, *path: str) -> "Bucket | None":
        """Return the bucket at a path of names below this one, None if it is not there."""
        found: Bucket | None = self
        for name in path:
            found = next((bucket for key, bucket in found.buckets() if key == name), None) if found else None
        return found

    def below(self, *path: str) -> "Iterator[tuple[str, Bucket]]":
        """Yield the buckets in the one at a path by name; none if it is not there."""
        found = self.bucket(*path)
        if found is not None:
            yield from found.buckets()


class File:
    """A database of bbolt in memory. The caller says which transaction's state is read."""

    def __init__(self, data: bytes, meta: Meta) -> None:
        self._data = data
        self._size = meta.page_size
        self._pages = min(meta.pages, len(data) // meta.page_size)
        self.root = Bucket(self, meta.root)

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Return the newest state in a database. Raise `Torn` where it has none."""
        return cls(data, newest(data))

    def elements(self, number: int, depth: int = 0) -> Iterator[tuple[bytes, "bytes | Bucket"]]:
        """Yield the elements below a page, in order."""
        if not 1 < number < self._pages or depth > _DEEPEST:
            raise Torn(f"there is no page {number}")
        start = number * self._size
        own, flags, count, more = _PAGE.unpack_from(self._data, start)
        if own != number or flags not in (_BRANCH, _LEAF):
            raise Torn(f"page {number} says that it is page {own} of type {flags}")
        end = start + (more + 1) * self._size
        if end > len(self._data):
            raise Torn(f"page {number} is longer than the file")
        if flags == _LEAF:
            yield from self._leaf(start, end, count)
        else:
            yield from self._branch(start, end, count, depth)

    def inline(self, start: int) -> Iterator[tuple[bytes, "bytes | Bucket"]]:
        """Yield the elements of a page that is the value of a bucket's name."""
        _, flags, count, _ = _PAGE.unpack_from(self._data, start)
        if flags != _LEAF:
            raise Torn(f"an inline bucket has a page of type {flags}")
        yield from self._leaf(start, len(self._data), count)

    def _leaf(self, start: int, end: int, count: int) -> Iterator[tuple[bytes, "bytes | Bucket"]]:
        data, last = self._data, b""
        if start + _PAGE.size + count * _LEAF_ELEMENT.size > end:
            raise Torn("a page has more elements than room for them")
        for at in range(start + _PAGE.size, start + _PAGE.size + count * _LEAF_ELEMENT.size, _LEAF_ELEMENT.size):
            flags, position, key_size, value_size = _LEAF_ELEMENT.unpack_from(data, at)
            value_at = at + position + key_size
            if value_at + value_size > end:
                raise Torn("an element ends beyond its page")
            key = data[at + position : value_at]
            if key <= last:
                raise Torn("keys are not in order")
            last = key
            if not flags & _IS_BUCKET:
                yield key, data[value_at : value_at + value_size]
                continue
            if value_size < _BUCKET.size:
                raise Torn("a bucket has no root")
            root, _ = _BUCKET.unpack_from(data, value_at)
            if not root and value_size < _BUCKET.size + _PAGE.size:
                raise Torn("an inline bucket has no page")
            yield key, Bucket(self, root, value_at + _BUCKET.size)

    def _branch(self, start: int, end: int, count: int, depth: int) -> Iterator[tuple[bytes, "bytes | Bucket"]]:
        first = start + _PAGE.size
        if first + count * _BRANCH_ELEMENT.size > end:
            raise Torn("a page has more elements than room for them")
        last = b""
        for at in range(first, first + count * _BRANCH_ELEMENT.size, _BRANCH_ELEMENT.size):
            position, key_size, page = _BRANCH_ELEMENT.unpack_from(self._data, at)
            least = self._data[at + position : at + position + key_size]
            for key, value in self.elements(page, depth + 1):
                if key < least or key <= last:
                    raise Torn("keys are not in order")
                last = key
                yield key, value


def newest(data: bytes) -> Meta:
    """Return the newer of the two meta pages that check. Raise `Torn` where none does.

    `data`: the beginning of a file, at least twice its page size.
    """
    first = _meta(data, 0)
    sizes = [first.page_size] if first else []
    size = _SMALLEST
    while size <= _LARGEST:  # the first page may be the one that was being written
        sizes.append(size)
        size *= 2
    found = [meta for size in sizes if (meta := _meta(data, size)) and meta.page_size == size]
    found += [first] if first else []
    if not found:
        raise Torn("no meta page checks")
    return max(found, key=lambda meta: meta.transaction)


def _meta(data: bytes, start: int) -> Meta | None:
    if len(data) < start + _PAGE.size + _META_PAGE.size:
        return None
    _, flags, _, _ = _PAGE.unpack_from(data, start)
    at = start + _PAGE.size
    magic, version, page_size, _, root, _, _, pages, transaction, checksum = _META_PAGE.unpack_from(data, at)
    if (flags, magic, version) != (_META, _MAGIC, _VERSION) or not _SMALLEST <= page_size <= _LARGEST:
        return None
    if checksum != _fnv1a(data[at : at + _META_PAGE.size - 8]):
        return None
    return Meta(page_size, root, pages, transaction)


def _fnv1a(data: bytes) -> int:
    """Return the 64-bit FNV-1a hash."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def _text(key: bytes) -> str:
    return key.decode(errors="replace")
