"""`/proc/partitions`: the names of block devices. It is not namespaced, and needs no /sys."""

import threading
import time
from collections.abc import Mapping
from pathlib import Path

from watchd.metrics.formats import Malformed

LOOK_AGAIN = 5.0  # seconds


class BlockDevices:
    """Gives "/dev/sda" for "8:0", and the number itself for a device that has no name (any more).

    The file is read again after LOOK_AGAIN: devices come, go, and leave their numbers to others. Threads may share one:
    none is given a number because another has not finished reading.
    """

    def __init__(self, procfs: Path) -> None:
        self._path = procfs / "partitions"
        self._names: Mapping[str, str] = {}
        self._looked = -LOOK_AGAIN  # monotonic
        self._reading = threading.Lock()

    def name(self, number: str) -> str:
        """The device's path below /dev. Where the names cannot be read, the number: what was counted still holds."""
        with self._reading:
            now = time.monotonic()
            if now - self._looked >= LOOK_AGAIN:
                self._looked = now
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
