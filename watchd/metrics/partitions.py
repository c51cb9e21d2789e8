"""`/proc/partitions`: the names of block devices. It is not namespaced, and needs no /sys."""

from collections.abc import Mapping
from pathlib import Path

from watchd.metrics.formats import Malformed


class BlockDevices:
    """Gives "/dev/sda" for "8:0", and the number itself for a device that has no name (any more).

    Numbers of removed devices are used again: `refresh` makes the next question look anew.
    """

    def __init__(self, procfs: Path) -> None:
        self._path = procfs / "partitions"
        self._names: Mapping[str, str] | None = None

    def refresh(self) -> None:
        """Forget the names."""
        self._names = None

    def name(self, number: str) -> str:
        """The device's path below /dev. Where the names cannot be read, the number: what was counted still holds."""
        if self._names is None:
            try:
                self._names = partitions(self._path.read_bytes())
            except (OSError, Malformed):
                self._names = {}
        return self._names.get(number, number)


def partitions(data: bytes) -> Mapping[str, str]:
    """Parse `/proc/partitions`: "8:1" to "/dev/sda1". Raise Malformed."""
    names = {}
    for line in data.decode(errors="replace").splitlines()[1:]:
        fields = line.split()
        if len(fields) == 4:
            names[f"{fields[0]}:{fields[1]}"] = f"/dev/{fields[3]}"
        elif fields:
            raise Malformed(f"not a line of partitions: {line[:80]!r}")
    return names
