"""Layers of the cache's records that BuildKit made of an image, to begin builds with. Pure."""

from collections import defaultdict
from collections.abc import Mapping

from watchd.cleanup.plan.space.built_layers import NOTES, Layers
from watchd.model import CacheRecord, EngineView

_DESCRIPTIONS = ("from local", "pulled from ")  # with containerd's store also none, of an image that was there


def is_base(record: CacheRecord) -> bool:
    """Return whether BuildKit made a record of an image. What it built is described by its step."""
    return record.type == "regular" and (not record.description or record.description.startswith(_DESCRIPTIONS))


def counts_files(record: CacheRecord) -> bool:
    """Return whether a record of an image counts its files: those that BuildKit pulled do (containerd's store)."""
    return record.description.startswith("pulled from ")


def base_layers(view: EngineView, built: Mapping[str, Layers]) -> dict[str, Layers]:
    """Return the layers of the records that were made of images, by their IDs.

    There is a record of each layer of the image, each the parent of the next (20.10.24, 28.5.2). Which image that was
    is told by what was `built` on it, else by the one image that has as much. Where layers of 0 bytes, which are not
    known, make it ambiguous which record is of which layer, a record has all that may be its own.
    """
    records = {record.id: record for record in view.build_cache}
    # The bytes of an image beside its files: the compressed copies of its layers, with containerd's store.
    images = {
        image.history: image.size - sum(layer.size for layer in image.history) for image in view.images if image.history
    }
    below = {layer.id: history[:place] for history in images for place, layer in enumerate(history)}
    under: dict[str, set[Layers]] = defaultdict(set)  # the layers of an image, by the record of the last of them
    for id_, layers in built.items():
        if base := _base_of(records[id_], records, built):
            under[base] |= {below[layer.id] for layer in layers}
    found: dict[str, Layers] = {}
    for id_ in sorted(under):
        if len(under[id_]) == 1:
            _assign(found, _chain(records[id_], records), *under[id_])
    left = (record for record in view.build_cache if is_base(record) and record.shared and record.id not in found)
    chains = (_chain(record, records) for record in left)
    for chain in sorted(chains, key=lambda chain: (-len(chain), chain[-1].id)):
        if chain[-1].id in found:
            continue
        if view.engine.store == "graphdriver":
            bases = {history for history in images if len(history) == len(chain)}
        else:
            copies = sum(record.size for record in chain)
            bases = {history for history, beside in images.items() if 0 <= beside - copies <= NOTES}
        if len(bases) == 1:
            _assign(found, chain, *bases)
    return found


def _chain(record: CacheRecord, records: Mapping[str, CacheRecord]) -> list[CacheRecord]:
    """Return a record and those that it lies on, the lowest first."""
    chain = {record.id: record}
    while len(record.parents) == 1 and (parent := records.get(record.parents[0])) and parent.id not in chain:
        chain[parent.id] = record = parent
    return list(chain.values())[::-1]


def _base_of(record: CacheRecord, records: Mapping[str, CacheRecord], built: Mapping[str, Layers]) -> str | None:
    """Return the ID of the record with which the build of another began. Steps that left no layer may lie between."""
    for parent in reversed(_chain(record, records)[:-1]):
        if is_base(parent):
            return parent.id
        if parent.id in built or parent.size:
            return None
    return None


def _assign(found: dict[str, Layers], chain: list[CacheRecord], layers: Layers) -> None:
    """Note the layers of the records of a chain. What is narrower already, stays."""
    empty = len(chain) - len(layers)
    if empty < 0:
        return
    for place, record in enumerate(chain):
        may_be = layers[max(0, place - empty) : place + 1]
        if is_base(record) and record.shared and len(may_be) <= len(found.get(record.id, may_be)):
            found[record.id] = may_be
