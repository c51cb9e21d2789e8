"""Parse files again only when they have changed: most containers idle most of the time."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from watchd.kernel.parse.formats import Malformed, Read, Reader

T = TypeVar("T")

_NONE: Mapping[str, bytes | None] = {}
_interned: dict[tuple[str, ...], tuple[str, ...]] = {}
"""Names of files that were asked for, kept once: all containers have a few such tuples between them."""


class Files(Protocol):
    """Files that are read by name; None: it is not there."""

    def read(self, name: str) -> bytes | None:
        """Read one of them."""

    def read_all(self, names: Sequence[str]) -> list[bytes | None]:
        """Read several."""


class Parsed(Generic[T]):
    """A record that `parse` makes of some files, kept as long as their content is the same. They are read each time.

    A file that is absent is not read again before another one changes. Where there is no record without it, `parse`
    returns None, which is not kept. Files that are `known` are not read. `context` is passed on to `parse`.
    Parsing takes a fifth of a scrape, comparing next to nothing.
    """

    __slots__ = ("_contents", "_context", "_files", "_known", "_names", "_parse", "_record", "not_understood")

    def __init__(
        self,
        files: Files,
        parse: Callable[[Read, Any], T],
        context: Any = None,
        known: Mapping[str, bytes | None] = _NONE,
    ) -> None:
        self._files = files
        self._parse = parse
        self._context = context
        self._known = known
        self._names: tuple[str, ...] = ()
        self._contents: Sequence[bytes | None] = []
        self._record: T | None = None
        self.not_understood: Sequence[Malformed] = ()
        """Parts of the files that the record lacks since they are not understood."""

    def now(self) -> T:
        """Return the record from the files as they are now."""
        contents = self._files.read_all(self._names)
        if contents == self._contents and self._record is not None:
            return self._record
        read: Read = Reader(self._files.read)
        read.update(self._known)
        read.update(zip(self._names, contents, strict=True))
        names, asked = self._names, len(read)
        self._names, self._contents, self._record = (), [], None  # content that cannot be parsed is not kept
        self.not_understood = ()
        record = self._parse(read, self._context)
        if read.not_understood:
            self.not_understood = [Malformed(text) for text in read.not_understood]
        if len(read) != asked or None in contents:
            used = {name: data for name, data in read.items() if data is not None and name not in self._known}
            names, contents = tuple(used), list(used.values())
            names = _interned.setdefault(names, names)
        self._names, self._contents, self._record = names, contents, record
        return record
