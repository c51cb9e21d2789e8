"""Image references: the short form that people write and the full form that Docker means by it."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator

_HUB = "docker.io"
_HUB_ALIAS = "index.docker.io"
FEWEST_DIGITS = 4  # of the beginning of an ID
_HEXADECIMAL = "0123456789abcdef"


def normalize(reference: str) -> str:
    """Return the full form of a reference: "redis" is "docker.io/library/redis:latest". IDs are returned as they are.

    A reference with a digest is known by that: its tag, if it has one too, says nothing any more.
    """
    if reference.startswith("sha256:"):
        return reference
    name, at, digest = reference.partition("@")
    repository, tag = split_tag(name)
    registry, slash, path = repository.partition("/")
    # The first part is a registry when it could be a host: Docker's own rule (distribution/reference).
    if not slash or not ("." in registry or ":" in registry or registry == "localhost" or registry.lower() != registry):
        registry, path = _HUB, repository
    elif registry == _HUB_ALIAS:
        registry = _HUB
    if registry == _HUB and "/" not in path:
        path = f"library/{path}"
    return f"{registry}/{path}@{digest}" if at else f"{registry}/{path}:{tag or 'latest'}"


def familiar(reference: str) -> str:
    """Return the short form of a full reference: "docker.io/library/redis:7" is "redis:7". Others are as they are."""
    return reference.removeprefix(f"{_HUB}/library/").removeprefix(f"{_HUB}/")


def split_tag(name: str) -> tuple[str, str]:
    """Return repository and tag ("" without one): the colon of "registry:5000/team/app" is none of a tag."""
    repository, colon, tag = name.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (name, "")


def repository(reference: str) -> str:
    """Return the repository of a tag or digest reference, as it is written there."""
    return split_tag(reference.partition("@")[0])[0]


def spellings(reference: str) -> tuple[str, str, str]:
    """Return the ways to write a reference: as it is, in full, and short."""
    full = normalize(reference)
    return reference, full, familiar(full)


def repository_names(reference: str) -> tuple[str, ...]:
    """Return the ways to write the repository of a tag or digest reference."""
    return tuple(map(repository, spellings(reference)))


def abbreviates(reference: str, id_: str) -> bool:
    """Return whether a text is an ID, or the beginning of one: at least four of its digits."""
    digits = _digits(reference)
    return reference == id_ or (digits is not None and id_.removeprefix("sha256:").startswith(digits))


def too_few_digits(reference: str) -> bool:
    """Return whether a text may be meant as the beginning of an ID, but is too short for one."""
    digits = reference.removeprefix("sha256:")
    return 0 < len(digits) < FEWEST_DIGITS and not digits.strip(_HEXADECIMAL)


def _digits(reference: str) -> str | None:
    """Return the digits of what may be the beginning of an ID, None for every other text."""
    digits = reference.removeprefix("sha256:")
    return digits if len(digits) >= FEWEST_DIGITS and not digits.strip(_HEXADECIMAL) else None


class ImageIds:
    """The IDs of images, found by how they begin: each look takes little, however many there are."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._sorted = sorted((id_.removeprefix("sha256:"), id_) for id_ in ids)

    def abbreviated(self, reference: str) -> Iterator[str]:
        """Yield the IDs that a text abbreviates, as `abbreviates` has it."""
        digits = _digits(reference)
        if digits is None:
            return
        for number in range(bisect_left(self._sorted, (digits, "")), len(self._sorted)):
            found, id_ = self._sorted[number]
            if not found.startswith(digits):
                return
            yield id_
