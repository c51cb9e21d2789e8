"""What files said the last time. Most containers idle most of the time, and theirs still say the same."""

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from watchd.metrics.formats import Read

T = TypeVar("T")

_NONE: Mapping[str, bytes | None] = {}
_shared: dict[tuple[str, ...], tuple[str, ...]] = {}
"""The names that were asked for, kept once: all containers have a few such tuples between them."""


class Files(Protocol):
    """Files that are read by name; None: it is not there."""

    def read(self, name: str) -> bytes | None:
        """Read one of them."""

    def read_all(self, names: Sequence[str]) -> list[bytes | None]:
        """Read several."""


class Parsed(Generic[T]):
    """The record that `parse` makes of some files, for as long as they say what they said. They are read at each time.

    A file that is not there is not asked for again before another one says something else. Where there is no record
    without it, `parse` gives None, which is not kept. What is `known` of files is not read at all. Parsing takes a
    fifth of what a scrape takes, and comparing what was read next to nothing.
    """

    __slots__ = ("_contents", "_files", "_known", "_names", "_parse", "_record")

    def __init__(self, files: Files, parse: Callable[[Read], T], known: Mapping[str, bytes | None] = _NONE) -> None:
        self._files = files
        self._parse = parse
        self._known = known
        self._names: tuple[str, ...] = ()
        self._contents: Sequence[bytes | None] = []
        self._record: T | None = None

    def now(self) -> T:
        """Return what the files say now, parsed anew where one that `parse` asked for says something else."""
        contents = self._files.read_all(self._names)
        if contents == self._contents and self._record is not None:
            return self._record
        fresh = dict(zip(self._names, contents, strict=True))
        said: dict[str, bytes] = {}

        def remembered(name: str) -> bytes | None:
            if name in self._known:
                return self._known[name]
            data = fresh[name] if name in fresh else self._files.read(name)
            if data is not None:
                said[name] = data
            return data

        self._names, self._contents, self._record = (), [], None  # what cannot be parsed is not remembered
        record = self._parse(remembered)
        names = tuple(said)
        self._names, self._contents, self._record = _shared.setdefault(names, names), list(said.values()), record
        return record
