"""Images, from the Engine API's JSON. Pure."""

import re
from dataclasses import replace
from hashlib import sha256
from typing import Any

from watchd.engine.decode import quirks
from watchd.engine.decode.fields import (
    MalformedReply,
    integer,
    list_of,
    present,
    required,
    shown,
    strings,
    table,
    text,
    time_of,
)
from watchd.model import Image, ImageUsage, Layer

_STEP_DIGITS = 32  # 128 bits

# A step that only changes the configuration, as BuildKit writes it and as the classic builder does.
_WITHOUT_LAYER = re.compile(
    r"([^#]*#\(nop\) +)?"
    r"(ARG|CMD|ENTRYPOINT|ENV|EXPOSE|HEALTHCHECK|LABEL|MAINTAINER|ONBUILD|SHELL|STOPSIGNAL|USER|VOLUME) "
)

_LAYER_DIGITS = 16  # 64 bits: each image on record has its layers with it


def image(raw: Any) -> Image:
    """Return the image of `GET /images/json`."""
    present(raw, "RepoTags", "RepoDigests", "Created", "Size", "Labels")
    return Image(
        id=quirks.image_id(required(raw, "Id")),
        tags=_references(raw, "RepoTags", quirks.NO_TAG),
        digests=_references(raw, "RepoDigests", quirks.NO_DIGEST),
        parent_id=quirks.image_id(text(raw, "ParentId")) or None,
        created_at=float(max(0, integer(raw, "Created"))) or None,
        size=integer(raw, "Size"),
        shared_size=quirks.shared_size(raw, integer(raw, "SharedSize", -1)),
        labels=strings(raw, "Labels"),
    )


def image_from_inspect(raw: Any) -> Image:
    """Return the image of `GET /images/{name}/json`, which lacks the size shared with others.

    From API 1.52 on it has no labels where there are none.
    """
    present(raw, "RepoTags", "RepoDigests", "Config")
    return Image(
        id=quirks.image_id(required(raw, "Id")),
        tags=_references(raw, "RepoTags", quirks.NO_TAG),
        digests=_references(raw, "RepoDigests", quirks.NO_DIGEST),
        parent_id=quirks.image_id(text(raw, "Parent")) or None,
        created_at=float(max(0, int(time_of(raw, "Created") or 0))) or None,  # whole seconds, as the list has them
        size=integer(raw, "Size"),
        labels=strings(table(raw, "Config"), "Labels"),
        layers=_layers(raw),
        pulled=bool(list_of(table(raw, "Identity"), "Pull")),
    )


def image_usage(raw: Any) -> ImageUsage:
    """Return the sizes of images in `GET /system/df`."""
    images = [image(entry) for entry in quirks.reported(raw, "Image")]
    return ImageUsage(
        layers=quirks.layers_size(raw, len(images)),
        unique={each.id: max(0, each.size - (each.shared_size or 0)) for each in images},
    )


def history(raw: Any) -> tuple[Layer, ...]:
    """Return the layers of `GET /images/{id}/history`, the lowest first, without those of 0 bytes.

    A layer is known by its step and all steps below it: the engine tells no IDs of layers there.
    """
    if not isinstance(raw, list):
        raise MalformedReply(f"a list was expected, not {shown(raw)}")
    layers = []
    steps = sha256()
    empty = 0  # steps so far that may have made layers of 0 bytes: the engine does not tell
    for entry in reversed(raw):
        size, created_at, step = integer(entry, "Size"), integer(entry, "Created"), text(entry, "CreatedBy")
        steps.update(f"{created_at} {size} {step}\n".encode())
        if size > 0:
            layers.append(Layer(steps.hexdigest()[:_STEP_DIGITS], size, created_at, empty))
        elif not _WITHOUT_LAYER.match(step):
            empty += 1
    return tuple(replace(layer, empty_above=empty - (layer.empty_below or 0)) for layer in layers)


def deleted_image(raw: Any) -> tuple[list[str], list[str]]:
    """Return the references untagged and the IDs deleted, from the reply to `DELETE /images/{name}`."""
    if not isinstance(raw, list):
        raise MalformedReply(f"a list was expected, not {shown(raw)}")
    entries = [entry for entry in raw if isinstance(entry, dict)]
    return (
        [text(entry, "Untagged") for entry in entries if "Untagged" in entry],
        [quirks.image_id(text(entry, "Deleted")) for entry in entries if "Deleted" in entry],
    )


def _layers(raw: Any) -> tuple[str, ...] | None:
    """Return the layers of an image, None if the reply lacks its file system. One without any has no `Layers`."""
    if raw.get("RootFS") is None:
        return None
    digests = map(str, list_of(table(raw, "RootFS"), "Layers"))
    return tuple(digest.removeprefix("sha256:")[:_LAYER_DIGITS] for digest in digests)


def _references(raw: Any, key: str, none: str) -> tuple[str, ...]:
    return tuple(sorted({str(reference) for reference in list_of(raw, key)} - {none}))
