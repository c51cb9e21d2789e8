"""Image references: short forms as people write them, and their full forms; ID prefixes."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import lru_cache

_HUB = "docker.io"
_HUB_ALIAS = "index.docker.io"
FEWEST_DIGITS = 4  # of an ID prefix
_HEXADECIMAL = "0123456789abcdef"


@lru_cache(maxsize=4096)
def normalize(reference: str) -> str:
    """Return the full form of a reference: "redis" is "docker.io/library/redis:latest". IDs are returned as they are.

    A digest makes the tag of a reference meaningless: it is dropped.
    """
    if reference.startswith("sha256:"):
        return reference
    name, at, digest = reference.partition("@")
    repository, tag = split_tag(name)
    registry, slash, path = repository.partition("/")
    # The first part is a registry if it could be a host: Docker's rule (distribution/reference).
    if not slash or not ("." in registry or ":" in registry or registry == "localhost" or registry.lower() != registry):
        registry, path = _HUB, repository
    elif registry == _HUB_ALIAS:
        registry = _HUB
    if registry == _HUB and "/" not in path:
        path = f"library/{path}"
    return f"{registry}/{path}@{digest}" if at else f"{registry}/{path}:{tag or 'latest'}"


def familiar(reference: str) -> str:
    """Return the short form of a full reference: "docker.io/library/redis:7" is "redis:7". Other registries stay."""
    return reference.removeprefix(f"{_HUB}/library/").removeprefix(f"{_HUB}/")


def split_tag(name: str) -> tuple[str, str]:
    """Return repository and tag ("" without one): the colon of "registry:5000/team/app" is part of the registry."""
    repository, colon, tag = name.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (name, "")


def repository(reference: str) -> str:
    """Return the repository of a tag or digest reference, as written."""
    return split_tag(reference.partition("@")[0])[0]


def spellings(reference: str) -> tuple[str, str, str]:
    """Return the spellings of a reference: as written, full, and short."""
    full = normalize(reference)
    return reference, full, familiar(full)


def repository_names(reference: str) -> tuple[str, ...]:
    """Return the spellings of the repository of a tag or digest reference."""
    return tuple(map(repository, spellings(reference)))


def abbreviates(reference: str, id_: str) -> bool:
    """Return whether a text is this ID or a prefix of it, of at least four digits."""
    digits = _digits(reference)
    return reference == id_ or (digits is not None and id_.removeprefix("sha256:").startswith(digits))


def too_few_digits(reference: str) -> bool:
    """Return whether a text could be an ID prefix but is too short."""
    digits = reference.removeprefix("sha256:")
    return 0 < len(digits) < FEWEST_DIGITS and not digits.strip(_HEXADECIMAL)


def _digits(reference: str) -> str | None:
    """Return the digits of an ID or ID prefix; None for other texts."""
    digits = reference.removeprefix("sha256:")
    return digits if len(digits) >= FEWEST_DIGITS and not digits.strip(_HEXADECIMAL) else None


class ImageIds:
    """Image IDs sorted for look-ups by prefix."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._sorted = sorted((id_.removeprefix("sha256:"), id_) for id_ in ids)

    def abbreviated(self, reference: str) -> Iterator[str]:
        """Yield the IDs that a text abbreviates (see `abbreviates`)."""
        digits = _digits(reference)
        if digits is None:
            return
        for number in range(bisect_left(self._sorted, (digits, "")), len(self._sorted)):
            found, id_ = self._sorted[number]
            if not found.startswith(digits):
                return
            yield id_
