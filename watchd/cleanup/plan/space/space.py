"""Disk space by holders: the pieces that objects hold, alone or with others, and that the last of them frees. Pure.

An image holds its layers together with the images that have the same ones. On graph drivers BuildKit's cache holds the
layers of what it built as well (20.10.24, 28.5.2): removing the image or the record alone does not free them. With
containerd's store each has the files of a layer for itself, and both hold its compressed copy (28.5.2).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from watchd.cleanup.plan.space.cache_layers import CacheLayers, Piece, copy_sizes, pieces_of_records
from watchd.cleanup.plan.space.exact_layers import with_exact_layers
from watchd.model import Amount, CacheRecord, EngineView, Image, Key, Subject

LOG = "log"  # a piece of a container that may be on another disk than the rest of it


@dataclass(frozen=True, slots=True)
class Space:
    """Pieces of disk space: which objects hold each, and its size in bytes (None: unknown)."""

    held: Mapping[Key, tuple[Piece, ...]]
    sizes: Mapping[Piece, int | None]
    holders: Mapping[Piece, frozenset[Key]] = field(default_factory=dict)

    @classmethod
    def of(cls, view: EngineView) -> "Space":
        """Work out the pieces of the objects of a view."""
        images, ambiguous = with_exact_layers(view.images)
        view = replace(view, images=images)
        sizes: dict[Piece, int | None] = {}
        held: dict[Key, tuple[Piece, ...]] = {}
        layers = CacheLayers.of(view)
        copies = copy_sizes(view, layers)
        records = pieces_of_records(view, layers, copies)
        by_id = {image.id: image for image in view.images}
        has_copies = view.engine.store == "containerd"
        for image in view.images:
            more: dict[Piece, int | None] = {("own layers", image.id): None} if image.id in ambiguous else {}
            pieces = _image_pieces(image, copies, by_id, has_copies=has_copies)
            held[image.key] = _add(sizes, {**pieces, **more})
        for container in view.containers:
            log = {} if container.log is None else {(LOG, container.id): container.log_size}
            held[container.key] = _add(sizes, {("container", container.id): container.size_rw, **log})
        for volume in view.volumes:
            held[volume.key] = _add(sizes, {("volume", volume.id): volume.size})
        for record in view.build_cache:
            held[record.key] = _add(sizes, records[record.id])
        holders: dict[Piece, set[Key]] = defaultdict(set)
        for key, of_object in held.items():
            for piece in of_object:
                holders[piece].add(key)
        return cls(held, sizes, {piece: frozenset(keys) for piece, keys in holders.items()})

    def only(self, subjects: Sequence[Subject]) -> "Space":
        """Return the space of these objects alone. A cache record with an unknown layer counts with its whole size."""
        held = {subject.key: self.held.get(subject.key, ()) for subject in subjects}
        sizes = {piece: self.sizes[piece] or 0 for pieces in held.values() for piece in pieces}
        for record in (each for each in subjects if isinstance(each, CacheRecord)):
            own: Piece = ("record", record.id)
            sizes |= {piece: record.size - sizes[own] for piece in held[record.key] if self.sizes[piece] is None}
        return Space(held, sizes, {piece: self.holders[piece] & held.keys() for piece in sizes})

    def total(self) -> int:
        """Return the bytes of all pieces, as far as they are known."""
        return sum(size or 0 for size in self.sizes.values())

    def amount(self, subjects: Iterable[Subject], *, beside: Iterable[Subject] = ()) -> Amount:
        """Return the bytes that these objects hold together, without those that others `beside` them hold."""
        theirs = {piece for each in subjects for piece in self.held.get(each.key, ())}
        theirs -= {piece for each in beside for piece in self.held.get(each.key, ())}
        sizes = [self.sizes[piece] for piece in theirs]
        return Amount(sum(size or 0 for size in sizes), None in sizes)

    def is_unknown(self, key: Key) -> bool:
        """Return whether the size of an object, or of a part of it, is not known."""
        return any(self.sizes[piece] is None for piece in self.held.get(key, ()))

    def alone(self, key: Key) -> int:
        """Return the bytes that only this object holds, as far as they are known."""
        return sum(self.sizes[piece] or 0 for piece in self.held.get(key, ()) if len(self.holders[piece]) == 1)


def _add(sizes: dict[Piece, int | None], pieces: Mapping[Piece, int | None]) -> tuple[Piece, ...]:
    sizes.update(pieces)
    return tuple(pieces)


def _image_pieces(
    image: Image, copies: Mapping[str, int], images: Mapping[str, Image], *, has_copies: bool
) -> dict[Piece, int | None]:
    if image.history is None:
        return {("image", image.id): _unique_bytes(image, images, has_copies=has_copies)}
    layers = {("layer", layer.id): layer.size for layer in image.history}
    return {**layers, **{("compressed", layer.id): copies[layer.id] for layer in image.history}}


def _unique_bytes(image: Image, images: Mapping[str, Image], *, has_copies: bool) -> int | None:
    """Return the unshared bytes of an image of unknown layers; None if neither the engine nor its parent tells them.

    The figure of containerd's store leaves out compressed copies.
    """
    if image.shared_size is not None and not has_copies:
        return max(0, image.size - image.shared_size)
    parent = images.get(image.parent_id or "")
    return max(0, image.size - parent.size) if parent else None
