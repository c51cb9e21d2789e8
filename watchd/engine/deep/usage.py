"""Result of a walk over the engine's data, by kind and holder. Pure."""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field

from watchd.engine.deep.holders import Held, Holder
from watchd.engine.deep.kinds import DataKind
from watchd.engine.deep.walk import Usage
from watchd.model import Disk

MOST_LARGEST = 5  # of each kind and holder
Whose = tuple[DataKind, Holder | None]


@dataclass(frozen=True, slots=True)
class Share:
    """Data of one kind with one sort of holder. `holder` None: it needs none, or it is not known."""

    kind: DataKind
    holder: Holder | None
    size: int  # bytes of blocks
    files: int
    count: int  # of layers, volumes, containers' logs and so on
    largest: tuple[tuple[str, int], ...] = ()  # names and bytes, of data with a name
    until: float | None = None  # the last of its leases ends then; None: none of them does, or it has no lease


@dataclass(frozen=True, slots=True)
class WalkedDisk:
    """A file system with data of the engine, and the bytes of that."""

    disk: Disk
    walked: int
    mounted_on: str = ""  # "": not seen, in a container

    @property
    def outside(self) -> int:
        """Bytes of anything else on it: other files, and deleted ones that a process has open."""
        return max(0, self.disk.used - self.walked)


@dataclass(frozen=True, slots=True)
class DeepUsage:
    """Usage of the engine's disks, from a walk over them."""

    taken_at: float
    roots: tuple[str, ...]
    shares: tuple[Share, ...]  # the largest first
    disks: tuple[WalkedDisk, ...]
    files: int
    seconds: float
    elsewhere: tuple[str, ...] = ()  # mount points in the roots of other file systems, which were not walked
    notes: tuple[str, ...] = ()  # about data that could not be read or attributed


@dataclass(slots=True)
class _Sum:
    usage: Usage = field(default_factory=Usage)
    count: int = 0  # of data without a name
    things: set[str] = field(default_factory=set)
    names: dict[str, int] = field(default_factory=dict)
    until: float | None = None


class Shares:
    """Sums by kind and holder."""

    def __init__(self) -> None:
        self._sums: dict[Whose, _Sum] = {}

    def add(self, kind: DataKind, usage: Usage, thing: str = "", shown: str = "", by: Held | None = None) -> None:
        """Add what something takes; `thing` is its name or that of which it is a part, `shown` the name for people."""
        found = self._sums.setdefault((kind, by.holder if by else None), _Sum())
        found.usage.add(usage)
        if thing:
            found.things.add(thing)
            found.names[shown or thing] = found.names.get(shown or thing, 0) + usage.size
        else:
            found.count += 1
        if by and by.until is not None:
            found.until = max(by.until, found.until or 0.0)

    def all(self) -> tuple[Share, ...]:
        """Return the sums, the largest first."""
        shares = [
            Share(
                kind=kind,
                holder=holder,
                size=each.usage.size,
                files=each.usage.files,
                count=each.count + len(each.things),
                largest=_largest(each.names),
                until=each.until,
            )
            for (kind, holder), each in self._sums.items()
        ]
        return tuple(sorted(shares, key=lambda share: (-share.size, share.kind, share.holder or "")))


def _largest(sizes: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(heapq.nsmallest(MOST_LARGEST, sizes.items(), key=lambda item: (-item[1], item[0])))
