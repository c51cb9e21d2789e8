"""All containers at a glance, with what they use now and did of late: what `watchd top` and the page show."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from watchd.engine.watch import Watch
from watchd.metrics.collector import Collector
from watchd.metrics.inventory import Inventory
from watchd.metrics.rates import UNKNOWN
from watchd.metrics.recent import HOST, Recent, Use
from watchd.metrics.source import Source
from watchd.model import COMPOSE_PROJECT, COMPOSE_SERVICE, Container

FRESH_FOR = {"cgroup": 1.0, "api": 6.0}
"""Seconds for which readings are shown to who looks, before new ones are made: the API's cost the engine much."""

TAIL = 20  # points of all containers at once
_DIGITS = 4  # of cores and shares
_NOTHING = Use(UNKNOWN, None, None, None)


class Overview:
    """Tells it in values of JSON. Times are seconds since the epoch; None: not known, or there is none.

    `cpus`: how many the engine's host has. `container` IDs are whole.
    """

    def __init__(
        self, inventory: Inventory, watch: Watch, source: Source, collector: Collector, cpus: int | None
    ) -> None:
        self._inventory = inventory
        self._watch = watch
        self._source = source
        self._collector = collector
        self._cpus = cpus

    def containers(self) -> dict[str, Any]:
        """Return every container in any state. Reads first, where nobody has just done so."""
        recent = self._collector.recent
        if time.monotonic() - recent.taken_at > FRESH_FOR[self._source.name]:
            self._collector.look(time.time())
        engine = self._inventory.engine
        host = recent.use(HOST) or _NOTHING
        return {
            "at": recent.at,
            "source": self._source.name,
            "engine": {"name": engine.name, "version": engine.version} if engine else None,
            "engine_up": self._watch.ready,
            "host": {
                "cpus": self._cpus,
                "cpu_cores": _rounded(host.rates.cpu_cores),
                "memory_bytes": host.memory_limit_bytes,
                "memory_used_bytes": host.memory_bytes,
            },
            "containers": [
                _row(each, recent, tells_oom=self._inventory.tells_oom) for each in self._inventory.current()
            ],
        }

    def series(self, container_id: str) -> dict[str, Any] | None:
        """Return the last hour of a container, or of the host ("/"); None: there is no such container."""
        if container_id != HOST and all(each.id != container_id for each in self._inventory.current()):
            return None
        return {"id": container_id, **self._collector.recent.tails(container_id)}

    def tails(self) -> dict[str, Any]:
        """Return the last minutes of CPU and memory of all containers that were read of late."""
        ids = [HOST, *(container.id for container in self._inventory.current())]
        tails = {each: self._collector.recent.tails(each, ("cpu_cores", "memory_bytes"), TAIL) for each in ids}
        return {"containers": {each: tail for each, tail in tails.items() if tail["end"] is not None}}


def _row(container: Container, recent: Recent, *, tells_oom: bool) -> Mapping[str, Any]:
    use = recent.use(container.id) or _NOTHING
    return {
        "id": container.id,
        "name": container.name,
        "image": container.image,
        "state": container.status,
        "health": container.health,
        "restarts": container.restart_count if container.inspected else None,
        "oom_killed": container.oom_killed if container.inspected and (tells_oom or container.oom_killed) else None,
        "exit_code": container.exit_code,
        "created_at": container.created_at,
        "started_at": container.started_at,
        "finished_at": container.finished_at,
        "compose_project": container.labels.get(COMPOSE_PROJECT),
        "compose_service": container.labels.get(COMPOSE_SERVICE),
        "memory_bytes": use.memory_bytes,
        "memory_limit_bytes": use.memory_limit_bytes,
        "processes": use.processes,
        **{name: _rounded(value) for name, value in asdict(use.rates).items()},
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
