"""Layers that an image shares with other images or the build cache. Pure."""

from collections import Counter
from dataclasses import dataclass

from watchd.cleanup.plan.host import Host
from watchd.model import Amount, Image

_MAX_NAMES = 10


@dataclass(frozen=True, slots=True)
class Sharing:
    """Unshared and shared bytes of an image, and the objects that share them."""

    alone: Amount
    shared: Amount
    images: tuple[str, ...] = ()  # names of the ten that share most with it, those first
    image_count: int = 0
    build_cache: bool = False


def sharing_of(image: Image, host: Host) -> Sharing | None:
    """Return the sharing of an image; None: its layers are not known."""
    if image.history is None:
        return None
    space = host.space
    pieces = space.held.get(image.key, ())
    shared = [piece for piece in pieces if len(space.holders[piece]) > 1]
    with_image: Counter[str] = Counter()
    build_cache = False
    for piece in shared:
        size = space.sizes[piece]
        for kind, id_ in space.holders[piece] if size != 0 else ():
            if kind == "build_cache":
                build_cache = True
            elif id_ != image.id:
                with_image[id_] += size or 0
    names = [host.images[id_].name for id_, _ in sorted(with_image.items(), key=lambda each: (-each[1], each[0]))]
    own = [space.sizes[piece] for piece in pieces if len(space.holders[piece]) == 1]
    others = [space.sizes[piece] for piece in shared]
    return Sharing(_amount(own), _amount(others), tuple(names[:_MAX_NAMES]), len(names), build_cache)


def _amount(sizes: list[int | None]) -> Amount:
    return Amount(sum(size or 0 for size in sizes), None in sizes)
