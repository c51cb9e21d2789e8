"""What the timeline keeps of an object: every field that plans are made from, as JSON. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any

from watchd.model import CacheRecord, Container, Image, Layer, Network, Subject, Volume

KEPT: Mapping[type, Sequence[str]] = {
    Container: (
        "image", "image_id", "restart_policy", "labels", "image_mounts", "volumes", "networks",
    ),
    Image: ("tags", "digests", "parent_id", "created_at", "size", "labels", "layers", "history"),
    Network: ("name", "driver", "scope", "created_at", "labels", "is_configuration"),
    Volume: ("name", "driver", "created", "created_at", "labels", "options"),
}  # fmt: skip
_NOT_LISTED = ("layers", "history")  # of images
DERIVED: Mapping[type, Sequence[str]] = {
    # By its life, its uses and the sizes that were measured. Of a container that was not inspected nothing is kept, and
    # of logs there are no sizes of the past.
    Container: (
        "id", "name", "created_at", "status", "started_at", "finished_at", "exit_code", "pid", "size_rw", "inspected",
        "log", "log_size",
    ),
    # By other images, by its earlier appearances, and by how it came.
    Image: ("id", "shared_size", "former", "origin_unknown"),
    Network: ("id",),
    Volume: ("size", "mounted"),
}  # fmt: skip


def is_kept(subject: Subject) -> bool:
    """Return whether the timeline has objects like this. The build cache has no events."""
    return not isinstance(subject, CacheRecord) and (not isinstance(subject, Container) or subject.inspected)


def as_text(subject: Subject, before: str = "") -> str:
    """Return the fields that are not at their defaults.

    What a list of images does not tell is taken from the text of `before`.
    """
    values: dict[str, Any] = {}
    if isinstance(subject, Image) and before and (subject.layers is None or subject.history is None):
        known = json.loads(before)
        values = {name: known[name] for name in _NOT_LISTED if name in known}
    for each in fields(subject):
        if each.name not in KEPT[type(subject)]:
            continue
        value = getattr(subject, each.name)
        if each.name == "history" and value is not None:
            value = [(layer.id, layer.size, layer.created_at) for layer in value]
        default = each.default_factory() if each.default_factory is not MISSING else each.default
        if value != default:
            values[each.name] = dict(value) if isinstance(value, Mapping) else value
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def from_text(kind: type[Container] | type[Image] | type[Network] | type[Volume], text: str, **derived: Any) -> Subject:
    """Return an object with the fields of a text, and these."""
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in json.loads(text).items()}
    if "history" in values:
        values["history"] = tuple(Layer(*layer) for layer in values["history"])
    return kind(**{**values, **derived})
