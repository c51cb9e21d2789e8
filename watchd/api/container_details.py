"""`/api/v1/container`: what people look up about one container (docs/api.md). Environment variables are never shown."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from watchd.api.endpoints import errors_as_json
from watchd.engine.client import EngineClient
from watchd.engine.watch.mirror import Mirror
from watchd.errors import EngineRefused
from watchd.http.answers import as_json
from watchd.http.application import Query, Response, Routes
from watchd.model import COMPOSE_PROJECT, Container, EngineView, Image, Limits
from watchd.model.names.references import normalize, repository
from watchd.model.objects.details import ContainerDetails, Mount
from watchd.store import Store

EXITS_SINCE = 7 * 86400.0  # seconds
MOST_EXITS = 20
MOST_NEWER = 3  # images


class Details:
    """The endpoint. Each answer costs the engine one inspect; all else is known."""

    def __init__(self, client: EngineClient, mirror: Mirror, store: Store) -> None:
        self._client = client
        self._mirror = mirror
        self._store = store
        self.routes: Routes = {"/api/v1/container": errors_as_json(self._container)}

    def _container(self, query: Query) -> Response:
        container_id = query.get("id", "")
        view = self._mirror.view
        if container_id not in view.container_by_id:
            return as_json({"error": "no container has this ID"}, HTTPStatus.NOT_FOUND)
        try:
            details = self._client.container_details(container_id)
        except EngineRefused as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return as_json({"error": "no container has this ID"}, HTTPStatus.NOT_FOUND)
        exits = self._store.exits(
            view.engine.id, since=time.time() - EXITS_SINCE, container_id=container_id, most=MOST_EXITS
        )
        return as_json(
            {
                **_as_json(details, view),
                "exits": [
                    {"ended_at": each.ended, "started_at": each.started, "exit_code": each.exit_code} for each in exits
                ],
            }
        )


def _as_json(details: ContainerDetails, view: EngineView) -> dict[str, Any]:
    container = details.container
    return {
        "id": container.id,
        "name": container.name,
        "command": list(details.command),
        "working_directory": details.working_directory,
        "user": details.user,
        "image": _image_as_json(container, view),
        "ports": [asdict(each) for each in container.ports],
        "mounts": [_mount_as_json(each, view) for each in details.mounts],
        "network_mode": container.network_mode,
        "networks": [asdict(each) for each in container.endpoints],
        "limits": _limits_as_json(container.limits),
        "restart": {
            "policy": container.restart_policy,
            "max_retries": details.max_retries or None,
            "count": container.restart_count,
        },
        "health": {
            "status": container.health,
            "command": list(details.health_command),
            "interval": details.health_interval,
            "failing_streak": details.failing_streak,
            "checks": [asdict(each) for each in reversed(details.health_checks)],
        }
        if container.health
        else None,
        "log_driver": details.log_driver,
        "writable_layer_bytes": _writable_layer(container, view),
        "compose_project": container.labels.get(COMPOSE_PROJECT),
    }


def _image_as_json(container: Container, view: EngineView) -> dict[str, Any]:
    by_id = {image.id: image for image in view.images}
    image = by_id.get(container.image_id)
    return {
        "reference": container.image,
        "id": container.image_id,
        "references": list(image.references) if image else [],
        "created_at": image.created_at if image else None,
        "newer": [
            {"reference": reference, "id": each.id, "created_at": each.created_at}
            for reference, each in newer_images(container, view)
        ][:MOST_NEWER],
    }


def newer_images(container: Container, view: EngineView) -> Iterator[tuple[str, Image]]:
    """Yield local images that may replace a container's: what its tag names now, then later ones of its repository."""
    wanted = normalize(container.image)
    current = next((image for image in view.images if image.id == container.image_id), None)
    later: list[tuple[float, str, Image]] = []
    for image in view.images:
        if image.id == container.image_id:
            continue
        for tag in image.tags:
            full = normalize(tag)
            if full == wanted:
                yield tag, image
            elif (
                repository(full) == repository(wanted)
                and current is not None
                and (image.created_at or 0.0) > (current.created_at or 0.0)
            ):
                later.append((image.created_at or 0.0, tag, image))
    yield from ((tag, image) for _, tag, image in sorted(later, key=lambda each: -each[0]))


def _mount_as_json(mount: Mount, view: EngineView) -> dict[str, Any]:
    sizes: Mapping[str, int] = view.sizes.volumes if view.sizes else {}
    others = [each.name for each in view.containers if mount.name and mount.name in each.volumes]
    return {**asdict(mount), "bytes": sizes.get(mount.name), "mounted_in": sorted(others)}


def _limits_as_json(limits: Limits) -> dict[str, Any]:
    """Return the limits that are set; None: no limit."""
    return {
        "cpu_cores": limits.cpu_quota / limits.cpu_period if limits.cpu_quota > 0 and limits.cpu_period else None,
        "cpu_shares": limits.cpu_shares or None,
        "memory_bytes": limits.memory or None,
        "memory_reservation_bytes": limits.memory_reservation or None,
        "memory_and_swap_bytes": limits.memory_swap if limits.memory_swap > 0 else None,
        "processes": limits.pids if limits.pids > 0 else None,
    }


def _writable_layer(container: Container, view: EngineView) -> int | None:
    size = view.sizes.containers.get(container.id) if view.sizes else None
    return size.writable_layer if size else None
