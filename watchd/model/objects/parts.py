"""Parts of an image: manifests for platforms, and attestations. containerd's image store alone tells them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

PartKind = Literal["image", "attestation", "unknown"]


@dataclass(frozen=True, slots=True)
class Part:
    """A manifest of an image, from `GET /images/json?manifests=1` (API 1.47 and later). Sizes in bytes."""

    digest: str  # "sha256:..."
    kind: PartKind
    available: bool  # false: the image names it, but its content is not here
    size: int  # compressed content and unpacked layers, what other parts share included
    unpacked: int = 0  # of it, the unpacked layers; 0: nothing can run from it before they are
    platform: str = ""  # "linux/arm64/v8"; "": none
    attests: str = ""  # digest of the part that an attestation is about


def is_told(parts: Iterable[Part]) -> bool:
    """Return whether an image has more than one part, or an attestation: else the part is the image."""
    known = tuple(parts)
    return len(known) > 1 or any(part.kind != "image" for part in known)
