"""The host's file systems: `/proc/1/mountinfo` says which there are, statfs how full they are."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from watchd.metrics.formats import Malformed
from watchd.metrics.hierarchy import unescaped
from watchd.metrics.usage import Filesystem

LOOK_AGAIN = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Mounted:
    """A file system that is mounted: its source, "/dev/sda1", and where."""

    device: str
    point: str


class Filesystems:
    """The file systems that the host sees. `procfs`: the host's /proc; in a container paths lead through it.

    Which are mounted is looked up once a minute: a host with many containers has hundreds.
    """

    def __init__(self, procfs: Path) -> None:
        self._procfs = procfs
        self._root = Path("/") if procfs == Path("/proc") else procfs / "1/root"
        self._looked = -LOOK_AGAIN  # monotonic
        self._mounted: list[Mounted] = []
        self._own: list[Mounted] | None = None  # what this process sees itself, where its own paths are measured
        self._disks: list[Mounted] = []
        self._devices: dict[str, str | None] = {}  # by path

    def on_disks(self) -> tuple[Filesystem, ...]:
        """Each file system on a block device, once."""
        self._look()
        measured = (self._measure(mounted.device, mounted.point) for mounted in self._disks)
        return tuple(filesystem for filesystem in measured if filesystem is not None)

    def of(self, path: str) -> Filesystem | None:
        """The file system that an absolute path of the host is on; None where it cannot be seen from here."""
        self._look()
        devices = self._devices
        if path not in devices:
            device = _device_of(path, self._mounted)
            devices[path] = device if device is not None and self._is_seen(device, path) else None
        found = devices[path]
        return None if found is None else self._measure(found, path)

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked < LOOK_AGAIN:
            return
        self._looked = now
        self._mounted = self._read("1", "self")  # an ordinary user may not look at process 1's, where /proc hides it
        own = self._read("self") if self._root == Path("/") else None
        self._own = self._mounted if own == self._mounted else own  # kept once, where hundreds are the same
        disks: dict[str, Mounted] = {}
        for mounted in self._mounted:
            device = mounted.device
            if device.startswith("/dev/") and device not in disks and self._is_seen(device, mounted.point):
                disks[device] = mounted
        self._disks = list(disks.values())
        self._devices = {}  # not cleared: another thread may be looking something up

    def _read(self, *processes: str) -> list[Mounted]:
        """Return what the first of these processes sees, of whose that can be told."""
        for process in processes:
            try:
                return mounts((self._procfs / process / "mountinfo").read_bytes())
            except (OSError, Malformed):
                continue
        return []

    def _is_seen(self, device: str, path: str) -> bool:
        """Whether a path leads to the same here as for the host: in a container of its processes it need not."""
        return self._own is None or _device_of(path, self._own) == device

    def _measure(self, device: str, path: str) -> Filesystem | None:
        try:
            found = os.statvfs(f"{self._root}/{path.lstrip('/')}")
        except OSError:
            return None
        return Filesystem(
            device=device,
            usage=(found.f_blocks - found.f_bfree) * found.f_frsize,
            limit=found.f_blocks * found.f_frsize,
            inodes=found.f_files or None,  # btrfs has no number of them
            inodes_free=found.f_ffree if found.f_files else None,
        )


def _device_of(path: str, mounted: Sequence[Mounted]) -> str | None:
    found: Mounted | None = None
    for each in mounted:  # of several mounted at one place the last one is seen
        is_below = path == each.point or path.startswith(each.point.rstrip("/") + "/")
        if is_below and (found is None or len(each.point) >= len(found.point)):
            found = each
    return found.device if found else None


def mounts(data: bytes) -> list[Mounted]:
    """Parse `/proc/<pid>/mountinfo`: everything that is mounted, in the order of mounting. Raise Malformed."""
    return list(_mounts(data))


def _mounts(data: bytes) -> Iterator[Mounted]:
    for line in data.splitlines():
        before, separator, after = line.partition(b" - ")
        fields, kind = before.split(), after.split()
        if not separator or len(fields) < 6 or len(kind) < 2:
            raise Malformed(f"not a line of mountinfo: {line[:80]!r}")
        yield Mounted(unescaped(kind[1]), unescaped(fields[4]))
