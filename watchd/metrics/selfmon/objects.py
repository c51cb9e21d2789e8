"""Number and size of the engine's objects."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.metrics_core import Metric

from watchd.engine.watch.mirror import Mirror
from watchd.families import gauge, gauges
from watchd.model import COMPOSE_PROJECT, Image, ImageClass, Volume

MOST_VOLUMES = 500
"""Volumes with a size of their own at most: the largest."""

# Docker's states, all of them: a state that no container is in has the value 0.
_STATES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")


@dataclass(frozen=True, slots=True)
class ObjectMetrics:
    """Containers by state; images, volumes and networks by class; the size of each volume; the build cache."""

    mirror: Mirror

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        view = self.mirror.view
        states = Counter(container.status for container in view.containers)
        yield gauges(
            "watchd_containers",
            "Containers by state.",
            ["state"],
            (([state], states[state]) for state in {*_STATES, *states}),
        )
        sizes = view.sizes
        if view.images or "image" not in view.failures:
            class_of = _image_classes(view.images)
            yield from _counted("Images", [(class_of[image.id], image.size) for image in view.images])
        if view.volumes or "volume" not in view.failures:
            size_of = sizes.volumes if sizes else {}
            classified = [("anonymous" if volume.is_anonymous else "named", volume) for volume in view.volumes]
            yield from _counted("Volumes", [(class_, size_of.get(volume.name)) for class_, volume in classified])
            yield from _sized([(volume, size_of[volume.name]) for volume in view.volumes if volume.name in size_of])
        if view.networks or "network" not in view.failures:
            names = ["predefined" if network.is_predefined else "custom" for network in view.networks]
            yield from _counted("Networks", [(name, None) for name in names])
        if sizes and sizes.build_cache is not None:
            yield gauge("watchd_build_cache_bytes", "Bytes of the build cache.", sizes.build_cache)


def _image_classes(images: Sequence[Image]) -> Mapping[str, ImageClass]:
    """The class of each image by ID; one that is untagged and not dangling is a step of a build that others are on."""
    parents = {image.parent_id for image in images}

    def class_of(image: Image) -> ImageClass:
        if image.tags:
            return "tagged"
        if image.digests:
            return "digest_only"
        return "untagged" if image.id in parents else "dangling"

    return {image.id: class_of(image) for image in images}


def _sized(volumes: Sequence[tuple[Volume, int]]) -> Iterator[Metric]:
    """Bytes of each of the largest volumes, and the number of those that are left out; nothing without any size."""
    if not volumes:
        return
    largest = sorted(volumes, key=lambda sized: (-sized[1], sized[0].name))[:MOST_VOLUMES]
    yield gauges(
        "watchd_volume_bytes",
        f"Bytes of a volume, of the {MOST_VOLUMES} largest, taken every ten minutes.",
        ["volume", "compose_project"],
        (([volume.name, volume.labels.get(COMPOSE_PROJECT, "")], size) for volume, size in largest),
    )
    text = "Volumes of known size that watchd_volume_bytes leaves out."
    yield gauge("watchd_volumes_left_out", text, len(volumes) - len(largest))


def _counted(what: str, objects: Sequence[tuple[str, int | None]]) -> Iterator[Metric]:
    """Number of objects of each class and, if the engine reports any size, their bytes."""
    name = f"watchd_{what.lower()}"
    counts = Counter(class_ for class_, _ in objects)
    yield gauges(name, f"{what} by class.", ["class"], (([class_], count) for class_, count in counts.items()))
    sizes: Counter[str] = Counter()
    for class_, size in objects:
        if size is not None:
            sizes[class_] += size
    if sizes:
        text = f"Bytes of {what.lower()} by class; what several have in common counts for each."
        yield gauges(f"{name}_bytes", text, ["class"], (([class_], size) for class_, size in sizes.items()))
