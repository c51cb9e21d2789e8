"""The disks of a past host, between one measurement and the next. Pure."""

from dataclasses import replace

from watchd.cleanup.past.host.ledger import KINDS, Ledger
from watchd.model import Disk, Kind
from watchd.model.history.timeline import DiskMark


class PastDisks:
    """The disks as measured last, with what objects take in the simulation instead of what they took then."""

    def __init__(self, recorded: Ledger, simulated: Ledger) -> None:
        self._recorded = recorded
        self._simulated = simulated
        self._marks: dict[str, tuple[DiskMark, int]] = {}  # by path, with what objects took then

    def measure(self, mark: DiskMark) -> None:
        """Take a measurement."""
        self._marks[mark.path] = mark, _taken(self._recorded, mark)

    def now(self) -> dict[Kind, Disk]:
        """Return the disk of each kind."""
        found: dict[Kind, Disk] = {}
        for mark, taken in self._marks.values():
            more = _taken(self._simulated, mark) - taken
            disk = Disk(mark.path, mark.used, mark.available, mark.inodes_used, mark.inodes)
            if more > 0:
                disk = replace(disk, used=disk.used + more, available=max(0, disk.available - more))
            elif more < 0:
                disk = disk.freed(-more)
            found |= {kind: disk for kind in KINDS if kind in mark.kinds}
        return found


def _taken(ledger: Ledger, mark: DiskMark) -> int:
    return sum(size for kind, size in ledger.bytes.items() if kind in mark.kinds)
