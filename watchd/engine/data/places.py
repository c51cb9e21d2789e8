"""The file systems of the engine's data, as far as it is proven which they are, and paths on them here."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from watchd.engine.own_container import sees_all_processes
from watchd.kernel.parse.formats import Malformed
from watchd.kernel.parse.mountinfo import Mount, mount_of, mountinfo
from watchd.model import Container, EngineInfo, Image, Own, Volume

CONTAINERD_ROOT = Path("/var/lib/containerd")
SNAPSHOTS = "/io.containerd.snapshotter."
_BLOBS = "io.containerd.content.v1.content/blobs/sha256"


@dataclass(frozen=True, slots=True)
class Place:
    """A file system with data of the engine."""

    path: str  # of the data, as the engine names it
    seen_at: str  # a path here that is on the same file system
    device: str  # "8:1", of its mount; never st_dev, which btrfs makes up for each subvolume


@dataclass(frozen=True, slots=True)
class Sight:
    """The mounts that this process sees, and those of the host; none of the host's where they cannot be seen."""

    own: Sequence[Mount]
    host: Sequence[Mount]

    @classmethod
    def of(cls, own: Own, procfs: Path) -> Self:
        """Read them. `procfs` is the host's /proc, if that can be seen."""
        mounts = _mounts(procfs / "self")
        if not own.in_container:
            return cls(mounts, _mounts(procfs / "1") or mounts)  # an ordinary user may not see the first process
        return cls(mounts, _mounts(procfs / "1") if procfs != Path("/proc") or sees_all_processes(procfs) else ())

    def place(self, name: str, path: str, mounts: Sequence[Mount]) -> Place | None:
        """Return the file system that a path is on in one of both tables, if anything of it can be measured here."""
        mount = mount_of(path, mounts)
        if mount is None:
            return None
        inside = mount.point.startswith(f"{name}/")  # a part of the data on a file system of its own
        name = mount.point if inside else name
        for point in self._points(name, mount.device):
            if _can_be_measured(point):
                return Place(name, point, mount.device)
        return None

    def named(self, path: str) -> Place:
        """Return the file system of a path here that the configuration names."""
        mount = mount_of(path, self.own)
        return Place(path, path, self._device(mount) if mount else "")

    def _points(self, path: str, device: str) -> Iterator[str]:
        here = mount_of(path, self.own)
        if here is not None and here.device == device:
            yield path
        yield from (mount.point for mount in self.own if device in (mount.device, self._device(mount)))

    def _device(self, mount: Mount) -> str:
        """Return the device that a mount takes room on: of an overlay, the one of its upper directory."""
        if mount.point == "/" and mount.upperdir is not None:
            upper = mount_of(mount.upperdir, self.host)
            return upper.device if upper else mount.device
        return mount.device


