"""The overview of all containers and their last hour, for `watchd top`, the page and the API."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import psutil

from watchd.engine.watch.watcher import Watch
from watchd.metrics.containers.collector import ContainerCollector
from watchd.metrics.place import Place
from watchd.metrics.recent.growth import Growth
from watchd.metrics.recent.rates import UNKNOWN
from watchd.metrics.recent.recent import HOST, Recent, Use
from watchd.metrics.sources.source import Source
from watchd.model import COMPOSE_PROJECT, COMPOSE_SERVICE, Container, EngineView
from watchd.model.view import with_logs

FRESH_FOR = {"cgroup": 1.0, "api": 6.0}
"""Seconds for which readings are shown again, by source: those of the API cost the engine much."""

TAIL = 20  # points of all containers at once, if not said otherwise
TAILS = ("cpu_cores", "memory_bytes", "network_bytes_per_second")
_DIGITS = 4  # of cores and shares
_PATIENCE = 1.0  # seconds to wait for a reading of another thread
_UNKNOWN_USE = Use(UNKNOWN, None, None, None, None)


class Overview:
    """The overview as JSON values. Times are seconds since the epoch; None: not known, or none.

    Container IDs are not shortened.
    """

    def __init__(self, watch: Watch, source: Source, collector: ContainerCollector, place: Place) -> None:
        self._watch = watch
        self._source = source
        self._collector = collector
        self._place = place
        self._layer_growth, self._log_growth = Growth(), Growth()

    def tick(self) -> None:
        """Take note of the sizes of now."""
        view, now = self.view, time.monotonic()
        layers = {id_: size.writable_layer for id_, size in view.sizes.containers.items()} if view.sizes else {}
        self._layer_growth.take(layers, now)
        self._log_growth.take(view.logs.sizes, now)

    @property
    def view(self) -> EngineView:
        """The engine's objects."""
        return self._watch.mirror.view

    @property
    def at(self) -> float | None:
        """Time of the last readings, in seconds since the epoch."""
        return self._collector.recent.at

    def refresh(self) -> None:
        """Read the containers, unless there are fresh readings."""
        if time.monotonic() - self._collector.recent.taken_at > FRESH_FOR[self._source.name]:
            self._collector.update_recent(time.time(), wait=_PATIENCE)

    def engine(self) -> dict[str, Any]:
        """Return the engine's name and version, and whether it answers."""
        engine = self.view.engine
        return {
            "engine": {"name": engine.name, "version": engine.version} if engine.version else None,
            "engine_up": self._watch.ready,
        }

    def containers(self) -> dict[str, Any]:
        """Return every container in any state, freshly read."""
        self.refresh()
        recent, view = self._collector.recent, self.view
        tells_oom = view.engine.tells_oom
        host = recent.use(HOST) or _UNKNOWN_USE
        return {
            "at": recent.at,
            "source": self._source.name,
            **self.engine(),
            "host": {
                "cpus": psutil.cpu_count() if self._place.is_here() else None,
                "cpu_cores": _rounded(host.rates.cpu_cores),
                "memory_bytes": host.memory_limit_bytes,
                "memory_used_bytes": host.memory_bytes,
            },
            "containers": [
                {
                    **_row(each, recent, view.sizes.volumes if view.sizes else {}, tells_oom=tells_oom),
                    "writable_layer_bytes": _writable_layer(each, view),
                    "writable_layer_growth_bytes_per_hour": _rounded(self._layer_growth.per_hour(each.id)),
                    "log_growth_bytes_per_hour": _rounded(self._log_growth.per_hour(each.id)),
                }
                for each in with_logs(view.containers, view.logs.sizes)
            ],
        }

    def series(self, container_id: str) -> dict[str, Any] | None:
        """Return the last hour of a container, or of the host ("/"); None: there is no such container."""
        if container_id != HOST and container_id not in self.view.container_by_id:
            return None
        return {"id": container_id, **self._collector.recent.tails(container_id)}

    def tails(self, points: int = TAIL) -> dict[str, Any]:
        """Return the last points of `TAILS` of all containers that were read lately."""
        ids = [HOST, *(container.id for container in self.view.containers)]
        tails = {each: self._collector.recent.tails(each, TAILS, points) for each in ids}
        return {"containers": {each: tail for each, tail in tails.items() if tail["end"] is not None}}


def _row(container: Container, recent: Recent, volumes: Mapping[str, int], *, tells_oom: bool) -> Mapping[str, Any]:
    use = recent.use(container.id) or _UNKNOWN_USE
    return {
        "id": container.id,
        "name": container.name,
        "image": container.image,
        **state_as_json(container, tells_oom=tells_oom),
        "restarts": container.restart_count if container.inspected else None,
        "restart_policy": container.restart_policy if container.inspected else None,
        "created_at": container.created_at,
        "started_at": container.started_at,
        "finished_at": container.finished_at,
        "compose_project": container.labels.get(COMPOSE_PROJECT),
        "compose_service": container.labels.get(COMPOSE_SERVICE),
        "volumes": [{"name": name, "bytes": volumes.get(name)} for name in container.volumes],
        "log_bytes": container.log_size,
        "log_limit_bytes": container.log.limit if container.log else None,
        "memory_bytes": use.memory_bytes,
        "memory_limit_bytes": use.memory_limit_bytes,
        "processes": use.processes,
        "cpu_limit_cores": use.cpu_limit_cores,
        "processes_limit": container.limits.pids if container.limits.pids > 0 else None,
        "networks": [each.network for each in container.endpoints],
        "ports": ports_as_json(container),
        **{name: _rounded(value) for name, value in asdict(use.rates).items()},
    }


def state_as_json(container: Container, *, tells_oom: bool) -> dict[str, Any]:
    """Return what a container's state is shown by."""
    return {
        "state": container.status,
        "health": container.health,
        "oom_killed": container.oom_killed if container.inspected and (tells_oom or container.oom_killed) else None,
        "exit_code": container.exit_code,
    }


def ports_as_json(container: Container) -> list[dict[str, Any]]:
    """Return the ports that the host passes on to a container."""
    return [{"port": each.port, "host_ip": each.host_ip, "host_port": each.host_port} for each in container.ports]


def _writable_layer(container: Container, view: EngineView) -> int | None:
    size = view.sizes.containers.get(container.id) if view.sizes else None
    return size.writable_layer if size else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
