"""One look at the whole engine, for planning."""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TypeVar, get_args

from watchd.engine.client import EngineClient
from watchd.engine.disk import measure
from watchd.errors import EngineError
from watchd.model import Container, Kind, Listing, Own, Snapshot, Volume

logger = logging.getLogger(__name__)
T = TypeVar("T")

ALL: frozenset[Kind] = frozenset(get_args(Kind))


def take(client: EngineClient, own: Own, policies_for: Collection[Kind] = ALL, *, quick: bool = False) -> Snapshot:
    """Return what the engine holds. A listing that fails is told in `failures` and ends nothing.

    What is dear to ask for is only asked for where there are policies for it: the build cache, the sizes of volumes.
    They, and the writable layers of containers, are measured by walking them, which large hosts take long for: where
    that fails the sizes stay unknown, as they do in a `quick` look. Raise `EngineError` when the engine does not even
    say who it is.
    """
    engine = client.info()
    failures: dict[Listing, str] = {}

    def listing(kind: Listing, list_: Callable[[], Sequence[T]]) -> tuple[T, ...]:
        try:
            return tuple(list_())
        except EngineError as error:
            failures[kind] = str(error)
            return ()

    # What containers use comes first: what arrives with its container in between is then missing, not there and unused.
    images = listing("image", client.images)
    networks = listing("network", client.networks)
    volumes = listing("volume", client.volumes)
    services = listing("service", client.services) if engine.swarm == "manager" else ()
    containers = listing("container", client.containers)
    cache = listing("build_cache", client.build_cache) if "build_cache" in policies_for else ()
    if not quick and "container" not in failures:
        containers = _with_layers(client, containers)
    if not quick and "volume" in policies_for and "volume" not in failures:
        volumes = _with_sizes(client, volumes)
    return Snapshot(
        engine=engine,
        taken_at=time.time(),  # at the end: lists may take minutes, in which the daemon's clocks have gone on
        own=own,
        containers=containers,
        images=images,
        networks=networks,
        volumes=volumes,
        build_cache=cache,
        services=services,
        kinds=ALL if "build_cache" in policies_for else ALL - {"build_cache"},
        failures=failures,
        disks=measure(engine, containers, images, own),
    )


def _with_layers(client: EngineClient, containers: tuple[Container, ...]) -> tuple[Container, ...]:
    try:
        sizes = client.container_sizes()
    except EngineError as error:
        logger.warning("the sizes of containers are not known: %s", error)
        return containers
    return tuple(
        replace(container, size_rw=sizes[container.id].writable_layer) if container.id in sizes else container
        for container in containers
    )


def _with_sizes(client: EngineClient, volumes: tuple[Volume, ...]) -> tuple[Volume, ...]:
    try:
        sizes = client.volume_sizes()
    except EngineError as error:
        logger.warning("the sizes of volumes are not known: %s", error)
        return volumes
    return tuple(replace(volume, size=sizes.get(volume.name)) for volume in volumes)
