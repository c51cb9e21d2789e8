"""The containers that have metrics: `include` and `exclude` of `[metrics]`."""

from collections.abc import Sequence

from watchd.config.schema.config import MetricsOf
from watchd.model import COMPOSE_PROJECT, Container
from watchd.model.names.patterns import Name, included_labels, includes
from watchd.model.names.references import repository_names, spellings

_EVERY = MetricsOf()


class Choice:
    """Choose containers, and remember the choice as long as they do not change."""

    def __init__(self, include: MetricsOf = _EVERY, exclude: MetricsOf = _EVERY) -> None:
        self._include = include
        self._exclude = exclude
        self._chosen: dict[str, tuple[Container, bool]] = {}  # by ID
        self.excluded: frozenset[str] = frozenset()
        """IDs of the containers that were not chosen the last time."""

    def of(self, containers: Sequence[Container]) -> Sequence[Container]:
        """Return those that have metrics, in the same order."""
        if self._include == self._exclude == _EVERY:
            return containers
        known, self._chosen = self._chosen, {}
        for container in containers:
            kept = known.get(container.id)
            if kept is None or kept[0] is not container:
                kept = container, self._has_metrics(container)
            self._chosen[container.id] = kept
        self.excluded = frozenset(id_ for id_, (_, is_chosen) in self._chosen.items() if not is_chosen)
        return [container for container in containers if container.id not in self.excluded]

    def _has_metrics(self, container: Container) -> bool:
        return (self._include == _EVERY or _matches(self._include, container)) and not _matches(
            self._exclude, container
        )


def _matches(patterns: MetricsOf, container: Container) -> bool:
    """Tell whether any list of patterns matches a container."""
    project = container.labels.get(COMPOSE_PROJECT)
    return (
        includes(patterns.names, Name((container.name,)))
        or includes(patterns.images, _image(container))
        or (project is not None and includes(patterns.compose_projects, Name((project,))))
        or bool(included_labels(patterns.labels, container.labels))
    )


def _image(container: Container) -> Name:
    """Return the image's reference and repository, in every spelling, and its ID."""
    digits = container.image_id.removeprefix("sha256:")
    ids = (container.image_id, digits, digits[:12])
    return Name((*spellings(container.image), *repository_names(container.image), *ids), ids=ids)
