"""The layers of an image or a container by the names of their folders, from the Engine API's JSON. Pure."""

import re
from dataclasses import dataclass
from typing import Any

from watchd.engine.decode.fields import table, text

_FOLDER = re.compile(r"/([0-9a-f]{64})(?:-init)?/(?:diff|fs)")


@dataclass(frozen=True, slots=True)
class GraphLayers:
    """Folders of layers below the storage driver's: the uppermost, and those below it, the highest first."""

    upper: str | None
    lower: tuple[str, ...] = ()


def graph_layers(raw: Any) -> GraphLayers:
    """Return the layers in `GraphDriver` of an inspect. With containerd's image store there are none."""
    data = table(table(raw, "GraphDriver"), "Data")
    upper = _FOLDER.search(text(data, "UpperDir"))
    return GraphLayers(upper[1] if upper else None, tuple(_FOLDER.findall(text(data, "LowerDir"))))
