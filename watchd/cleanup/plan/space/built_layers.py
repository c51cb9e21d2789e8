"""Layers of the cache's records that BuildKit built, which images have as well. Pure."""

from collections import defaultdict
from collections.abc import Iterable

from watchd.model import CacheRecord, EngineView, Layer

Layers = tuple[Layer, ...]

NOTES = 64 * 1024  # bytes, at most, of an image's own content beside its layers: manifests and configuration


def built_layers(view: EngineView, records: Iterable[CacheRecord]) -> dict[str, Layers]:
    """Return the layers of which each record made one, as far as that can be told.

    BuildKit writes the time at which a record was made into the image's history, in whole seconds; of several in one
    second the closest in size. On graph drivers their sizes are equal; containerd's store adds a compressed copy, and
    whether BuildKit calls a record shared there tells nothing of its layer (28.5.2).
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
    for record in records:
        if record.size and (record.shared or not equal_sizes):
            alike[int(record.created_at or 0), record.size].append(record.id)
    found: dict[str, Layers] = {}
    unknown: list[tuple[int, list[str]]] = []
    for (second, size), ids in sorted(alike.items(), reverse=True):
        near = left.get(second, {})
        fitting = [each for each in near.values() if (each.size == size if equal_sizes else may_have(size, each))]
        closest = sorted(fitting, key=lambda layer: (layer.size, layer.id), reverse=True)[: len(ids)]
        if not closest:
            unknown.append((size, ids))
            continue
        for layer in closest:
            del near[layer.id]
            of_size[layer.size].pop(layer.id, None)  # one content may be of several seconds
        sizes = {layer.size for layer in closest}
        found |= dict.fromkeys(ids, tuple(each for each in made_then[second] if each.size in sizes))
    for size, ids in unknown if equal_sizes else ():
        # What BuildKit pulled is as old in the image as its builder says: there an equal size alone has to do.
        if layers := of_size.get(size):
            found |= dict.fromkeys(ids, tuple(layers.values()))
    return found


def may_have(size: int, layer: Layer) -> bool:
    """Return whether a record of this size may have the files of a layer and its compressed copy."""
    return layer.size < size <= 2 * layer.size + layer.size // 100 + NOTES
