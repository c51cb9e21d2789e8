"""The labels of a container's series, rendered once: they are most of what a scrape sends."""

import fnmatch
import re
from collections.abc import Container as Members
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


class RenderedLabels:
    """Keeps the label text of each container until the container changes.

    A stopped container has the cgroup path that it had, or would have beside the others with its parent, or by what the
    engine says: so its series do not change their identity when it starts or stops.
    """

    def __init__(self, labels: ContainerLabels) -> None:
        self._labels = labels
        self._texts: dict[str, tuple[Container, str, str]] = {}  # by ID: what the text was made of, and the text
        self._paths: dict[str, str] = {}  # by ID
        self._around: dict[str, tuple[str, str]] = {}  # by cgroup parent: what stands before and after the ID in paths

    def of(self, container: Container, cgroup_path: str | None, driver: str = "") -> str:
        """The label text of a container; `cgroup_path` is None where it has none now. `driver`: the engine's."""
        path = self._path(container, cgroup_path, driver)
        made = self._texts.get(container.id)
        if made is None or made[0] is not container or made[1] != path:
            made = self._texts[container.id] = (container, path, render(self._labels.of(container, path)))
        return made[2]

    def forget_all_but(self, container_ids: Members[str]) -> None:
        """Forget the containers that are gone."""
        for container_id in [known for known in self._texts if known not in container_ids]:
            del self._texts[container_id]
            self._paths.pop(container_id, None)

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
    """What stands before and after the ID in the cgroup path of a container of Docker's, by its cgroup parent.

    An engine that was given a --cgroup-parent of its own does not tell.
    """
    if driver != "systemd":
        return f"/{parent.strip('/') or 'docker'}/", ""
    parts = (parent or "system.slice").removesuffix(".slice").split("-")
    slices = ["-".join(parts[:end]) + ".slice" for end in range(1, len(parts) + 1)]  # a-b.slice is below a.slice
    return f"/{'/'.join(slices)}/docker-", ".scope"


def render(labels: Mapping[str, str]) -> str:
    """The text between the braces; empty for no labels."""
    return ",".join(f'{name}="{escape(value)}"' for name, value in labels.items())


def escape(value: str) -> str:
    """A label value as the text format wants it; what is not UTF-8 becomes a question mark."""
    return value.translate(_ESCAPES).encode(errors="replace").decode()
