"""Layers told apart by content: by the digests of their images, as far as these tell which layer has which. Pure.

A layer is the same as another if the digests up to it are the same. The history of an image tells sizes, but no
digests; its digests include those of layers of 0 bytes, which the history does not tell from steps that made no layer.
So which digest is a layer's own is certain only where none or all of the steps that may have made a layer of 0 bytes
did, by the number of digests. Elsewhere an image that is certain decides, if it has the same digests: so a base and
what was built on it agree. Where there is none, layers that may be the same count as the same: none counts twice, and
the images are ambiguous: their removal may free more.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from watchd.model import Image, Layer


@dataclass(frozen=True, slots=True)
class _Chain:
    """The layers of an image by digest: the number of each, which stands for it and all below, the lowest first.

    `spans` has for each layer of the history where its number may be, from one place to before another.
    """

    numbers: Sequence[int]
    spans: Sequence[tuple[int, int]]


def with_exact_layers(images: Sequence[Image]) -> tuple[tuple[Image, ...], frozenset[str]]:
    """Return the images with layers whose IDs are the same if their content is, and the IDs of ambiguous images.

    A layer of an ambiguous image has the ID of another one's, and may be a layer of its own. Where the digests of an
    image are not known, its layers are those of another one with the same steps.
    """
    chains = _chains(images)
    certain = {  # the number of layers with bytes below, by the number in the chain
        chain.numbers[low]: place
        for chain in chains.values()
        for place, (low, high) in enumerate(chain.spans)
        if high - low == 1
    }
    layer_of = cache(Layer)  # most are shared
    by_steps: dict[str, str] = {}
    exact: dict[str, tuple[Layer, ...]] = {}
    uncertain: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)  # images that may share one
    for image in images:
        if chain := chains.get(image.id):
            layers = []
            for place, (layer, (low, high)) in enumerate(zip(image.history or (), chain.spans, strict=True)):
                may_be = chain.numbers[low:high]
                if len(may_be) > 1:
                    may_be = [number for number in may_be if certain.get(number) == place]
                # Each layer with bytes has a digest: this one has so many, or more. And one content has one size.
                id_ = str(may_be[0]) if may_be else f"{chain.numbers[place]} {layer.size}"
                if not may_be:
                    uncertain[id_].append((image.id, high - 1))
                by_steps[layer.id] = id_
                layers.append(layer_of(id_, layer.size, layer.created_at))
            exact[image.id] = tuple(layers)
    return tuple(
        replace(image, history=exact.get(image.id) or _like_others(image.history, by_steps)) if image.history else image
        for image in images
    ), frozenset(image for alike in uncertain.values() if not _are_one(alike, chains) for image, _ in alike)


def _are_one(alike: Sequence[tuple[str, int]], chains: Mapping[str, _Chain]) -> bool:
    """Return whether a layer that images may have in common is the same in all of them.

    It is if all of them have the digests of one of them, as far up as the layer may be there.
    """
    image, highest = min(alike, key=lambda each: each[1])
    number = chains[image].numbers[highest]
    return all(chains[each].numbers[highest] == number for each, _ in alike)


def _like_others(layers: Sequence[Layer], by_steps: Mapping[str, str]) -> tuple[Layer, ...]:
    return tuple(replace(layer, id=by_steps.get(layer.id, layer.id)) for layer in layers)


def _chains(images: Sequence[Image]) -> Mapping[str, _Chain]:
    """Return the chains of images by ID, without those whose digests are not known or do not fit their history."""
    known: dict[tuple[int, str], int] = {}  # by the number of the layer below, and digest
    chains = {}
    for image in images:
        digests, history = image.layers or (), image.history or ()
        if not history or len(digests) < len(history):
            continue
        number, numbers = -1, []
        for digest in digests:
            number = known.setdefault((number, digest), len(known))
            numbers.append(number)
        chains[image.id] = _Chain(numbers, _spans(history, len(digests) - len(history)))
    return chains


def _spans(history: Sequence[Layer], empty: int) -> Sequence[tuple[int, int]]:
    """Return where in the chain each layer may be; `empty` is the number of layers of 0 bytes in the chain."""
    if not empty:
        return [(place, place + 1) for place in range(len(history))]
    spans = []
    for place, layer in enumerate(history):
        below, above = layer.empty_below, layer.empty_above
        if below is None or above is None or below + above < empty:
            below = above = empty
        spans.append((place + max(0, empty - above), place + min(empty, below) + 1))
    return spans
