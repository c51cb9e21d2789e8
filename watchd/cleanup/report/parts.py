"""Parts of images in words and as JSON: platforms and attestations."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from watchd.cleanup.report.words import counted
from watchd.model import Image
from watchd.model.objects.parts import Part
from watchd.units import format_size


def parts_in_words(parts: Iterable[Part]) -> str:
    """Return the parts of an image: "linux/amd64 207kB, linux/arm64 101kB (only compressed), 2 attestations 1.44kB"."""
    known = tuple(parts)
    here = [part for part in known if part.available]
    told = [f"{part.platform} {format_size(part.size)}{_how(part)}" for part in here if part.kind == "image"]
    for kind, name in (("attestation", "attestation"), ("unknown", "other part")):
        if of_kind := [part for part in here if part.kind == kind]:
            told.append(f"{counted(name, len(of_kind))} {format_size(sum(part.size for part in of_kind))}")
    absent = [part.platform or part.kind for part in known if not part.available and part.kind != "attestation"]
    return ", ".join(told) + (f"; not here: {', '.join(absent)}" if absent else "")


def _how(part: Part) -> str:
    return "" if part.unpacked else " (only compressed)"


def other_platforms(images: Iterable[Image]) -> dict[str, int]:
    """Return the bytes of parts that lie here only compressed, beside one that can run, by platform.

    They are upper bounds: parts may have layers in common, each of which then counts more than once.
    """
    sizes: Counter[str] = Counter()
    for image in images:
        here = [part for part in image.parts if part.kind == "image" and part.available]
        if any(part.unpacked for part in here):
            sizes.update({part.platform: part.size for part in here if not part.unpacked})
    return dict(sorted(sizes.items()))


def parts_as_json(parts: Iterable[Part]) -> list[dict[str, Any]]:
    """Return the published form."""
    return [
        {
            "kind": part.kind,
            "digest": part.digest,
            "platform": part.platform or None,
            "available": part.available,
            "bytes": part.size,
            "unpacked_bytes": part.unpacked,
            "attests": part.attests or None,
        }
        for part in parts
    ]
