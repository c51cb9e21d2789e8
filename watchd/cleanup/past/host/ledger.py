"""Bytes that objects take, each piece once however many of them hold it; and their course over time. Pure."""

from collections import Counter
from collections.abc import Mapping

from watchd.cleanup.past.result import Course, Taken
from watchd.cleanup.plan.space.cache_layers import Piece
from watchd.model import Kind

Pieces = Mapping[Piece, int]
KINDS: tuple[Kind, ...] = ("container", "image", "volume")  # that take space, without the build cache


class Ledger:
    """The bytes that the objects of one host hold, by kind."""

    def __init__(self) -> None:
        self.bytes: dict[Kind, int] = dict.fromkeys(KINDS, 0)
        self._holders: Counter[Piece] = Counter()

    def add(self, kind: Kind, pieces: Pieces) -> int:
        """Add an object. Return the bytes that nothing held before."""
        new = 0
        for piece, size in pieces.items():
            self._holders[piece] += 1
            if self._holders[piece] == 1:
                new += size
        if new:
            self.bytes[kind] += new
        return new

    def remove(self, kind: Kind, pieces: Pieces) -> int:
        """Remove an object. Return the bytes that nothing holds any more."""
        freed = 0
        for piece, size in pieces.items():
            self._holders[piece] -= 1
            if not self._holders[piece]:
                del self._holders[piece]
                freed += size
        if freed:
            self.bytes[kind] -= freed
        return freed


class Recorder:
    """Mean and peak of a ledger over watched time."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._seconds = 0.0
        self._sums: dict[Kind, float] = dict.fromkeys(KINDS, 0.0)
        self._peaks: dict[Kind, int] = dict.fromkeys(KINDS, 0)
        self._peak = 0

    def add(self, seconds: float) -> None:
        """Count what is held now for so many seconds."""
        if not seconds:
            return
        self._seconds += seconds
        total = 0
        for kind, size in self._ledger.bytes.items():
            total += size
            self._sums[kind] += size * seconds
            self._peaks[kind] = max(self._peaks[kind], size)
        self._peak = max(self._peak, total)

    def course(self) -> Course:
        """Return what was taken so far."""
        seconds = self._seconds or 1.0
        kinds = {kind: Taken(self._sums[kind] / seconds, self._peaks[kind]) for kind in KINDS}
        return Course(kinds, Taken(sum(self._sums.values()) / seconds, self._peak))
