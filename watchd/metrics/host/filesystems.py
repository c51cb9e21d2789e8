"""The host's file systems: `/proc/1/mountinfo` lists them, statfs measures them."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from watchd.kernel.parse.formats import Malformed, Odd
from watchd.kernel.parse.mountinfo import mountinfo
from watchd.model.usage import Filesystem

LOOK_AGAIN = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Mounted:
    """A file system that is mounted: its number, "8:1", its source, "/dev/sda1", and where."""

    number: str
    device: str
    point: str


class Filesystems:
    """File systems that the host sees. `procfs`: the host's /proc; in a container paths lead through it.

    The mounts are read once a minute: a host with many containers has hundreds.
    """

    def __init__(self, procfs: Path) -> None:
        self._procfs = procfs
        self._root = Path("/") if procfs == Path("/proc") else procfs / "1/root"
        self._read_at = -LOOK_AGAIN  # monotonic
        self._errors: list[OSError | Malformed] = []
        self._mounted: list[Mounted] = []
        self._own: list[Mounted] | None = None  # mounts of this process, where its own paths are measured
        self._disks: list[Mounted] = []
        self._devices: dict[str, str | None] = {}  # by path

    def on_disks(self, failed: Callable[[Exception], None]) -> tuple[Filesystem, ...]:
        """Measure each file system on a block device, once. `failed` is called for each that cannot be read."""
        self._refresh()
        for error in self._errors:
            failed(error)
        found = []
        for mounted in self._disks:
            try:
                found.append(self._measure(mounted.device, mounted.point))
            except FileNotFoundError:
                pass  # unmounted since
            except OSError as error:
                failed(error)
        return tuple(found)

    def of(self, path: str) -> Filesystem | None:
        """Measure the file system that an absolute path of the host is on; None where it cannot be seen from here."""
        self._refresh()
        devices = self._devices
        if path not in devices:
            device = _device_of(path, self._mounted)
            devices[path] = device if device is not None and self._is_seen(device, path) else None
        found = devices[path]
        if found is None:
            return None
        try:
            return self._measure(found, path)
        except OSError:
            return None

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._read_at < LOOK_AGAIN:
            return
        self._read_at = now
        odd: list[str] = []
        errors: list[OSError | Malformed] = []
        try:
            self._mounted = self._read_mounts(odd.append)
            own = self._read("self", odd=lambda _: None) if self._root == Path("/") else None
        except OSError as error:
            self._mounted, own = [], None
            errors.append(error.with_traceback(None))  # else it would keep the frames of the scrape
        self._errors = [*errors, *map(Malformed, odd)]
        self._own = self._mounted if own == self._mounted else own  # kept once, where hundreds are the same
        disks: dict[str, Mounted] = {}
        for mounted in self._mounted:
            device, number = mounted.device, mounted.number  # a source may have several names, as /dev/root
            if device.startswith("/dev/") and number not in disks and self._is_seen(device, mounted.point):
                disks[number] = mounted
        self._disks = list(disks.values())
        self._devices = {}  # not cleared: another thread may be reading it

    def _read(self, process: str, odd: Odd) -> list[Mounted]:
        data = (self._procfs / process / "mountinfo").read_bytes()
        return [Mounted(mount.device, mount.source, mount.point) for mount in mountinfo(data, odd)]

    def _read_mounts(self, odd: Odd) -> list[Mounted]:
        try:
            return self._read("1", odd)
        except OSError:  # an ordinary user cannot read process 1's where /proc hides it
            return self._read("self", odd)

    def _is_seen(self, device: str, path: str) -> bool:
        """Return whether a path is on the same device here as for the host: in a container it need not be."""
        return self._own is None or _device_of(path, self._own) == device

    def _measure(self, device: str, path: str) -> Filesystem:
        found = os.statvfs(f"{self._root}/{path.lstrip('/')}")
        return Filesystem(
            device=device,
            usage=(found.f_blocks - found.f_bfree) * found.f_frsize,
            limit=found.f_blocks * found.f_frsize,
            inodes=found.f_files or None,  # btrfs has no number of them
            inodes_free=found.f_ffree if found.f_files else None,
        )


def _device_of(path: str, mounted: Sequence[Mounted]) -> str | None:
    found: Mounted | None = None
    for each in mounted:  # of several at one place the last one is seen
        is_below = path == each.point or path.startswith(each.point.rstrip("/") + "/")
        if is_below and (found is None or len(each.point) >= len(found.point)):
            found = each
    return found.device if found else None
