"""Parts of images, from the Engine API's JSON. Pure."""

from collections.abc import Mapping
from typing import Any, get_args

from watchd.engine.decode.fields import integer, required, table, tables, text
from watchd.model.objects.parts import Part, PartKind

API_WITH_PARTS = (1, 47)
"""Docker 27.3 and later, with containerd's image store."""


def image_parts(raw: Any) -> tuple[Part, ...]:
    """Return the parts of an image of `GET /images/json?manifests=1`; none if the store does not tell them."""
    return tuple(_part(each) for each in tables(raw, "Manifests"))


def _part(raw: Mapping[str, Any]) -> Part:
    size, data = table(raw, "Size"), table(raw, "ImageData")
    kind = text(raw, "Kind")
    return Part(
        digest=required(raw, "ID"),
        kind=next((known for known in get_args(PartKind) if known == kind), "unknown"),
        available=raw.get("Available") is True,
        size=integer(size, "Total"),
        unpacked=integer(table(data, "Size"), "Unpacked"),
        platform=_platform(table(data, "Platform")),
        attests=text(table(raw, "AttestationData"), "For"),
    )


def _platform(raw: Mapping[str, Any]) -> str:
    return "/".join(filter(None, (text(raw, "os"), text(raw, "architecture"), text(raw, "variant"))))
