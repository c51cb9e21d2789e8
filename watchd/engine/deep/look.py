"""Walk the engine's data, and add it up by kind and holder."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from watchd.config.schema.config import DataRoots
from watchd.engine.client import EngineClient
from watchd.engine.data.disks import statvfs
from watchd.engine.data.places import Look, Sight
from watchd.engine.deep import kinds, roots
from watchd.engine.deep.holders import NOBODY, Held, Listed
from watchd.engine.deep.kinds import DataKind
from watchd.engine.deep.known import Holders
from watchd.engine.deep.roots import DataNotSeen, Roots
from watchd.engine.deep.usage import DeepUsage, Shares, WalkedDisk
from watchd.engine.deep.walk import Part, Tree, Usage, Walk, idle_io
from watchd.engine.own_container import find_own
from watchd.errors import EngineError
from watchd.kernel.parse.mountinfo import Mount, mount_of
from watchd.model import Volume
from watchd.model.names.references import familiar

Walked = tuple[Tree, Part]
Progress = Callable[[Sequence[Walked], Walk], Iterable[Walked]]
"""Passes on what is to be walked, and may show how far the walk is."""

_HELD: tuple[DataKind, ...] = ("layer", "snapshot", "content", "log", "container", "volume")
_NEW = 3600.0  # seconds: Docker writes down a layer when all of it is there
_WITHOUT_DATA = frozenset(("overlay", "fuse.fuse-overlayfs", "tmpfs", "nsfs", "proc", "mqueue"))
_DANGLING = "moby-dangling@sha256:"
_PROCFS = Path("/proc")


def take(client: EngineClient, named: DataRoots, progress: Progress) -> DeepUsage:
    """List the engine's objects, and walk its data. Raise `EngineError`, for example `DataNotSeen`."""
    began = time.monotonic()
    look = _look(client)
    survey = _Survey(look, roots.find(look, named))
    listed = _list(client, look)
    with idle_io():
        survey.walk(progress)
    # Objects that came during the walk are in the second list, objects that went are in the first.
    survey.tell_holders(listed.with_(_list(client, _look(client))))
    return survey.usage(time.monotonic() - began)


def _look(client: EngineClient) -> Look:
    own = find_own()
    engine, images, volumes, containers = (
        client.info(),
        client.image_references(),
        client.volumes(),
        client.containers(),
    )
    return Look(engine, containers, volumes, images, own, Sight.of(own, _PROCFS), _PROCFS)


def _list(client: EngineClient, look: Look) -> Listed:
    try:
        cache: frozenset[str] | None = frozenset(record.id for record in client.build_cache())
    except EngineError:
        cache = None
    return Listed(
        containers=frozenset(container.id for container in look.containers),
        build_cache=cache,
        volumes=frozenset(volume.name for volume in look.volumes),
        in_containerd=look.engine.store == "containerd",
    )


