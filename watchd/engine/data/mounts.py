"""Mounts on the paths of volumes, from the mountinfo of every process on this host."""

import errno
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

from watchd.engine.own_container import sees_all_processes
from watchd.kernel.parse.formats import Malformed
from watchd.kernel.parse.mountinfo import mountinfo
from watchd.model import Volume

_PROCFS = Path("/proc")
_GONE = (errno.ENOENT, errno.ESRCH, errno.EINVAL)  # the process ended; of a zombie the kernel says EINVAL


def with_mounts(volumes: Iterable[Volume], procfs: Path = _PROCFS) -> tuple[Volume, ...]:
    """Return local volumes of an engine on this host, those with options with whether something is mounted there."""
    volumes = tuple(volumes)
    if not any(volume.options for volume in volumes):
        return volumes
    points = _mount_points(procfs)
    return tuple(
        replace(volume, mounted=_is_mounted(volume.mountpoint, points)) if volume.options else volume
        for volume in volumes
    )


def _is_mounted(path: str, points: Collection[str] | None) -> bool | None:
    """Return whether a volume's path, or a path below its folder, is a mount point. None: unknown."""
    if points is None or not path.startswith("/"):
        return None
    folder = path.removesuffix("/_data")  # the engine removes all of it
    return any(point == folder or point.startswith(f"{folder}/") for point in points)


def _mount_points(procfs: Path) -> Collection[str] | None:
    """Return the mount points in all mount namespaces: the engine may have one of its own. None: not all are known."""
    if not sees_all_processes(procfs):
        return None
    seen: set[tuple[Path, Path]] = set()
    tables: set[bytes] = set()
    try:
        for process in (each for each in procfs.iterdir() if each.name.isdecimal()):
            try:
                namespace = _namespace(process)
                if namespace not in seen:
                    tables.add((process / "mountinfo").read_bytes())
                    seen.update([namespace] if namespace else [])
            except OSError as error:
                if error.errno not in _GONE:
                    raise
        # A line that is not understood could be of a volume: then not all mount points are known.
        return {mount.point for table in tables for mount in mountinfo(table)}
    except (OSError, Malformed):
        return None


def _namespace(process: Path) -> tuple[Path, Path] | None:
    """Return the mount namespace of a process, so that each is read once; None without permission."""
    try:
        return ((process / "ns/mnt").readlink(), (process / "root").readlink())
    except PermissionError:
        return None
