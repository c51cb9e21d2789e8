"""Names of block devices, from `/proc/partitions`: it is the same in every namespace, and needs no /sys."""

import threading
import time
from collections.abc import Mapping
from pathlib import Path

from watchd.kernel.parse.formats import Malformed, Odd, refuse, understood

LOOK_AGAIN = 5.0  # seconds


class BlockDevices:
    """Look up "/dev/sda" for "8:0". Safe to use from several threads.

    The file is read again after LOOK_AGAIN: numbers of removed devices are used again. `odd`
    takes note of each line that is not understood.
    """

    def __init__(self, procfs: Path, odd: Odd) -> None:
        self._path = procfs / "partitions"
        self._odd = odd
        self._names: Mapping[str, str] = {}
        self._read_at = -LOOK_AGAIN  # monotonic
        self._reading = threading.Lock()

    def name(self, number: str) -> str:
        """Return the device's path below /dev; the number where it has no name, or the names cannot be read."""
        with self._reading:
            now = time.monotonic()
            if now - self._read_at >= LOOK_AGAIN:
                self._read_at = now
                try:
                    self._names = partitions(self._path.read_bytes(), self._odd)
                except OSError:
                    self._names = {}
            return self._names.get(number, number)


def partitions(data: bytes, odd: Odd = refuse) -> Mapping[str, str]:
    """Parse `/proc/partitions`: "8:1" to "/dev/sda1"."""
    lines = data.splitlines()[1:]  # a line of headings, and an empty one
    return dict(understood(_partition, filter(bytes.strip, lines), odd))


def _partition(line: bytes) -> tuple[str, str]:
    fields = line.decode(errors="replace").split()
    if len(fields) != 4:
        raise Malformed(f"not a line of partitions: {line[:80]!r}")
    return f"{fields[0]}:{fields[1]}", f"/dev/{fields[3]}"
