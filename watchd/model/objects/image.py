"""Images, with their layers and former references."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from watchd.model.objects.kinds import Key, Kind
from watchd.model.objects.parts import Part

ImageClass = Literal["untagged", "dangling", "digest_only", "tagged"]


@dataclass(frozen=True, slots=True)
class FormerReference:
    """Reference that an image had, and until when: seconds since the epoch."""

    reference: str
    until: float


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of an image, from `GET /images/{id}/history`. Images on the same base have the same layers."""

    id: str  # of the steps up to it; equal where two were built by the same steps at the same time
    size: int  # bytes, uncompressed
    created_at: int  # whole seconds since the epoch
    # Number of steps below and above it that may have made layers of 0 bytes; None: not known
    empty_below: int | None = field(default=None, compare=False)
    empty_above: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Image:
    """An image, from `GET /images/json?all=1`; `former` is from watchd's record."""

    kind: ClassVar[Kind] = "image"

    id: str  # "sha256:..."
    tags: tuple[str, ...] = ()  # "repository:tag", sorted; none: untagged
    digests: tuple[str, ...] = ()  # "repository@sha256:...", sorted
    parent_id: str | None = None  # of the classic builder; None: no parent, or unknown to the store
    created_at: float | None = None  # build time in its config; None: not given
    size: int = 0  # bytes, shared layers included
    shared_size: int | None = None  # bytes of layers that other images share; None: not reported
    history: tuple[Layer, ...] | None = None  # the lowest first; None: not requested
    labels: Mapping[str, str] = field(default_factory=dict)
    layers: tuple[str, ...] | None = None  # digests (16 digits each), the lowest first; None: listed, not inspected
    pulled: bool = False  # the engine itself states a pull as its origin (`Identity`, API 1.53 and later)
    former: tuple[FormerReference, ...] = ()  # of an image without a reference, the last one lost first; none: unknown
    parts: tuple[Part, ...] = ()  # by platform, and attestations; none: not requested, or the store does not tell
    origin_unknown: bool = False  # its digests prove no registry, and watchd's record has no pull of it

    @property
    def pullable(self) -> bool | None:
        """Return whether a registry has it, by its digests; None: unknown."""
        return None if self.digests and self.origin_unknown else bool(self.digests)

    @property
    def references(self) -> tuple[str, ...]:
        """Tags, then digest references."""
        return self.tags + self.digests

    @property
    def last_references(self) -> tuple[str, ...]:
        """The references, else the former ones."""
        return self.references or tuple(each.reference for each in self.former)

    @property
    def key(self) -> Key:
        """Unique key: kind and ID."""
        return (self.kind, self.id)

    @property
    def identity(self) -> str:
        """Key of its observations in the state."""
        return self.id

    @property
    def names(self) -> tuple[str, ...]:
        """All its names."""
        return self.references

    @property
    def name(self) -> str:
        """The first reference, or `<none>`."""
        return (self.tags or self.digests or ("<none>",))[0]
