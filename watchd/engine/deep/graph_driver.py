"""Who holds each layer of a graph driver: images, containers, the build cache, a pull under way, or nobody.

Docker keeps its layers in `image/<driver>/layerdb`: a folder for each chain of layers, with the driver's folder of it
in `cache-id`, and one for each container. Seen on Docker 20.10.24 and 28.5.2.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from watchd.engine.deep import database
from watchd.engine.deep.holders import Held, Listed

_ALGORITHM = "sha256:"


def held(root: Path, driver: str, listed: Listed) -> Mapping[str, Held] | None:
    """Return who holds the layers by their folders; None where Docker's record of them is not there.

    Raise `OSError` or `Torn` if it cannot be read. Layers that are not in the result are nobody's. What an image needs
    is the image's, whatever else holds it.
    """
    record = root / "image" / driver
    layers = record / "layerdb"
    chains = _chains(layers)
    if chains is None:
        return None
    found = _Found(chains, {chain: _chain_in(layers / "sha256" / chain / "parent") for chain in chains})
    for image, chain in _images(record):
        found.mark(chain, Held("image", image))
    for container in _names(layers / "mounts"):
        mount = layers / "mounts" / container
        by = Held("container" if container in listed.containers else "lost_container", container)
        found.folder(_text(mount / "mount-id"), by)
        found.folder(_text(mount / "init-id"), by)
        found.mark(_chain_in(mount / "parent"), by)
    for folder, chain, by in _build_cache(root / "buildkit" / "snapshots.db", listed):
        found.folder(folder, by)
        found.mark(chain, by)
    for half in _names(layers / "tmp"):
        found.folder(_text(layers / "tmp" / half / "cache-id"), Held("pull", half))
    for chain, folder in chains.items():
        found.folder(folder, Held("record", chain))
    return found.holders


class _Found:
    """Holders by the driver's folder. The first one stays."""

    def __init__(self, chains: Mapping[str, str], parents: Mapping[str, str]) -> None:
        self.holders: dict[str, Held] = {}
        self._chains = chains  # the folder of each
        self._parents = parents

    def folder(self, folder: str, by: Held) -> None:
        """Note the holder of a folder."""
        if folder:
            self.holders.setdefault(folder, by)

    def mark(self, chain: str, by: Held) -> None:
        """Note the holder of a chain's layers that nobody has before it."""
        while chain in self._chains and self._chains[chain] not in self.holders:
            self.holders[self._chains[chain]] = by
            chain = self._parents[chain]


def _chains(layers: Path) -> dict[str, str] | None:
    """Return the driver's folder of each chain of layers; None where there is no record."""
    try:
        names = [each.name for each in (layers / "sha256").iterdir()]
    except FileNotFoundError:
        return None
    return {name: _text(layers / "sha256" / name / "cache-id") for name in names}


def _images(record: Path) -> Iterator[tuple[str, str]]:
    """Yield each image by its ID, with the chain of its layers."""
    folder = record / "imagedb" / "content" / "sha256"
    for image in sorted(_names(folder)):
        with suppress(ValueError, KeyError, TypeError, AttributeError):  # Docker itself leaves a damaged one out
            yield _ALGORITHM + image, _chain(json.loads(_text(folder / image))["rootfs"].get("diff_ids") or ())


def _chain(layers: Sequence[str]) -> str:
    """Return the chain ID of layers, the lowest first, without its algorithm."""
    chain = ""
    for layer in layers:
        chain = f"{_ALGORITHM}{sha256(f'{chain} {layer}'.encode()).hexdigest()}" if chain else layer
    return chain.removeprefix(_ALGORITHM)


def _build_cache(path: Path, listed: Listed) -> Iterator[tuple[str, str, Held]]:
    """Yield what BuildKit holds: the driver's folder, its chain of layers if it is one's, and by which record.

    A snapshot that was committed has the ID of its record, and its folder that of another entry.
    """
    try:
        entries = {id_: about.values() for id_, about in database.read(path).buckets()}
    except FileNotFoundError:  # nobody built with it
        return
    for id_, values in sorted(entries.items(), key=lambda entry: "iscommitted" in entry[1]):
        is_listed = listed.build_cache is None or id_ in listed.build_cache
        folder, chain = (values.get(key, b"").decode(errors="replace") for key in ("committed", "chainid"))
        yield folder or id_, chain.removeprefix(_ALGORITHM), Held("build_cache" if is_listed else "lost_cache", id_)


def _chain_in(path: Path) -> str:
    return _text(path).removeprefix(_ALGORITHM)


def _names(folder: Path) -> list[str]:
    try:
        return [each.name for each in folder.iterdir()]
    except FileNotFoundError:
        return []


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""
