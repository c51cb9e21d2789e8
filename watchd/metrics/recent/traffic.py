"""Traffic of containers on each of their networks, between two looks."""

import ipaddress
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from watchd.kernel.files import Gone, ProcessFiles
from watchd.kernel.parse.formats import Malformed
from watchd.kernel.parse.routes import interfaces_of, routes
from watchd.metrics.recent.recent import Recent
from watchd.model import Container
from watchd.model.usage import Interface

SHORTEST = 1.0  # seconds between two looks: rates of closer ones would be noise

Flow = tuple[float, float]
"""Bytes received and sent per second."""


@dataclass(slots=True)
class _Look:
    """Counters of a container's networks at one moment, and the rates up to it."""

    run: object
    at: float
    counters: Mapping[str, tuple[int, int]]
    flows: Mapping[str, Flow]


class Traffic:
    """Split what containers send and receive by network. Safe to use from several threads.

    `procfs` returns where the engine's processes are shown; None: they are not here. Then, and where its routes do not
    tell, a container on several networks has no rates.
    """

    def __init__(self, recent: Recent, procfs: Callable[[], Path | None]) -> None:
        self._recent = recent
        self._procfs = procfs
        self._lock = threading.Lock()
        self._looks: dict[str, _Look] = {}
        self._interfaces: dict[tuple[object, tuple[str, ...]], Mapping[str, str]] = {}

    def flows(self, containers: Iterable[Container]) -> dict[str, Mapping[str, Flow]]:
        """Return the rates of each running container by the names of its networks, as far as they are known."""
        looks: dict[str, _Look] = {}
        interfaces: dict[tuple[object, tuple[str, ...]], Mapping[str, str]] = {}
        with self._lock:
            for container in containers:
                seen = self._recent.interfaces(container.id)
                if not container.endpoints or seen is None:
                    continue
                at, counted = seen
                run = (container.id, container.pid, container.started_at)
                key = run, tuple(each.network for each in container.endpoints)
                interfaces[key] = self._interfaces.get(key) or self._networks_of(container, counted)
                before = self._looks.get(container.id)
                if before is not None and before.run == run and at - before.at < SHORTEST:
                    looks[container.id] = before
                else:
                    earlier = before if before is not None and before.run == run else None
                    looks[container.id] = _look(run, at, _counters(counted, interfaces[key]), earlier)
            self._looks, self._interfaces = looks, interfaces
            return {container_id: look.flows for container_id, look in looks.items()}

    def _networks_of(self, container: Container, counted: Iterable[Interface]) -> Mapping[str, str]:
        """Return which interface is on which network."""
        if len(container.endpoints) == 1:
            return {each.interface: container.endpoints[0].network for each in counted if not each.is_stacked}
        procfs = self._procfs()
        if procfs is None:
            return {}
        addresses = {each.network: each.ipv4 for each in container.endpoints if _is_address(each.ipv4)}
        with suppress(Gone, Malformed, OSError):
            process = ProcessFiles(procfs / str(container.pid))
            try:
                return dict(interfaces_of(routes(process.read("net/route") or b""), addresses))
            finally:
                process.close()
        return {}


def _is_address(text: str) -> bool:
    with suppress(ValueError):
        return bool(ipaddress.IPv4Address(text))
    return False


def _counters(counted: Iterable[Interface], networks: Mapping[str, str]) -> dict[str, tuple[int, int]]:
    sums: dict[str, tuple[int, int]] = {}
    for each in counted:
        network = networks.get(each.interface)
        if network is not None:
            received, sent = sums.get(network, (0, 0))
            sums[network] = received + each.received_bytes, sent + each.sent_bytes
    return sums


def _look(run: object, at: float, counters: Mapping[str, tuple[int, int]], before: _Look | None) -> _Look:
    if before is None:
        return _Look(run, at, counters, {})
    seconds = at - before.at
    flows = {
        network: ((received - earlier[0]) / seconds, (sent - earlier[1]) / seconds)
        for network, (received, sent) in counters.items()
        if (earlier := before.counters.get(network)) and received >= earlier[0] and sent >= earlier[1] and seconds > 0
    }
    return _Look(run, at, counters, flows)
