"""Names of objects that patterns are about: by key of `select`, and by table of `cleanup.protect`. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from watchd.model import COMPOSE_PROJECT, COMPOSE_SERVICE, CacheRecord, Container, Image, Kind, Network, Volume
from watchd.model.names.patterns import Name
from watchd.model.names.references import familiar, normalize, repository, repository_names, spellings, split_tag

NamesOf = Callable[[Any], Sequence[Name]]


def _name(subject: Container | Network | Volume) -> Sequence[Name]:
    return (Name((subject.name,)),)


def _type(record: CacheRecord) -> Sequence[Name]:
    return (Name((record.type,)),)


def _label(key: str) -> NamesOf:
    def names(subject: Container | Network | Volume) -> Sequence[Name]:
        value = subject.labels.get(key)
        return () if value is None else (Name((value,)),)

    return names


def _repositories(image: Image) -> Sequence[Name]:
    return [Name(repository_names(reference)) for reference in image.last_references]


def _tags(image: Image) -> Sequence[Name]:
    return [Name((split_tag(tag)[1],)) for tag in image.tags]


def _references(image: Image) -> Sequence[Name]:
    """Return a name for each reference; exclusions are also about its repository, digests and image ID."""
    ids = _image_ids(image)
    return [Name(spellings(each[0]), _all_spellings(each), ids) for each in _by_reference(image)]


def _protected_images(image: Image) -> Sequence[Name]:
    """Return a name for each reference, in every spelling: of its repository, its digests and the image ID, too."""
    ids = _image_ids(image)
    return [Name((*_all_spellings(references), *ids), ids=ids) for references in _by_reference(image) or [()]]


def _by_reference(image: Image) -> list[Sequence[str]]:
    """Return each tag with the digests of its repository, which go with it; then the digests without a tag."""
    tagged = [(tag, *(each for each in image.digests if repository(each) == repository(tag))) for tag in image.tags]
    with_tag = {repository(tag) for tag in image.tags}
    return [*tagged, *((digest,) for digest in image.digests if repository(digest) not in with_tag)]


def _all_spellings(references: Sequence[str]) -> list[str]:
    full = [normalize(reference) for reference in references]
    found = [*references, *full, *map(familiar, full)]
    return [*found, *map(repository, found)]


def _image_ids(image: Image) -> tuple[str, str, str]:
    digits = image.id.removeprefix("sha256:")
    return image.id, digits, digits[:12]


def _name_and_id(subject: Container | Network) -> Sequence[Name]:
    ids = (subject.id, subject.id[:12])
    return (Name((subject.name, *ids), ids=ids),)


_PROJECT = _label(COMPOSE_PROJECT)

SELECTED_BY: Mapping[Kind, Mapping[str, NamesOf]] = {
    "container": {"name": _name, "compose_project": _PROJECT, "compose_service": _label(COMPOSE_SERVICE)},
    "image": {"repository": _repositories, "tag": _tags, "reference": _references},
    "network": {"name": _name, "compose_project": _PROJECT},
    "volume": {"name": _name, "compose_project": _PROJECT},
    "build_cache": {"type": _type},
}
"""The names that each key of `select` is about."""

PROTECTED_BY: Mapping[Kind, tuple[str, NamesOf]] = {
    "container": ("containers", _name_and_id),
    "image": ("images", _protected_images),
    "network": ("networks", _name_and_id),
    "volume": ("volumes", _name),
}
"""The key of `cleanup.protect` for a kind, and the names that it is about."""
