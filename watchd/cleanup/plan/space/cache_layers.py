"""Layers of BuildKit's cache records: shared with images, or unshared. Pure."""

from collections import defaultdict
from collections.abc import Mapping

from watchd.model import EngineView, Layer

Piece = tuple[str, str]  # its type, and the ID of its layer or object
_Layers = tuple[Layer, ...]

_NOTES = 64 * 1024  # bytes, at most, of an image's own content beside its layers: manifests and configuration


def pieces_of_records(view: EngineView, compressed: Mapping[str, int]) -> dict[str, dict[Piece, int | None]]:
    """Return the pieces of disk space of each record, with their sizes in bytes (None: unknown), by its ID.

    `compressed` has the size of each layer's compressed copy, which containerd's store keeps. A record that is shared
    with an image, and not known with which layer, is of unknown size.
    """
    has_copies = view.engine.store == "containerd"
    built = _built_layers(view)
    bases = _bases(view, compressed, built) if has_copies else {}
    found: dict[str, dict[Piece, int | None]] = {}
    for record in view.build_cache:
        own: Piece = ("record", record.id)
        layers = built.get(record.id, ())
        largest = max((layer.size for layer in layers), default=0)
        pieces: dict[Piece, int | None] = {}
        if record.id in bases:
            for layer in bases[record.id]:
                pieces |= {("layer", layer.id): layer.size, ("compressed", layer.id): compressed[layer.id]}
        elif layers and has_copies:  # it has the files of the layer for itself, as large as the image's
            pieces |= {("compressed", layer.id): compressed[layer.id] for layer in layers}
            pieces[own] = largest
        elif layers:
            pieces |= {("layer", layer.id): layer.size for layer in layers}
            pieces[own] = max(0, record.size - largest)
        else:
            pieces[own] = None if record.shared and record.size else record.size
        found[record.id] = pieces
    return found


def _bases(view: EngineView, compressed: Mapping[str, int], built: Mapping[str, _Layers]) -> dict[str, _Layers]:
    """Return the layer of each record that BuildKit made of an image of one layer, to begin a build with.

    It counts the compressed copy alone, and has the very files of the image (28.5.2).
    """
    single = {of[0].id: of[0] for image in view.images if image.history and len(of := image.history) == 1}
    found: dict[str, _Layers] = {}
    for record in view.build_cache:
        if record.shared and record.size and not record.parents and record.id not in built:
            fitting = [each for each in single.values() if 0 <= compressed[each.id] - record.size <= _NOTES]
            if len(fitting) == 1:
                found[record.id] = (fitting[0],)
    return found


def _built_layers(view: EngineView) -> dict[str, _Layers]:
    """Return the layers of which each record of the build cache made one, as far as that can be told.

    BuildKit writes the time at which a record was made into the image's history, in whole seconds; of several in one
    second the closest in size. On graph drivers their sizes are equal; containerd's store adds a compressed copy, and
    BuildKit calls records there unshared now and then that share it (28.5.2): they come after the others.
    Where several layers fit as well, a record has all of them: then each is free only once all these records are gone.
    """
    left: dict[int, dict[str, Layer]] = defaultdict(dict)  # by second, without those that were found
    of_size: dict[int, dict[str, Layer]] = defaultdict(dict)
    for layer in (layer for image in view.images for layer in image.history or () if layer.size):
        left[layer.created_at][layer.id] = layer
        of_size[layer.size][layer.id] = layer
    made_then = {second: tuple(layers.values()) for second, layers in left.items()}
    equal_sizes = view.engine.store == "graphdriver"
    alike: dict[tuple[bool, int, int], list[str]] = defaultdict(list)  # IDs of records, by `shared`, second and size
    for record in view.build_cache:
        if record.size and (record.shared or not equal_sizes):
            alike[record.shared, int(record.created_at or 0), record.size].append(record.id)
    found: dict[str, _Layers] = {}
    unknown: list[tuple[int, list[str]]] = []
    for (shared, second, size), records in sorted(alike.items(), reverse=True):
        near = left.get(second, {})
        fitting = [each for each in near.values() if each.size == size or (each.size < size and not equal_sizes)]
        if not shared:  # it may be of a stage that no image has: then only what is as large as a layer with its copy
            fitting = [each for each in fitting if size <= 2 * each.size + _NOTES]
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