class _Survey:
    """One walk and its result."""

    def __init__(self, look: Look, found: Roots) -> None:
        self._look = look
        self._roots = found
        self._notes: list[str] = []
        self._names = _names(look)
        self._shares = Shares()
        self._held: dict[tuple[DataKind, str], tuple[Path, Usage]] = {}  # data that may have a holder, by kind and name
        self._walked: dict[Path, int] = {}  # bytes, by root
        self._walk = Walk(look.sight.own)

    def walk(self, progress: Progress) -> None:
        """Walk the roots. Raise `DataNotSeen` where one cannot be read."""
        trees = list(self._trees())
        for tree, part in progress([(each, part) for each in trees for part in each.parts], self._walk):
            self._add(tree, part, self._walk.part(tree, part))
        for tree in trees:
            self._walked[tree.root] = self._walked.get(tree.root, 0) + tree.folders.size
            self._shares.add("engine", tree.folders)

    def tell_holders(self, listed: Listed) -> None:
        """Find the holders after the walk, so that data that came during it is not taken for nobody's."""
        known = Holders.read(self._roots, self._look.engine.storage_driver, listed, {name for _, name in self._held})
        self._notes += known.notes
        if listed.build_cache is None:
            self._notes.append("the build cache could not be listed, so none of it is told to be lost")
        for (kind, name), (path, usage) in self._held.items():
            by = known.of(kind, name)
            if by == NOBODY:
                try:
                    by = _by_age(kind, path, by)
                except OSError:
                    continue  # it went while the others were walked
            is_cache = kind == "volume" and Volume(name).builder is not None
            self._shares.add("builder" if is_cache else kind, usage, name, self._shown(name, by), by)

    def usage(self, seconds: float) -> DeepUsage:
        """Return all of it."""
        unread, mounts = self._walk.unread, self._look.sight.own
        if unread:
            self._notes.append(f"{unread} folders could not be read, so these sums are too small: run it as root")
        return DeepUsage(
            taken_at=time.time(),
            roots=tuple(map(os.fspath, self._walked)),
            shares=self._shares.all(),
            disks=tuple(self._disks()),
            files=self._walk.files,
            seconds=seconds,
            elsewhere=tuple(sorted(_elsewhere(self._walk.crossed, mounts))),
            notes=tuple(self._notes),
        )

    def _trees(self) -> Iterator[Tree]:
        walk, engine, found = self._walk, self._look.engine, self._roots
        driver = engine.storage_driver if engine.store == "graphdriver" else ""
        try:
            yield walk.tree(found.docker, kinds.data_root(driver))
            if found.containerd and not found.containerd.is_relative_to(found.docker):
                yield walk.tree(found.containerd, kinds.CONTAINERD)
        except OSError as error:
            raise DataNotSeen(f"{error.filename or found.docker} cannot be read: {error.strerror}") from None

    def _add(self, tree: Tree, part: Part, usage: Usage) -> None:
        self._walked[tree.root] = self._walked.get(tree.root, 0) + usage.size
        if not usage.files:  # it has gone since
            return
        if part.kind not in _HELD:
            self._shares.add(part.kind, usage, part.name)
            return
        _, before = self._held.setdefault((part.kind, part.name), (tree.root / part.path, Usage()))
        before.add(usage)

    def _shown(self, name: str, by: Held | None) -> str:
        """Return the name to show: that of the holder, else its own."""
        if by is None or not by.name:
            return self._names.get(name, name)
        if by.name.startswith(_DANGLING):
            return f"<none> {by.name.removeprefix(_DANGLING)[:12]}"
        return self._names.get(by.name, familiar(by.name) if by.holder == "image" else by.name)

    def _disks(self) -> Iterator[WalkedDisk]:
        """Yield the file systems of the roots, each with the bytes found on it."""
        mounts, own = self._look.sight.own, self._look.own
        on: dict[str, list[Path]] = {}
        for root in self._walked:
            mount = mount_of(os.fspath(root), mounts)
            on.setdefault(mount.device if mount else os.fspath(root), []).append(root)
        for device, roots_on in on.items():
            path = os.fspath(roots_on[0])
            disk = statvfs(path, path)
            # The least of what is mounted of a disk is its root; in a container that is not seen.
            whole = min(
                (each for each in mounts if each.device == device), key=lambda each: len(each.root), default=None
            )
            if disk is not None:
                walked = sum(self._walked[root] for root in roots_on)
                yield WalkedDisk(disk, walked, whole.point if whole and not own.in_container else "")


def _by_age(kind: DataKind, path: Path, by: Held) -> Held:
    """Return the holder of an unrecorded layer: a pull if the layer is new. Raise `OSError` if it has gone."""
    is_new = path.lstat().st_mtime > time.time() - _NEW
    return Held("pull", path.name) if kind == "layer" and is_new else by


def _names(look: Look) -> dict[str, str]:
    """Return names for people, by ID."""
    names = {container.id: container.name for container in look.containers}
    for image in look.images:
        names[image.id] = image.name if image.references else f"<none> {image.id.removeprefix('sha256:')[:12]}"
    return names


def _elsewhere(crossed: Iterable[str], mounts: Sequence[Mount]) -> Iterator[str]:
    """Yield the mount points with data that the walk did not enter: no overlays, and no file systems in memory."""
    types = {mount.point: mount.type for mount in mounts}
    return (point for point in crossed if types.get(point, "overlay") not in _WITHOUT_DATA)
