"""Layers that no image has, from the engine's total. Pure."""

from watchd.cleanup.plan.space.exact_layers import with_exact_layers
from watchd.model import EngineView, ImageUsage

_INIT = 64 * 1024  # bytes at most of the layer that the engine makes below each container's writable one
_LEAST = 1_000_000  # bytes: less is the rounding of what they are added up from


def layers_without_image(view: EngineView, images: ImageUsage | None) -> int:
    """Return the bytes of layers that neither an image nor the build cache nor a container accounts for, at least.

    Docker 28 to 29.5 counts every layer in containerd's store, whoever holds it; with a graph driver and from 29.6 on
    the total has those of images alone, and this is 0. The engine does not say which content images and build cache
    have in common: that is taken off for each of them, so there may be more.
    """
    sizes = [container.size_rw for container in view.containers]
    if view.engine.store != "containerd" or images is None or images.layers is None or None in sizes:
        return 0
    exact, ambiguous = with_exact_layers(view.images)
    layers = {
        (layer.id, each.id if each.id in ambiguous else ""): layer.size
        for each in exact
        for layer in each.history or ()
    }
    content = sum(max(0, each.size - sum(layer.size for layer in each.history or ())) for each in view.images)
    cache = sum(record.size for record in view.build_cache)
    containers = sum((size or 0) + _INIT for size in sizes)
    left = images.layers - sum(layers.values()) - content - cache - containers
    return left if left >= _LEAST and not view.failures else 0
