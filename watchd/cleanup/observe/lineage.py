"""Lineage of images by their layers: BuildKit records no parent, but an image begins with the layers of its base."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from watchd.model import Image, Key, Observation, Observations

Layers = tuple[str, ...]


class Lineage:
    """The layers of images by key, indexed for the bases of each."""

    def __init__(self) -> None:
        self._layers: dict[Key, Layers] = {}
        self._keys: defaultdict[Layers, set[Key]] = defaultdict(set)

    def add(self, key: Key, layers: Layers) -> None:
        """Add an image, or replace its layers."""
        self.remove(key)
        self._layers[key] = layers
        self._keys[layers].add(key)

    def remove(self, key: Key) -> None:
        """Remove an image, if it is there."""
        layers = self._layers.pop(key, None)
        if layers is not None:
            self._keys[layers].discard(key)
            if not self._keys[layers]:
                del self._keys[layers]

    def bases(self, key: Key) -> set[Key]:
        """Return the other images whose layers an image begins with, or has; none if its layers are not known."""
        found = (self._keys.get(base, ()) for base in _bases(self._layers.get(key, ())))
        return {base for keys in found for base in keys} - {key}


def last_builds(images: Mapping[Key, Observation]) -> dict[Key, float]:
    """Return when the last image arrived that was built on an image; left out: it arrived no later than that itself."""
    latest = {seen.layers: -math.inf for seen in images.values() if seen.layers}
    for seen in images.values():
        for base in _bases(seen.layers or ()):
            if base in latest:
                latest[base] = max(latest[base], seen.arrived_at)
    return {
        key: latest[seen.layers]
        for key, seen in images.items()
        if seen.layers and latest[seen.layers] > seen.arrived_at
    }


def count_unknown(images: Iterable[Image], observations: Observations) -> int:
    """Return the number of images whose layers are not on record."""
    known = (observations.get((image.kind, image.identity)) for image in images)
    return sum(seen is None or seen.layers is None for seen in known)


def _bases(layers: Layers) -> Iterator[Layers]:
    """Yield every non-empty prefix of the layers, all of them included."""
    return (layers[:count] for count in range(1, len(layers) + 1))
