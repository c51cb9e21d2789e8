"""Network interfaces of the host that carry what others carry too: bridges, bonds, VLANs, tunnels."""

import time
from collections.abc import Collection
from pathlib import Path

LOOK_AGAIN = 60.0  # seconds


class StackedInterfaces:
    """Return the interfaces to leave out of a sum, from `/sys/class/net`, read once a minute.

    `procfs`: the host's /proc; its first process shows the host's interfaces where watchd runs in a container.
    """

    def __init__(self, procfs: Path, sysfs: Path = Path("/sys")) -> None:
        self._directories = (procfs / "1/root/sys/class/net", sysfs / "class/net")
        self._stacked: Collection[str] = ()
        self._read_at = -LOOK_AGAIN  # monotonic

    def __contains__(self, interface: object) -> bool:
        now = time.monotonic()
        if now - self._read_at >= LOOK_AGAIN:
            self._read_at = now
            self._stacked = next(filter(None, map(_stacked, self._directories)), ())
        return interface in self._stacked


def _stacked(directory: Path) -> Collection[str]:
    """Return all but the lowest interfaces: those of hardware; without any, those that have no other below them."""
    try:
        interfaces = [path for path in directory.iterdir() if path.is_dir()]
    except OSError:
        return ()
    lowest = [path for path in interfaces if not any(path.glob("lower_*"))]
    lowest = [path for path in lowest if (path / "device").exists()] or lowest
    return {path.name for path in interfaces} - {path.name for path in lowest}
