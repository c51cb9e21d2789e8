"""Objects of the past, made from their appearances. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from watchd.cleanup.evidence.appearance import from_text
from watchd.cleanup.past.host.ledger import Pieces
from watchd.cleanup.plan.space.space import Space
from watchd.model import (
    SWARM_SERVICE,
    SWARM_TASK,
    UNKNOWN_ENGINE,
    Container,
    EngineInfo,
    EngineView,
    Image,
    Key,
    Network,
    Subject,
    Volume,
)
from watchd.model.history.timeline import Appearance, Life

_Store = Literal["graphdriver", "containerd"]


class Looks:
    """The objects as they looked, and what they hold.

    Layers of an image are known only after a later look at it. They never change, so it had them from the start.
    """

    def __init__(self, engine: str, lives: Sequence[Life]) -> None:
        self._images: dict[tuple[str, Appearance], Image] = {}
        self._made: dict[tuple[Key, float, Appearance], Subject] = {}
        last: dict[str, Image] = {}
        for life in lives:
            if life.key[0] == "image":
                for appearance, image in _images_of(life):
                    self._images[image.id, appearance] = last[image.id] = image
        bases = {image.layers: image.size for image in last.values() if image.layers}
        images = [_with_shared_size(image, bases) for image in last.values()]
        self.engine = _engine(engine, lives, images)
        measured = replace(self.engine, store="graphdriver")  # what is shared has whole sizes here, on either store
        space = Space.of(EngineView(measured, 0.0, images=tuple(images)))
        self._shared = {image.id: image.shared_size for image in images}
        self._pieces: Mapping[str, Pieces] = {
            image.id: {piece: space.sizes[piece] or 0 for piece in space.held[image.key]} for image in images
        }

    def of(self, life: Life, appearance: Appearance) -> Subject:
        """Return an object as it looked; a container as one that was never started."""
        which = life.key, life.arrived, appearance
        if which not in self._made:
            self._made[which] = self._make(life, appearance)
        return self._made[which]

    def _make(self, life: Life, appearance: Appearance) -> Subject:
        kind, id_ = life.key
        match kind:
            case "container":
                state = {"id": id_, "name": appearance.name, "status": "created", "created_at": life.arrived}
                return from_text(Container, appearance.text, **state)
            case "network":
                return from_text(Network, appearance.text, id=id_)
            case "volume":
                return from_text(Volume, appearance.text)
        return replace(self._images[id_, appearance], shared_size=self._shared[id_])

    def pieces(self, image: Image) -> Pieces:
        """Return what an image holds, with the sizes in bytes."""
        return self._pieces[image.id]


def _images_of(life: Life) -> Iterator[tuple[Appearance, Image]]:
    found: list[tuple[Appearance, Image]] = []
    for appearance in life.appearances:
        image = from_text(Image, appearance.text, id=life.key[1])
        assert isinstance(image, Image)  # noqa: S101 - for the type
        found.append((appearance, image))
    layers = next((image.layers for _, image in found if image.layers), None)
    history = next((image.history for _, image in found if image.history), None)
    return ((appearance, replace(image, layers=layers, history=history)) for appearance, image in found)


def _with_shared_size(image: Image, bases: Mapping[tuple[str, ...], int]) -> Image:
    """Return an image of unknown layers with what it shares with the largest one that it was built on, in bytes."""
    layers = image.layers or ()
    if image.history is not None or not layers:
        return image
    shared = next((bases[layers[:count]] for count in range(len(layers) - 1, 0, -1) if layers[:count] in bases), 0)
    return replace(image, shared_size=shared)


def _engine(id_: str, lives: Iterable[Life], images: Iterable[Image]) -> EngineInfo:
    """Return what is known of the engine. Containerd's store names images by the digests that registries have."""
    store: _Store = "graphdriver"
    if any(image.id in {digest.rpartition("@")[2] for digest in image.digests} for image in images):
        store = "containerd"
    texts = (life.appearances[0].text for life in lives if life.key[0] == "container")
    has_tasks = any(SWARM_TASK in text or SWARM_SERVICE in text for text in texts)
    return replace(UNKNOWN_ENGINE, id=id_, store=store, swarm="worker" if has_tasks else "none")
