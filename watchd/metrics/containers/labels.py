"""Labels of a container's series, rendered once: they are most of what a scrape sends."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from watchd.model import Container
from watchd.model.names.patterns import Name, includes

ContainerId = Literal["cgroup", "docker"]

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_]")


class ContainerLabels:
    """Make the label set of each container.

    `container_id`: `id` is the container's cgroup path, or always "/docker/<64 hex>". `patterns`: the Docker labels
    that become `container_label_*`.
    """

    def __init__(self, container_id: ContainerId, patterns: Sequence[str]) -> None:
        self._container_id = container_id
        self._patterns = patterns

    def of(self, container: Container, cgroup_path: str) -> dict[str, str]:
        """Return the label set: id, image, name and the allowed labels.

        Of two Docker labels whose names become the same, the one that sorts first counts.
        """
        labels = {
            "id": cgroup_path if self._container_id == "cgroup" else f"/docker/{container.id}",
            "image": container.image,
            "name": container.name.removeprefix("/"),
        }
        for key, value in sorted(container.labels.items()):
            if includes(self._patterns, Name((key,))):
                labels.setdefault("container_label_" + _NOT_IN_A_NAME.sub("_", key), value)
        return labels


class RenderedLabels:
    """Label text of each container, kept until the container changes.

    A stopped container keeps its cgroup path, so that its series keep their identity. One that never ran has the path
    that it would have beside the others with its parent, or by the engine's driver.
    """

    def __init__(self, labels: ContainerLabels) -> None:
        self._labels = labels
        self._texts: dict[str, tuple[Container, str, str]] = {}  # by ID: container, path, text
        self._paths: dict[str, str] = {}  # by ID
        self._around: dict[str, tuple[str, str]] = {}  # by cgroup parent: path before and after the ID

    def of(self, container: Container, cgroup_path: str | None, driver: str = "") -> str:
        """Return the label text of a container. `cgroup_path`: None where it has none now; `driver`: the engine's."""
        path = self._path(container, cgroup_path, driver)
        made = self._texts.get(container.id)
        if made is None or made[0] is not container or made[1] != path:
            made = self._texts[container.id] = (container, path, render(self._labels.of(container, path)))
        return made[2]

    def forget_all_but(self, containers: Iterable[Container]) -> None:
        """Forget containers that were removed, and parents that no container has any more."""
        parents = {container.id: container.cgroup_parent for container in containers}
        for container_id in self._texts.keys() - parents.keys():
            del self._texts[container_id]
            self._paths.pop(container_id, None)
        for parent in self._around.keys() - parents.values():
            del self._around[parent]

    def _path(self, container: Container, cgroup_path: str | None, driver: str) -> str:
        if cgroup_path is None:
            parent = container.cgroup_parent
            before, after = self._around.get(parent) or _around(parent, driver)
            return self._paths.get(container.id) or f"{before}{container.id}{after}"
        if self._paths.get(container.id) != cgroup_path:
            self._paths[container.id] = cgroup_path
            before, found, after = cgroup_path.partition(container.id)
            if found:
                self._around[container.cgroup_parent] = before, after
        return cgroup_path


def _around(parent: str, driver: str) -> tuple[str, str]:
    """Return the cgroup path of Docker's containers before and after the ID, by their cgroup parent.

    A --cgroup-parent of the engine itself is not in its API.
    """
    if driver != "systemd":
        return f"/{parent.strip('/') or 'docker'}/", ""
    parts = (parent or "system.slice").removesuffix(".slice").split("-")
    slices = ["-".join(parts[:end]) + ".slice" for end in range(1, len(parts) + 1)]  # a-b.slice is below a.slice
    return f"/{'/'.join(slices)}/docker-", ".scope"


def render(labels: Mapping[str, str]) -> str:
    """Render the text between the braces."""
    return ",".join(f'{name}="{escape(value)}"' for name, value in labels.items())


def escape(value: str) -> str:
    """Escape a label value for the text format; what is not UTF-8 becomes a question mark."""
    return value.translate(_ESCAPES).encode(errors="replace").decode()
