"""Walk the engine's data, and tell by kind and holder what is there."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from watchd.config.schema import DataRoots
from watchd.engine.client import EngineClient
from watchd.engine.data_places import Look, Sight
from watchd.engine.deep import kinds, roots
from watchd.engine.deep.holders import NOBODY, Held, Listed
from watchd.engine.deep.kinds import DataKind
from watchd.engine.deep.known import Holders
from watchd.engine.deep.roots import DataNotSeen, Roots
from watchd.engine.deep.usage import DeepUsage, Shares, WalkedDisk
from watchd.engine.deep.walk import Part, Tree, Usage, Walk, idle_io
from watchd.engine.disks import statvfs
from watchd.engine.own_container import find_own
from watchd.errors import EngineError
from watchd.kernel.parse.mountinfo import Mount, mount_of
from watchd.model.references import familiar

Walked = tuple[Tree, Part]
Progress = Callable[[Sequence[Walked], Walk], Iterable[Walked]]
"""Passes on what is to be walked, and may show how far the walk is."""

_HELD: tuple[DataKind, ...] = ("layer", "snapshot", "content")
_WITHOUT_DATA = frozenset(("overlay", "fuse.fuse-overlayfs", "tmpfs", "nsfs", "proc", "mqueue"))
_DANGLING = "moby-dangling@sha256:"
_PROCFS = Path("/proc")


def take(client: EngineClient, named: DataRoots, progress: Progress) -> DeepUsage:
    """Look at what the engine lists, and walk its data. Raise `EngineError`, `DataNotSeen` among them."""
    began = time.monotonic()
    look, listed, notes = _ask(client)
    found = roots.find(look, named)
    with idle_io():
        return _Survey(look, listed, found, notes).usage(progress, began)


def _ask(client: EngineClient) -> tuple[Look, Listed, list[str]]:
    engine = client.info()
    notes: list[str] = []
    own = find_own()
    images, volumes, containers = client.image_references(), client.volumes(), client.containers()
    try:
        cache: set[str] | None = {record.id for record in client.build_cache()}
    except EngineError as error:
        cache = None
        notes.append(f"the build cache could not be listed, so none of it is told to be lost: {error}")
    look = Look(engine, containers, volumes, images, own, Sight.of(own, _PROCFS), _PROCFS)
    return look, Listed({container.id for container in containers}, cache), notes


class _Survey:
    """One walk, and what is told of it."""

    def __init__(self, look: Look, listed: Listed, found: Roots, notes: list[str]) -> None:
        self._look = look
        self._listed = listed
        self._roots = found
        self._notes = notes
        self._names = _names(look)
        self._volumes = {volume.name for volume in look.volumes}
        self._shares = Shares()
        self._held: dict[tuple[DataKind, str], tuple[Path, Usage]] = {}  # what may have a holder, by kind and name
        self._walked: dict[Path, int] = {}  # bytes, by root

    def usage(self, progress: Progress, began: float) -> DeepUsage:
        """Walk the roots, then ask who holds what was found: what came in between is not taken for nobody's."""
        mounts = self._look.sight.own
        walk = Walk(mounts)
        trees = list(self._trees(walk))
        for tree, part in progress([(each, part) for each in trees for part in each.parts], walk):
            self._add(tree, part, walk.part(tree, part))
        for tree in trees:
            self._walked[tree.root] = self._walked.get(tree.root, 0) + tree.folders.size
            self._shares.add("engine", tree.folders)
        self._tell_holders()
        if walk.unread:
            self._notes.append(f"{walk.unread} folders could not be read, so these sums are too small: run it as root")
        return DeepUsage(
            taken_at=time.time(),
            roots=tuple(os.fspath(tree.root) for tree in trees),
            shares=self._shares.all(),
            disks=tuple(self._disks(trees)),
            files=walk.files,
            seconds=time.monotonic() - began,
            elsewhere=tuple(sorted(_elsewhere(walk.crossed, mounts))),
            notes=tuple(self._notes),
        )

    def _trees(self, walk: Walk) -> Iterator[Tree]:
        engine, found = self._look.engine, self._roots
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
        name, shown = part.name, self._names.get(part.name, "")
        if part.kind in _HELD:
            self._held[part.kind, name] = (tree.root / part.path, usage)
        elif part.kind in ("log", "container"):
            self._shares.add(part.kind, usage, name, shown, None if name in self._listed.containers else NOBODY)
        elif part.kind == "volume":
            self._shares.add(part.kind, usage, name, name, None if name in self._volumes else NOBODY)
        else:
            self._shares.add(part.kind, usage, name)

    def _tell_holders(self) -> None:
        engine = self._look.engine
        known = Holders.read(self._roots, engine.storage_driver, self._listed, {name for _, name in self._held})
        self._notes += known.notes
        for (kind, name), (path, usage) in self._held.items():
            by = known.of(kind, name)
            if by == NOBODY and not os.path.lexists(path):
                continue  # it went while the others were walked
            self._shares.add(kind, usage, name, self._shown(name, by), by)

    def _shown(self, name: str, by: Held | None) -> str:
        """Return what something is shown as: what holds it, else itself."""
        if by is None or not by.name:
            return name
        if by.name.startswith(_DANGLING):
            return f"<none> {by.name.removeprefix(_DANGLING)[:12]}"
        return self._names.get(by.name, familiar(by.name) if by.holder == "image" else by.name)

    def _disks(self, trees: Sequence[Tree]) -> Iterator[WalkedDisk]:
        """Yield the file systems of the roots, each with what was found on it, by the device of its mount."""
        mounts, own = self._look.sight.own, self._look.own
        on: dict[str, list[Path]] = {}
        for tree in trees:
            mount = mount_of(os.fspath(tree.root), mounts)
            on.setdefault(mount.device if mount else os.fspath(tree.root), []).append(tree.root)
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


def _names(look: Look) -> dict[str, str]:
    """Return names for people, by ID."""
    names = {container.id: container.name for container in look.containers}
    for image in look.images:
        names[image.id] = image.name if image.references else f"<none> {image.id.removeprefix('sha256:')[:12]}"
    return names


def _elsewhere(crossed: Iterable[str], mounts: Sequence[Mount]) -> Iterator[str]:
    """Yield the mount points that were met and have data: not containers' overlays, and not what is in memory."""
    types = {mount.point: mount.type for mount in mounts}
    return (point for point in crossed if types.get(point, "overlay") not in _WITHOUT_DATA)
