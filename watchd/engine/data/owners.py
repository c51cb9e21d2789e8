"""The objects that a path below the engine's data, or the name of a layer's folder, belongs to."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from watchd.engine.client import EngineClient
from watchd.engine.decode.graph_driver import GraphLayers
from watchd.errors import EngineRefused
from watchd.model import EngineView, Image, Subject

_LAYER = re.compile(r"(?:^|/)([0-9a-f]{64})(?:-init)?(?=/|$)")


@dataclass(frozen=True, slots=True)
class Owned:
    """Objects that own a path or a layer, the one that it came with first, and a description of it."""

    what: str
    subjects: tuple[Subject, ...] = ()


def owned(client: EngineClient, view: EngineView, reference: str) -> Owned | None:
    """Return the description and the owners of a path or the ID of a layer; None: it is neither. Raise `EngineError`.

    A layer without an owner has no subjects.
    """
    if reference.startswith("/"):
        for volume in view.volumes:
            folder = volume.mountpoint.removesuffix("/_data")
            if folder and (reference == folder or reference.startswith(f"{folder}/")):
                return Owned("data of a volume", (volume,))
        for container in view.containers:
            if f"/{container.id}/" in f"{reference}/":
                return Owned(_part_of_container(reference), (container,))
    found = _LAYER.search(reference)
    return _layer(client, view, found[1]) if found else None


def _part_of_container(path: str) -> str:
    """Return the description of a path that has a container's ID in it."""
    if "/rootfs/" in path:  # with containerd's image store, while it runs: <data root>/rootfs/<snapshotter>/<ID>
        return "the mounted file system of a container"
    return "the log of a container" if "-json.log" in path or "/local-logs" in path else "a file of a container"


def _layer(client: EngineClient, view: EngineView, layer: str) -> Owned:
    for container in view.containers:
        if _layers_of(client.container_layers, container.id)[:1] == (layer,):
            return Owned("the writable layer of a container", (container,))
    having: list[tuple[int, str, Image]] = []
    for image in view.images:
        layers = _layers_of(client.image_layers, image.id)
        if layer in layers:
            having.append((len(layers), image.id, image))  # that with the fewest layers brought it
    return Owned("a layer of an image", tuple(image for _, _, image in sorted(having)))


def _layers_of(ask: Callable[[str], GraphLayers], id_: str) -> tuple[str, ...]:
    try:
        layers = ask(id_)
    except EngineRefused:  # it has gone since
        return ()
    return (layers.upper, *layers.lower) if layers.upper else layers.lower
