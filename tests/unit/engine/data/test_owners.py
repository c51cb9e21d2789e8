"""Paths and IDs of layers are told by the folders that inspects name."""

from typing import Any

import pytest

from tests.unit.cleanup.builders import container, image, view, volume
from watchd.engine.data.owners import Owned, owned
from watchd.engine.decode.graph_driver import GraphLayers, graph_layers
from watchd.errors import EngineRefused

OWN, TOP, LOW, NONE = (letter * 64 for letter in "abcd")
APP, BASE = image("app"), image("base")
WEB, DATA = container("web"), volume("data", mountpoint="/var/lib/docker/volumes/data/_data")
LAYERS = {
    WEB.id: GraphLayers(OWN, (OWN, TOP, LOW)),
    APP.id: GraphLayers(TOP, (LOW,)),
    BASE.id: GraphLayers(LOW),
}


class _Engine:
    def layers(self, id_: str) -> GraphLayers:
        if id_ not in LAYERS:
            raise EngineRefused("no such image", 404)
        return LAYERS[id_]

    container_layers = image_layers = layers


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        (f"/var/lib/docker/overlay2/{OWN}/diff/etc", Owned("the writable layer of a container", (WEB,))),
        (f"/var/lib/docker/overlay2/{OWN}-init", Owned("the writable layer of a container", (WEB,))),
        (OWN, Owned("the writable layer of a container", (WEB,))),
        (TOP, Owned("a layer of an image", (APP,))),
        (f"/elsewhere/overlay2/{LOW}", Owned("a layer of an image", (BASE, APP))),
        (NONE, Owned("a layer of an image")),
        ("/var/lib/docker/volumes/data", Owned("data of a volume", (DATA,))),
        ("/var/lib/docker/volumes/data/_data/file", Owned("data of a volume", (DATA,))),
        ("/var/lib/docker/volumes/database", None),
        (f"/x/containers/{WEB.id}/{WEB.id}-json.log.1", Owned("the log of a container", (WEB,))),
        (f"/x/containers/{WEB.id}/local-logs", Owned("the log of a container", (WEB,))),
        (f"/x/containers/{WEB.id}", Owned("a file of a container", (WEB,))),
        ("/var/lib/docker", None),
        ("web", None),
    ],
)
def test_what_it_is_and_whose(reference: str, expected: Owned | None) -> None:
    engine: Any = _Engine()
    assert owned(engine, view(WEB, APP, BASE, image("gone"), DATA), reference) == expected


def test_layers_are_the_folders_of_the_storage_driver() -> None:
    lower = f"/d/overlay2/{OWN}-init/diff:/d/overlay2/{TOP}/diff:/d/overlay2/{LOW}/diff"
    raw = {"GraphDriver": {"Name": "overlay2", "Data": {"UpperDir": f"/d/overlay2/{OWN}/diff", "LowerDir": lower}}}
    assert graph_layers(raw) == GraphLayers(OWN, (OWN, TOP, LOW))
    assert graph_layers({"GraphDriver": {"Name": "overlayfs", "Data": None}}) == GraphLayers(None)
    assert graph_layers({}) == GraphLayers(None)
