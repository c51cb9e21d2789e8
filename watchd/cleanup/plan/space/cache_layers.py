"""Pieces of disk space of BuildKit's cache records: shared with images, or unshared. Pure.

On graph drivers a record has the very layer that images have, and one that BuildKit made of an image counts nothing for
it (20.10.24, 28.5.2). With containerd's store it has files of its own and shares the compressed copy; one that was made
of an image has the image's files, and counts them only if BuildKit pulled them (28.5.2).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from watchd.cleanup.plan.space.base_layers import base_layers, counts_files, is_base
from watchd.cleanup.plan.space.built_layers import NOTES, Layers, built_layers, may_have
from watchd.model import CacheRecord, EngineView, Layer

Piece = tuple[str, str]  # its type, and the ID of its layer or object
Pieces = dict[Piece, int | None]  # with their sizes in bytes; None: unknown


@dataclass(frozen=True, slots=True)
class CacheLayers:
    """The layers of the cache's records, by their IDs: several of one where each may be its own."""

    built: Mapping[str, Layers]
    bases: Mapping[str, Layers]

    @classmethod
    def of(cls, view: EngineView) -> "CacheLayers":
        """Find the layers of a view's records."""
        built = built_layers(view, (record for record in view.build_cache if not is_base(record)))
        return cls(built, base_layers(view, built))


def copy_sizes(view: EngineView, layers: CacheLayers) -> dict[str, int]:
    """Return the bytes of each layer's compressed copy, which containerd's store keeps for images, by layer.

    The engine reports only their sum, of each image. Records tell those of their layers; the rest is divided by size.
    """
    known = dict(_told(view, layers)) if view.engine.store == "containerd" else {}
    found: dict[str, int] = {}
    for image in sorted(view.images, key=lambda image: (len(image.history or ()), image.id)):
        sizes = {layer.id: layer.size for layer in image.history or ()}
        found |= {id_: known[id_] for id_ in sizes.keys() & known.keys()}
        new = {id_: size for id_, size in sizes.items() if id_ not in found}
        rest = max(0, image.size - sum(sizes.values()) - sum(found[id_] for id_ in sizes.keys() - new.keys()))
        total = sum(new.values())
        found |= {id_: rest * size // total if total else 0 for id_, size in new.items()}
    return found


def pieces_of_records(view: EngineView, layers: CacheLayers, copies: Mapping[str, int]) -> dict[str, Pieces]:
    """Return the pieces of disk space of each record, by its ID. `copies` has the sizes of compressed copies."""
    if view.engine.store != "containerd":
        return {record.id: _on_graph_driver(record, layers) for record in view.build_cache}
    taken = {layer.id for of in (*layers.built.values(), *layers.bases.values()) for layer in of}
    untold = {layer.id: layer for image in view.images for layer in image.history or () if layer.id not in taken}
    all_told = all(image.history is not None for image in view.images)
    return {
        record.id: _with_layers(record, layers, copies) or _without_layers(record, untold.values(), all_told=all_told)
        for record in view.build_cache
    }


def _on_graph_driver(record: CacheRecord, layers: CacheLayers) -> Pieces:
    own: Piece = ("record", record.id)
    if of_image := layers.bases.get(record.id):
        return {**_layer_pieces(of_image), own: 0}
    if built := layers.built.get(record.id):
        return {**_layer_pieces(built), own: max(0, record.size - max(layer.size for layer in built))}
    has_unknown = record.size > 0 if record.shared else is_base(record)
    return {own: None if has_unknown else record.size}


def _with_layers(record: CacheRecord, layers: CacheLayers, copies: Mapping[str, int]) -> Pieces:
    """Return the pieces of a record of containerd's store whose layers are known; of another, none."""
    if of_image := layers.bases.get(record.id):
        return {**_layer_pieces(of_image), **_copy_pieces(of_image, copies)}
    if built := layers.built.get(record.id):
        return {**_copy_pieces(built, copies), ("record", record.id): max(layer.size for layer in built)}
    return {}


def _without_layers(record: CacheRecord, untold: Iterable[Layer], *, all_told: bool) -> Pieces:
    """Return the pieces of a record of containerd's store that has none of the layers that could be told.

    BuildKit calls a record shared as well that it never made a layer of, if an image has the layers below it (28.5.2):
    that has all its files for itself. One that may be of an `untold` layer has the files, but perhaps not the copy.
    """
    own: Piece = ("record", record.id)
    rest: Piece = ("rest", record.id)
    if is_base(record):
        if record.shared:
            return {own: None if record.size else 0}
        return {own: record.size} if counts_files(record) else {own: record.size, rest: None}
    files = [layer.size for layer in untold if may_have(record.size, layer)]
    if record.shared and record.size and (files or not all_told):
        return {own: min(files, default=max(0, record.size - NOTES) // 2), rest: None}
    return {own: record.size}


def _layer_pieces(layers: Layers) -> Pieces:
    return {("layer", layer.id): layer.size for layer in layers}


def _copy_pieces(layers: Layers, copies: Mapping[str, int]) -> Pieces:
    return {("compressed", layer.id): copies[layer.id] for layer in layers}


def _told(view: EngineView, layers: CacheLayers) -> Iterator[tuple[str, int]]:
    """Yield the layers whose copies records tell, with their sizes."""
    for record in view.build_cache:
        of_image, built = layers.bases.get(record.id, ()), layers.built.get(record.id, ())
        if len(of_image) == 1:
            yield of_image[0].id, max(0, record.size - (of_image[0].size if counts_files(record) else 0))
        elif len(built) == 1:
            yield built[0].id, record.size - built[0].size
