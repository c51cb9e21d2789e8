"""Images that were built on another one: they begin with its layers, and arrived later. Pure."""

from dataclasses import dataclass

from watchd.cleanup.plan.host import Host
from watchd.model import Image, Observation

_MAX_NAMES = 10


@dataclass(frozen=True, slots=True)
class Builds:
    """The images that were built on another one and are here now."""

    count: int
    names: tuple[str, ...]  # the last ten, the newest first
    last_arrived: float  # seconds since the epoch


def builds_on(base: Image, host: Host) -> Builds | None:
    """Return the images that were built on another one, None if there is none or its layers are not known."""
    seen = host.observation(base)
    if seen is None or not seen.layers:
        return None
    found: list[tuple[float, str]] = []
    for image in host.view.images:
        of_image = host.observation(image)
        if image.id != base.id and of_image is not None and _was_built_on(image, of_image, base, seen):
            found.append((of_image.arrived_at, image.name))
    newest_first = sorted(found, reverse=True)
    return Builds(len(found), tuple(name for _, name in newest_first[:_MAX_NAMES]), max(found)[0]) if found else None


def is_built_on(layers: tuple[str, ...], base: tuple[str, ...]) -> bool:
    """Return whether layers begin with those of a base, which has some."""
    return bool(base) and layers[: len(base)] == base


def _was_built_on(image: Image, seen: Observation, base: Image, seen_base: Observation) -> bool:
    if not is_built_on(seen.layers or (), seen_base.layers or ()):
        return False
    # Of two that have the same layers, only one can be built on the other: a new tag does not turn that round.
    arrived = seen.first_seen if seen.layers == seen_base.layers else seen.arrived_at
    return (arrived, image.created_at or 0.0) > (seen_base.first_seen, base.created_at or 0.0)
