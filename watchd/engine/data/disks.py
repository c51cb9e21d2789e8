"""Disks of the engine's data: which file systems they are, as far as that is proven, and how full."""

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from watchd.config.schema.config import DataRoots
from watchd.engine.data.places import Look, Place, Sight
from watchd.model import Container, Disk, EngineInfo, Image, Kind, Own, Volume

_KINDS: Mapping[str, tuple[Kind, ...]] = {"volumes": ("volume",), "layers": ("container", "image", "build_cache")}
_HOST_PROC = Path("/host/proc")  # the host's /proc, where a container has it mounted


@dataclass(frozen=True, slots=True)
class Measured:
    """The disk that each kind of object takes room on; of other kinds, why it is not known and what would help.

    `is_here`: the engine is proven to be on this machine, which paths named in the configuration do not. `log_disk`:
    that of container logs; None: not known.
    """

    disks: Mapping[Kind, Disk] = field(default_factory=dict)
    unmeasured: Mapping[Kind, str] = field(default_factory=dict)
    is_here: bool = False
    log_disk: Disk | None = None


class EngineDisks:
    """Find and measure the disks of one engine's data.

    A path like /var/lib/docker is there on many machines: only what proves that the engine with this ID, or with these
    containers, has its data there makes it the engine's. A proof may need a container that runs, so it holds while this
    process does. Safe to use from several threads.
    """

    def __init__(self, named: DataRoots | None = None, procfs: Path | None = None) -> None:
        self._named = named or DataRoots()
        self._procfs = procfs
        self._proven: dict[tuple[str, str, str], dict[str, Place]] = {}  # by ID of the engine, data root, and store
        self._lock = threading.Lock()

    def measure(
        self,
        engine: EngineInfo,
        containers: Sequence[Container],
        volumes: Sequence[Volume],
        images: Sequence[Image],
        own: Own,
    ) -> Measured:
        """Measure the disk of each kind; kinds on one file system, by the device of its mount, have the same disk."""
        procfs = self._procfs or (_HOST_PROC if (_HOST_PROC / "stat").exists() else Path("/proc"))
        sight = Sight.of(own, procfs)
        look = Look(engine, containers, volumes, images, own, sight, procfs)
        of_volumes, of_layers, of_logs = look.data_root() if engine.root_dir else (None, None, None)
        if engine.store == "containerd":
            of_layers = look.containerd_root()
        with self._lock:
            proven = self._proven.setdefault((engine.id, engine.root_dir, engine.store), {})
            found = {"volumes": of_volumes, "layers": of_layers, "logs": of_logs}
            proven.update({what: place for what, place in found.items() if place})
            places: dict[str, Place] = dict(proven)
        is_here = bool(places)
        named = self._named
        if named.docker is not None:
            places["volumes"] = places["logs"] = sight.named(str(named.docker))
            if engine.store == "graphdriver":
                places["layers"] = places["volumes"]
        if named.containerd is not None and engine.store == "containerd":
            places["layers"] = sight.named(str(named.containerd))
        return _measured(places, engine, own, is_here=is_here)


def again(disk: Disk) -> Disk | None:
    """Measure a disk again; None if that is not possible any more."""
    return statvfs(disk.path, disk.seen_at or disk.path)


def all_again(disks: Mapping[Kind, Disk]) -> dict[Kind, Disk]:
    """Measure the disks of several kinds again, without those for which that is not possible any more."""
    measured = {each.path: again(each) for each in disks.values()}
    return {kind: now for kind, each in disks.items() if (now := measured[each.path]) is not None}


def _measured(places: Mapping[str, Place], engine: EngineInfo, own: Own, *, is_here: bool) -> Measured:
    disks: dict[Kind, Disk] = {}
    unmeasured: dict[Kind, str] = {}
    by_device: dict[str, Disk | None] = {}
    of: dict[str, Disk | None] = {}
    for what in (*_KINDS, "logs"):
        place = places.get(what)
        if place is not None:
            device = place.device or place.seen_at
            if device not in by_device:
                by_device[device] = statvfs(place.path, place.seen_at)
            of[what] = by_device[device]
    for what, kinds in _KINDS.items():
        disk = of.get(what)
        for kind in kinds:
            if disk is None:
                unmeasured[kind] = _what_helps(what, engine, own)
            else:
                disks[kind] = disk
    return Measured(disks, unmeasured, is_here, of.get("logs"))


def _what_helps(what: str, engine: EngineInfo, own: Own) -> str:
    """Return which disk is not known, and how to let watchd measure it."""
    containerd = what == "layers" and engine.store == "containerd"
    data = "containerd's images" if containerd else engine.root_dir or "the engine's data"
    key = "containerd" if containerd else "docker"
    if not own.in_container:
        helps = "start a container, or set" if os.geteuid() == 0 else "run watchd as root, start a container, or set"
    elif containerd:
        helps = "show watchd the host's mounts (--pid host or -v /proc:/host/proc:ro), or mount a folder of it and set"
    else:
        helps = "give watchd a named volume (-v watchd:/var/lib/watchd), or mount a folder of it and set"
    return f"the disk of {data} is not known: {helps} engine.data_roots.{key}"


def statvfs(path: str, seen_at: str) -> Disk | None:
    """Measure the file system that something is on; None if that is not possible."""
    try:
        of = os.statvfs(seen_at)
    except OSError:
        return None
    return Disk(
        path=path,
        used=(of.f_blocks - of.f_bfree) * of.f_frsize,
        available=of.f_bavail * of.f_frsize,
        inodes_used=of.f_files - of.f_ffree if of.f_files else 0,
        inodes=of.f_files,
        seen_at=seen_at,
    )
