"""Disk space by holders: the pieces that objects hold, alone or with others, and that the last of them frees. Pure.

An image holds its layers together with the images that have the same ones. BuildKit's cache holds the layers of what it
built as well (seen on Docker 20.10.24 and 28.5.2): removing the image or the record alone does not free them.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from watchd.model import CacheRecord, Container, EngineView, Image, Key, Layer, Subject, Volume

Piece = tuple[str, str]  # what it is, and the ID of its layer or object


@dataclass(frozen=True, slots=True)
class Space:
    """Pieces of disk space: what each object holds, and the size of each in bytes (None: unknown)."""

    held: Mapping[Key, tuple[Piece, ...]]
    sizes: Mapping[Piece, int | None]
    holders: Mapping[Piece, frozenset[Key]] = field(default_factory=dict)

    @classmethod
    def of(cls, view: EngineView) -> "Space":
        """Work out the pieces of the objects of a view."""
        sizes: dict[Piece, int | None] = {}
        by_id = {image.id: image for image in view.images}
        held: dict[Key, tuple[Piece, ...]] = {}
        compressed = _compressed(view.images)
        matched = _layers_of_records(view)
        subjects: tuple[Subject, ...] = (*view.containers, *view.images, *view.volumes, *view.build_cache)
        for subject in subjects:
            pieces = dict(_pieces(subject, compressed, matched, by_id))
            sizes.update(pieces)
            held[subject.key] = tuple(pieces)
        holders: dict[Piece, set[Key]] = defaultdict(set)
        for key, of_object in held.items():
            for piece in of_object:
                holders[piece].add(key)
        return cls(held, sizes, {piece: frozenset(keys) for piece, keys in holders.items()})

    def only(self, subjects: Sequence[Subject]) -> "Space":
        """Return what these objects hold, as if nothing else held it. Of an unknown layer they have the whole size."""
        held = {subject.key: self.held.get(subject.key, ()) for subject in subjects}
        whole = {("record", each.id): each.size for each in subjects if isinstance(each, CacheRecord)}
        sizes = {
            piece: whole.get(piece, 0) if self.sizes[piece] is None else self.sizes[piece]
            for pieces in held.values()
            for piece in pieces
        }
        return Space(held, sizes, {piece: self.holders[piece] & held.keys() for piece in sizes})

    def total(self) -> int:
        """Return the bytes of all pieces, as far as they are known."""
        return sum(size or 0 for size in self.sizes.values())

    def is_unknown(self, key: Key) -> bool:
        """Return whether the size of an object, or of a part of it, is not known."""
        return any(self.sizes[piece] is None for piece in self.held.get(key, ()))

    def alone(self, key: Key) -> int:
        """Return the bytes that only this object holds, as far as they are known."""
        return sum(self.sizes[piece] or 0 for piece in self.held.get(key, ()) if len(self.holders[piece]) == 1)


def _pieces(
    subject: Subject,
    compressed: Mapping[str, int],
    matched: Mapping[str, tuple[Layer, ...]],
    images: Mapping[str, Image],
) -> Iterator[tuple[Piece, int | None]]:
    match subject:
        case Container():
            yield ("container", subject.id), subject.size_rw
        case Volume():
            yield ("volume", subject.id), subject.size
        case Image(history=None):
            yield ("image", subject.id), _unique_bytes(subject, images)
        case Image(history=tuple() as layers):
            for layer in layers:
                yield ("layer", layer.id), layer.size
                yield ("compressed", layer.id), compressed[layer.id]
        case CacheRecord():
            layers = matched.get(subject.id, ())
            for layer in layers:
                yield ("layer", layer.id), layer.size
            if layers:
                yield ("record", subject.id), max(0, subject.size - max(layer.size for layer in layers))
            else:  # shared with an image, and not known with which layer: it frees this much at the most
                yield ("record", subject.id), None if subject.shared and subject.size else subject.size


def _unique_bytes(image: Image, images: Mapping[str, Image]) -> int:
    """Return the size of an image of unknown layers without what it shares, as the engine or its parent tells it."""
    if image.shared_size is not None:
        return max(0, image.size - image.shared_size)
    parent = images.get(image.parent_id or "")
    return max(0, image.size - parent.size) if parent else image.size


def _compressed(images: Iterable[Image]) -> dict[str, int]:
    """Return the bytes of each layer's compressed copy, which containerd's store keeps for images, by layer.

    The engine tells their sum only: what the layers of a smaller image do not account for is divided by size.
    """
    found: dict[str, int] = {}
    for image in sorted(images, key=lambda image: (len(image.history or ()), image.id)):
        layers = {layer.id: layer.size for layer in image.history or ()}
        new = {id_: size for id_, size in layers.items() if id_ not in found}
        rest = max(0, image.size - sum(layers.values()) - sum(found[id_] for id_ in layers.keys() - new.keys()))
        total = sum(new.values())
        found |= {id_: rest * size // total if total else 0 for id_, size in new.items()}
    return found


def _layers_of_records(view: EngineView) -> dict[str, tuple[Layer, ...]]:
    """Return the layers of which each shared record of the build cache made one, as far as that can be told.

    BuildKit writes the time at which a record was made into the image's history, in whole seconds; of several in one
    second the closest in size. On graph drivers their sizes are equal; containerd's store adds a compressed copy.
    Where several layers fit as well, a record has all of them: then each is free only once all these records are gone.
    """
    left: dict[int, dict[str, Layer]] = defaultdict(dict)  # by second, without those that were found
    of_size: dict[int, dict[str, Layer]] = defaultdict(dict)
    for layer in (layer for image in view.images for layer in image.history or () if layer.size):
        left[layer.created_at][layer.id] = layer
        of_size[layer.size][layer.id] = layer
    made_then = {second: tuple(layers.values()) for second, layers in left.items()}
    equal_sizes = view.engine.store == "graphdriver"
    alike: dict[tuple[int, int], list[str]] = defaultdict(list)  # IDs of records, by second and size
    for record in view.build_cache:
        if record.shared and record.size:
            alike[int(record.created_at or 0), record.size].append(record.id)
    found: dict[str, tuple[Layer, ...]] = {}
    unknown: list[tuple[int, list[str]]] = []
    for (second, size), records in sorted(alike.items(), reverse=True):
        near = left.get(second, {})
        fitting = [each for each in near.values() if each.size == size or (each.size < size and not equal_sizes)]
        closest = sorted(fitting, key=lambda layer: (layer.size, layer.id), reverse=True)[: len(records)]
        if not closest:
            unknown.append((size, records))
            continue
        for layer in closest:
            del near[layer.id]
            of_size[layer.size].pop(layer.id)
        sizes = {layer.size for layer in closest}
        found |= dict.fromkeys(records, tuple(each for each in made_then[second] if each.size in sizes))
    for size, records in unknown if equal_sizes else ():
        # What BuildKit pulled is as old in the image as its builder says: there an equal size alone has to do.
        if layers := of_size.get(size):
            found |= dict.fromkeys(records, tuple(layers.values()))
    return found
