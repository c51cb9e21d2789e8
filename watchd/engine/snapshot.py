"""One look at the whole engine, for planning."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from watchd.engine.client import EngineClient
from watchd.errors import EngineError
from watchd.model import Container, Kind, Own, Snapshot

logger = logging.getLogger(__name__)
T = TypeVar("T")


def take(client: EngineClient, own: Own) -> Snapshot:
    """Return what the engine holds. A listing that fails is told in `failures` and ends nothing.

    The writable layers of containers are measured, which large hosts take long for: where that fails the sizes stay
    unknown. Raise `EngineError` when the engine does not even say who it is.
    """
    engine = client.info()
    failures: dict[Kind, str] = {}

    def listing(kind: Kind, list_: Callable[[], list[T]]) -> tuple[T, ...]:
        try:
            return tuple(list_())
        except EngineError as error:
            failures[kind] = str(error)
            return ()

    # Images first: one that arrives with its container in between is then missing, instead of there and unused.
    images = listing("image", client.images)
    containers = listing("container", client.containers)
    if "container" not in failures:
        containers = _with_sizes(client, containers)
    # The time comes last: lists may take minutes, in which the daemon's clocks have gone on.
    return Snapshot(engine, time.time(), own, containers, images, failures)


def _with_sizes(client: EngineClient, containers: tuple[Container, ...]) -> tuple[Container, ...]:
    try:
        sizes = client.container_sizes()
    except EngineError as error:
        logger.warning("the sizes of containers are not known: %s", error)
        return containers
    return tuple(
        replace(container, size_rw=sizes[container.id].writable_layer) if container.id in sizes else container
        for container in containers
    )
