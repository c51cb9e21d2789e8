"""Objects that events are about: to inspect, removed, or of kinds to list again. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from watchd.engine.decode import quirks
from watchd.model import Event, Listing

# These change nothing that an inspect would show; health probes alone emit three of them each.
_NO_CHANGE = quirks.EXEC_NOISE | frozenset(
    ("top", "resize", "attach", "detach", "copy", "export", "archive-path", "extract-to-dir", "commit", "prune")
)
_NO_CHANGE_OF_IMAGES = frozenset(("push", "save", "mount", "unmount"))
_ATTACHED = frozenset(("connect", "disconnect"))


@dataclass(slots=True)
class Affected:
    """Objects by ID (images: by ID or reference), in the order of the events; True: it is gone."""

    containers: dict[str, bool] = field(default_factory=dict)
    images: dict[str, None] = field(default_factory=dict)
    networks: dict[str, bool] = field(default_factory=dict)
    volumes: dict[str, bool] = field(default_factory=dict)
    lists: set[Listing] = field(default_factory=set)
    engine: bool = False  # whether to ask again what the engine is


def affected(events: Iterable[Event], known_containers: Any) -> Affected:
    """Return the objects that events are about. `known_containers` are the IDs of those in the mirror."""
    result = Affected()
    for event in events:
        match event.type:
            case "container":
                _container(event, result)
            case "image":
                _image(event, result)
            case "network":
                attached = event.attributes.get("container", "")
                if event.action in _ATTACHED:
                    # Of which networks a container is in, only its inspect tells.
                    if attached in known_containers:
                        result.containers.setdefault(attached, False)
                else:
                    _named(event, result, result.networks, "network")
            case "volume":
                _named(event, result, result.volumes, "volume")
            case "service":
                result.lists.add("service")
            case "node" | "daemon":
                result.engine = True
    return result


def _container(event: Event, result: Affected) -> None:
    if event.action == "commit":
        image = event.attributes.get("imageID", "")
        if image:
            result.images[quirks.image_id(image)] = None
        else:
            result.lists.add("image")
    if event.id and event.action not in _NO_CHANGE:
        result.containers[event.id] = event.action in quirks.GONE


def _image(event: Event, result: Affected) -> None:
    if event.action == "prune" or not event.id:
        result.lists.add("image")
    elif event.action not in _NO_CHANGE_OF_IMAGES:
        result.images[event.id] = None


def _named(event: Event, result: Affected, objects: dict[str, bool], kind: Listing) -> None:
    """Take an event of a network or a volume, which is gone, or new under this ID."""
    if event.action == "prune" or not event.id:
        result.lists.add(kind)
    elif event.action in quirks.GONE:
        objects[event.id] = True
    elif event.action in ("create", "update"):
        objects[event.id] = False
