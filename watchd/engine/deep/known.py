"""The holders of layers, snapshots and content, as far as Docker's and containerd's records can be read."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from watchd.engine.deep import containerd, database, graph_driver, holders
from watchd.engine.deep.bolt import Torn
from watchd.engine.deep.containerd import Node
from watchd.engine.deep.holders import NOBODY, Held, Listed
from watchd.engine.deep.kinds import DataKind
from watchd.engine.deep.roots import META, Roots

_SNAPSHOTTER = "io.containerd.snapshotter.v1."


@dataclass(slots=True)
class Holders:
    """Holders by kind and the name that a walk gives; `notes` says whose records could not be read."""

    listed: Listed
    layers: Mapping[str, Held] | None = None
    content: Mapping[str, Held] | None = None
    snapshots: Mapping[str, Mapping[str, Held]] = field(default_factory=dict)  # by snapshotter
    notes: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, found: Roots, driver: str, listed: Listed, names: Iterable[str]) -> Self:
        """Read the records of what was found; the names of snapshots begin with that of their snapshotter."""
        known = cls(listed)
        known._read_layers(found, driver)
        if found.containerd:
            known._read_containerd(found.containerd, {name.partition("/")[0] for name in names if "/" in name})
        return known

    def of(self, kind: DataKind, name: str) -> Held | None:
        """Return by whom something is held; None if it needs nobody, or that is not known."""
        if kind in ("log", "container"):
            return None if name in self.listed.containers else NOBODY
        if kind == "volume":
            return None if name in self.listed.volumes else NOBODY
        if kind == "layer":
            return None if self.layers is None else self.layers.get(name, NOBODY)
        group, _, name = name.partition("/")
        if kind == "content":  # the folder is that of the digest's algorithm
            return None if self.content is None else self.content.get(f"{group}:{name}", NOBODY)
        snapshots = self.snapshots.get(group)
        return None if snapshots is None else snapshots.get(name, NOBODY)

    def _read_layers(self, found: Roots, driver: str) -> None:
        try:
            self.layers = graph_driver.held(found.docker, driver, self.listed)
        except (OSError, Torn) as error:
            self.notes.append(f"whose layers these are is not known: {error}")

    def _read_containerd(self, root: Path, groups: Iterable[str]) -> None:
        try:
            spaces = list(containerd.namespaces(database.read(root / META)))
            self.content, by_key = holders.held(spaces, self.listed, time.time())
            for snapshotter in groups:
                path = root / f"{_SNAPSHOTTER}{snapshotter}" / "metadata.db"
                if path.exists():
                    self.snapshots = {**self.snapshots, snapshotter: _by_folder(path, snapshotter, by_key)}
        except (OSError, Torn) as error:
            self.notes.append(f"whose snapshots and content these are is not known: {error}")


def _by_folder(path: Path, snapshotter: str, by_key: Mapping[Node, Held]) -> dict[str, Held]:
    return {
        folder: by_key.get((snapshotter, key), NOBODY)
        for key, folder in containerd.folders(database.read(path)).items()
    }
