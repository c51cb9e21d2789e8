"""The labels of a container's series, rendered once: they are most of what a scrape sends."""

import fnmatch
import re
from collections.abc import Iterable, Mapping
from typing import Literal

from watchd.model import Container

ContainerId = Literal["cgroup", "docker"]

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_]")


class ContainerLabels:
    """Gives the label set of each container.

    `container_id`: `id` is the container's cgroup path, or always "/docker/<64 hex>". `globs`: the Docker labels that
    become `container_label_*`.
    """

    def __init__(self, container_id: ContainerId, globs: Iterable[str]) -> None:
        self._container_id = container_id
        patterns = [fnmatch.translate(glob) for glob in globs]
        self._allowed = re.compile("|".join(patterns) or r"(?!)")  # without any glob nothing matches

    def of(self, container: Container, cgroup_path: str) -> dict[str, str]:
        """The label set: id, image, name and the allowed labels.

        Of two Docker labels whose names become the same, the one that sorts first counts.
        """
        labels = {
            "id": cgroup_path if self._container_id == "cgroup" else f"/docker/{container.id}",
            "image": container.image,
            "name": container.name.removeprefix("/"),
        }
        for key, value in sorted(container.labels.items()):
            if self._allowed.match(key):
                labels.setdefault("container_label_" + _NOT_IN_A_NAME.sub("_", key), value)
        return labels


def render(labels: Mapping[str, str]) -> str:
    """The text between the braces; empty for no labels."""
    return ",".join(f'{name}="{escape(value)}"' for name, value in labels.items())


def escape(value: str) -> str:
    """A label value as the text format wants it; what is not UTF-8 becomes a question mark."""
    return value.translate(_ESCAPES).encode(errors="replace").decode()