@dataclass(frozen=True, slots=True)
class Look:
    """One look at an engine, and what this process sees of its host."""

    engine: EngineInfo
    containers: Sequence[Container]
    volumes: Sequence[Volume]
    images: Sequence[Image]
    own: Own
    sight: Sight
    procfs: Path

    def data_root(self) -> tuple[Place | None, Place | None, Place | None]:
        """Return the file systems of volumes, a graph driver's layers, and logs; all None where nothing proves them.

        Proofs, in this order: a volume of watchd's own container; the upper directory of a container's overlay; the
        engine's file with its ID, or what it keeps of its containers and images; a container's process.
        """
        root, sight = self.engine.root_dir, self.sight
        mounted, upper = self._own_volume(), self.upperdir()
        has_files = self.has_files(self.engine.root_dir)
        if mounted is None and upper is None and not has_files and not self._has_processes():
            return None, None, None
        mounts = sight.own if has_files else sight.host
        volumes = sight.place(root, f"{root}/volumes", mounts)
        if mounted is not None:
            volumes = Place(root, mounted.point, mounted.device)
        layers = sight.place(root, f"{root}/{self.engine.storage_driver}", mounts) or volumes
        return volumes, layers, sight.place(root, f"{root}/containers", mounts) or volumes

    def containerd_root(self) -> Place | None:
        """Return the file system of containerd's layers.

        It is proven by the upper directory of a container's overlay, else by an image of the engine in the store of
        one containerd alone.
        """
        upper = self.upperdir()
        if upper is not None and SNAPSHOTS in upper:
            return self.sight.place(upper.partition(SNAPSHOTS)[0], upper, self.sight.host)
        # That of a containerd which dockerd started itself, then of one that runs beside it.
        roots = (Path(self.engine.root_dir or "/") / "containerd/daemon", CONTAINERD_ROOT)
        places = {
            place.device: place
            for root in roots
            if any(_is_there(root / _BLOBS / image.id.removeprefix("sha256:")) for image in self.images)
            and (place := self.sight.place(str(root), str(root), self.sight.own))
        }
        return next(iter(places.values())) if len(places) == 1 else None

    def _own_volume(self) -> Mount | None:
        """Return the mount of a volume of watchd's own container that lies in the engine's data root."""
        own = next((each for each in self.containers if each.id == self.own.container_id), None)
        names = own.volumes if own else ()
        for volume in self.volumes:
            if volume.name in names and volume.driver == "local" and not volume.options:
                below = volume.mountpoint.removeprefix(self.engine.root_dir)
                if below != volume.mountpoint:
                    return next((mount for mount in self.sight.own if mount.root.endswith(below)), None)
        return None

    def upperdir(self) -> str | None:
        """Return the upper directory of a container, as the host names it, if it is one of this engine's store."""
        for container in self.containers:
            if container.id == self.own.container_id:
                mounts = self.sight.own
            elif container.pid and _has_cgroup(self.procfs, container):
                mounts = _mounts(self.procfs / str(container.pid))
            else:
                continue
            upper = next((mount.upperdir for mount in mounts if mount.point == "/" and mount.upperdir), None)
            if upper is not None and (upper.startswith(f"{self.engine.root_dir}/") or SNAPSHOTS in upper):
                return upper
        return None

    def has_files(self, path: str) -> bool:
        """Return whether the engine's files are at a path, as this process sees it."""
        root = Path(path)
        try:
            if self.engine.id and (root / "engine-id").read_text(encoding="utf-8").strip() == self.engine.id:
                return True
        except (OSError, ValueError):
            pass  # Docker before 23 has no such file, and only root may read it
        driver = self.engine.storage_driver
        # Docker's folders, then Podman's.
        kept = (root / "containers", root / f"{driver}-containers")
        if any(_is_there(folder / container.id) for container in self.containers for folder in kept):
            return True
        described = (root / "image" / driver / "imagedb" / "content" / "sha256", root / f"{driver}-images")
        ids = [image.id.removeprefix("sha256:") for image in self.images]
        return any(_is_there(folder / id_) for id_ in ids for folder in described)

    def _has_processes(self) -> bool:
        """Return whether a container's process is one of this machine, where this process is in no container."""
        return not self.own.in_container and runs_here(self.containers, self.procfs)


def runs_here(containers: Sequence[Container], procfs: Path) -> bool:
    """Return whether a container's process, as the engine numbers it, is in a cgroup with the container's ID here."""
    return any(_has_cgroup(procfs, container) for container in containers if container.pid)


def _has_cgroup(procfs: Path, container: Container) -> bool:
    try:
        return container.id.encode() in (procfs / str(container.pid) / "cgroup").read_bytes()
    except OSError:
        return False


def _mounts(process: Path) -> Sequence[Mount]:
    try:
        return mountinfo((process / "mountinfo").read_bytes())
    except (OSError, Malformed):
        return ()


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # not even to be searched
        return False


def _can_be_measured(path: str) -> bool:
    try:
        os.statvfs(path)
    except OSError:
        return False
    return True
