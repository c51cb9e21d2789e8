"""How full the file systems are that the engine keeps its things on, where the engine is provably on this host."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from watchd.model import Container, Disk, EngineInfo, Image, Kind, Own

_CONTAINERD_ROOT = Path("/var/lib/containerd")  # of a containerd that runs beside dockerd
_IN_STORE: tuple[Kind, ...] = ("container", "image", "build_cache")  # what the containerd store holds, layers included


def measure(engine: EngineInfo, containers: Sequence[Container], images: Sequence[Image], own: Own) -> dict[Kind, Disk]:
    """Return the disk that each kind of object takes room on; nothing where it cannot be known to be the engine's.

    A path like /var/lib/docker is there on many machines: only what proves that the engine with this ID, or with these
    containers, has its data there makes it the engine's.
    """
    if not engine.root_dir or not is_here(engine, containers, images, own):
        return {}
    root = _statvfs(Path(engine.root_dir))
    store = root
    if engine.store == "containerd":
        embedded = Path(engine.root_dir) / "containerd" / "daemon"  # of a containerd that dockerd started itself
        store = _statvfs(_CONTAINERD_ROOT if not _is_there(embedded) and _is_there(_CONTAINERD_ROOT) else embedded)
        store = store or root
    disks: dict[Kind, Disk] = {}
    if root is not None:
        disks["volume"] = root
    for kind in _IN_STORE:
        if store is not None:
            disks[kind] = store
    return disks


def again(disk: Disk) -> Disk | None:
    """Return how full a disk is now; None where that cannot be told any more."""
    return _statvfs(Path(disk.path))


def all_again(disks: Mapping[Kind, Disk]) -> dict[Kind, Disk]:
    """Return how full the disks of several kinds are now, without those that cannot be told any more."""
    measured = {each.path: again(each) for each in disks.values()}
    return {kind: now for kind, each in disks.items() if (now := measured[each.path]) is not None}


def is_here(
    engine: EngineInfo,
    containers: Sequence[Container],
    images: Sequence[Image],
    own: Own,
    procfs: Path = Path("/proc"),
) -> bool:
    """Return whether the engine's data is provably at its path on this machine, as this process sees it.

    Proofs are the engine's own file with its ID; what it keeps of its containers and images there; and, outside a
    container, a process here in a cgroup that has the ID of a container which the engine says has that process.
    """
    root = Path(engine.root_dir)
    try:
        if engine.id and (root / "engine-id").read_text(encoding="utf-8").strip() == engine.id:
            return True
    except (OSError, ValueError):
        pass  # Docker before 23 has no such file, and only root may read it
    driver = engine.storage_driver
    # Docker's folders, then Podman's.
    kept = (root / "containers", root / f"{driver}-containers")
    if any(_is_there(folder / container.id) for container in containers for folder in kept):
        return True
    described = (root / "image" / driver / "imagedb" / "content" / "sha256", root / f"{driver}-images")
    if any(_is_there(folder / image.id.removeprefix("sha256:")) for image in images for folder in described):
        return True
    if own.in_container:
        return False  # it may see the host's processes and not its file systems
    return any(_has_cgroup(procfs, container) for container in containers if container.pid)


def _has_cgroup(procfs: Path, container: Container) -> bool:
    try:
        return container.id.encode() in (procfs / str(container.pid) / "cgroup").read_bytes()
    except OSError:
        return False


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # not even to be searched
        return False


def _statvfs(path: Path) -> Disk | None:
    try:
        of = os.statvfs(path)
    except OSError:
        return None
    return Disk(
        path=str(path),
        used=(of.f_blocks - of.f_bfree) * of.f_frsize,
        available=of.f_bavail * of.f_frsize,
        inodes_used=of.f_files - of.f_ffree if of.f_files else 0,
        inodes=of.f_files,
    )
