"""What shows that a removed object is needed again. Pure.

A mark is a text that an object is known by after it is gone. The record keeps the marks of a removal; a need has the
marks of what is needed. Where one of them is the same, the removal was regretted.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from watchd.cleanup.observe.follower import Change
from watchd.engine.decode.quirks import LOADED
from watchd.model import CacheRecord, Container, EngineView, Event, Image, Network, Observation, Subject, Volume
from watchd.model.names.references import normalize

Find = Callable[[str], Image | None]
"""Returns the image that an ID or a reference names."""

ARRIVES: Mapping[str, str] = {
    "pull": "it was pulled",
    "import": "it was imported",
    "tag": "it was built or tagged",
    "build": "it was built",
    **dict.fromkeys(LOADED, "it was loaded"),
}
_LEAVES = frozenset(("untag", "delete"))
_STARTS = frozenset(("start", "restart"))
_ATTACHES = frozenset(("create", "connect", "mount"))  # of networks and volumes


@dataclass(frozen=True, slots=True)
class Need:
    """Something that is needed at a time, in seconds since the epoch. `why` is half a sentence."""

    time: float
    marks: frozenset[str]
    why: str
    not_before: frozenset[str] = frozenset()  # tags: an image that had one of them is an older version, not the base


def marks_of(subject: Subject, seen: Observation | None, *, stays: bool) -> tuple[str, ...]:
    """Return the marks of an object that is removed, or that `stays` and only would be.

    None of what cannot come back: records of the build cache, and containers that really go.
    """
    match subject:
        case Container():
            return (_container(subject.id),) if stays else ()
        case Image():
            layers = subject.layers or (seen.layers if seen else None) or ()
            return (*_image(subject), *([_chain(layers)] if layers else []))
        case Network():
            return (_network(subject.name), *([_network(subject.id)] if stays else []))
        case Volume():
            return (_volume(subject.name),)
        case CacheRecord():
            return ()


def own_marks(subject: Subject) -> frozenset[str]:
    """Return the marks of an object itself, without those of what it was built on."""
    match subject:
        case Image():
            return frozenset(_image(subject))
        case _:
            return frozenset(marks_of(subject, None, stays=True))


def needs_of(change: Change) -> Iterator[Need]:
    """Yield what the events of a change show to be needed, and images that came without an event."""
    images = _Images(change.after)
    for event in change.events:
        at = min(event.time, change.now)
        match event.type:
            case "container":
                yield from _of_container_event(event, change, images, at)
            case "network" if event.action in _ATTACHES:
                names = frozenset(map(_network, filter(None, (event.id, event.attributes.get("name")))))
                yield Need(at, names, "it was created or attached again")
            case "volume" if event.action in _ATTACHES:
                yield Need(at, frozenset((_volume(event.id),)), "it was created or mounted again")
    yield from _of_images(change, images)


def _of_images(change: Change, images: "_Images") -> Iterator[Need]:
    came: dict[str, tuple[Image, float, str]] = {}
    for event in change.events:
        if event.type == "image" and event.action in ARRIVES:
            at, why = min(event.time, change.now), ARRIVES[event.action]
            image = images.find(event.id)
            if image is None:
                yield Need(at, frozenset((_image_id(event.id),)), why)
            else:
                came.setdefault(image.id, (image, at, why))
    if change.before.images is not change.after.images and not change.listed:
        known = {image.id for image in change.before.images}
        # Docker before 23 has no event of a build: the first one of its image may be that of its removal.
        known |= {event.id for event in change.events if event.type == "image" and event.action in _LEAVES}
        for image in change.after.images:
            if image.id not in known:
                came.setdefault(image.id, (image, change.now, "it came again"))
    for image, at, why in came.values():
        yield from needs_of_arrival(image, at, why)


def needs_in(view: EngineView) -> Iterator[Need]:
    """Yield what a full list shows to be needed, whenever that was: what containers use, networks and volumes."""
    images = _Images(view)
    for container in view.containers:
        if container.started_at is not None:
            yield Need(container.started_at, frozenset((_container(container.id),)), _started(container))
        at = max(container.started_at or 0.0, container.created_at or 0.0)
        yield _of_use(container, images.find, at)
    for network in view.networks:
        if network.created_at is not None:
            yield Need(network.created_at, frozenset((_network(network.name),)), "it was created again")
    for volume in view.volumes:
        if volume.created_at is not None:
            yield Need(volume.created_at, frozenset((_volume(volume.name),)), "it was created again")


def _of_container_event(event: Event, change: Change, images: "_Images", at: float) -> Iterator[Need]:
    if event.action not in _STARTS and event.action != "create":
        return
    container = change.container(event.id)
    if container is None:  # gone before it was inspected
        image = images.find(event.attributes.get("image", ""))
        if image is not None:
            yield Need(at, frozenset(_image(image)), f"container {event.attributes.get('name', event.id)} was started")
        return
    yield from needs_of_container(container, images.find, at, starts=event.action in _STARTS)


def needs_of_container(container: Container, find: Find, at: float, *, starts: bool) -> Iterator[Need]:
    """Yield that a container that is created, or `starts`, needs itself and what it uses."""
    if starts:
        yield Need(at, frozenset((_container(container.id),)), "it was started")
    yield _of_use(container, find, at)


def needs_of_arrival(image: Image, at: float, why: str) -> Iterator[Need]:
    """Yield that an image is needed, and what it was built on."""
    yield Need(at, frozenset(_image(image)), why)
    layers = image.layers or ()
    chains = frozenset(_chain(layers[:count]) for count in range(1, len(layers) + 1))
    if chains:
        yield Need(at, chains, f"{image.name} arrived, which was built on it", frozenset(image.tags))


def _of_use(container: Container, find: Find, at: float) -> Need:
    return Need(at, frozenset(_used_by(container, find)), _started(container))


def _used_by(container: Container, find: Find) -> Iterable[str]:
    yield _image_id(container.image_id)
    for reference in container.image_mounts:
        mounted = find(reference)
        if mounted is not None:
            yield from _image(mounted)
    yield from map(_volume, container.volumes)
    yield from map(_network, container.networks)


def _started(container: Container) -> str:
    return f"container {container.name} was started"


class _Images:
    """The images of a view by ID and reference; indexed when one is looked for."""

    def __init__(self, view: EngineView) -> None:
        self._view = view
        self._index: dict[str, Image] | None = None

    def find(self, name: str) -> Image | None:
        if not name:
            return None
        if self._index is None:
            self._index = {image.id: image for image in self._view.images}
            for image in self._view.images:
                self._index |= dict.fromkeys(map(normalize, image.references), image)
        return self._index.get(name) or self._index.get(normalize(name))


def _image(image: Image) -> Iterator[str]:
    yield _image_id(image.id)
    for digest in image.digests:
        yield f"digest:{digest.rpartition('@')[2]}"


def _image_id(id_: str) -> str:
    return f"image:{id_}"


def _chain(layers: Iterable[str]) -> str:
    return f"layers:{hashlib.sha256(' '.join(layers).encode()).hexdigest()[:32]}"


def _container(id_: str) -> str:
    return f"container:{id_}"


def _network(name: str) -> str:
    return f"network:{name}"


def _volume(name: str) -> str:
    return f"volume:{name}"
