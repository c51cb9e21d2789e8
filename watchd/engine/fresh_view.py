"""One look at the engine, for planning."""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TypeVar, get_args

import requests

from watchd.engine.client import EngineClient
from watchd.engine.data import logs
from watchd.engine.data.mounts import with_mounts
from watchd.errors import EngineError, EngineRefused
from watchd.model import CacheRecord, Container, ContainerSize, EngineView, Image, Kind, Listing, Own, Volume
from watchd.model.view import cache_uses, with_logs

logger = logging.getLogger(__name__)
T = TypeVar("T")

ALL: frozenset[Kind] = frozenset(get_args(Kind))
_IDS_AT_ONCE = 50  # of containers, in the address of a request


def take(
    client: EngineClient,
    own: Own,
    policies_for: Collection[Kind] = ALL,
    *,
    quick: bool = False,
    shares_layers: bool = False,
) -> EngineView:
    """List the engine's objects. A list that fails is in `failures`, and the others go on.

    What is dear to ask for is only asked for where there are policies for it: the build cache, the sizes of volumes and
    of the writable layers of containers. They are measured by walking them, which large hosts take long for: where
    that fails the sizes stay unknown, as they do in a `quick` look. The build cache is listed for
    images, too, where the engine need not measure everything for it, and always with `shares_layers`: where images go
    for room, it may hold their layers. There images count as not listed while it is not known who holds their layers,
    unless a proxy forbids to ask. Raise `EngineError` when the engine does not even say who it is.
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
    for_images = "image" in policies_for and (shares_layers or (client.lists_types and not quick))
    cache, error = _build_cache(client) if for_images or "build_cache" in policies_for else ((), None)
    if error is not None and "build_cache" in policies_for:
        failures["build_cache"] = str(error)
    elif error is not None:
        logger.warning("cannot list the build cache, of which images may be the bases and have the layers: %s", error)
    if {"image", "build_cache"}.intersection(policies_for):
        images, no_layers = _with_histories(client, images)
        error = error or no_layers
    if shares_layers and error is not None and not _is_forbidden(error):
        failures.setdefault("image", f"it is not known who holds their layers: {error}")
    if not quick and "container" in policies_for and "container" not in failures:
        containers = _with_layers(client, containers, [each.id for each in containers])
    if not quick and "volume" in policies_for and "volume" not in failures:
        volumes = _with_sizes(client, volumes)
    measured_logs = logs.measure(containers, engine.root_dir, own)
    containers = with_logs(containers, measured_logs.sizes)
    measured = client.disks.measure(engine, containers, volumes, images, own)
    if "volume" in policies_for and measured.is_here:
        volumes = with_mounts(volumes)
    return EngineView(
        engine=engine,
        taken_at=time.time(),  # at the end: lists may take minutes, in which the daemon's clocks have gone on
        own=own,
        containers=containers,
        images=images,
        networks=networks,
        volumes=volumes,
        build_cache=tuple(cache),
        services=services,
        kinds=ALL if "build_cache" in policies_for else ALL - {"build_cache"},
        failures=failures,
        cache_uses=cache_uses(cache),
        disks=measured.disks,
        log_disk=measured.log_disk,
        logs=measured_logs,
        unmeasured=measured.unmeasured,
    )


def take_followed(
    client: EngineClient, followed: EngineView, *, measure: Sequence[str] = (), measure_volumes: bool = False
) -> EngineView:
    """List the volumes anew, and add them to a view that follows the engine's events, with the sizes of containers.

    To remove containers and volumes that is enough: each container is inspected before, and the engine refuses to
    remove one that runs, and a volume that a container has. With containerd's store a list of 1,000 containers takes
    the engine 2 s. `measure` are the IDs of containers. Raise `EngineError` when the volumes cannot be listed.
    """
    volumes = tuple(client.volumes())
    if measure_volumes:
        volumes = _with_sizes(client, volumes)
    containers = followed.containers
    if measure:
        containers = _with_layers(client, containers, measure)
    measured_logs = logs.measure(containers, followed.engine.root_dir, followed.own)
    containers = with_logs(containers, measured_logs.sizes)
    measured = client.disks.measure(followed.engine, containers, volumes, followed.images, followed.own)
    return replace(
        followed,
        taken_at=time.time(),
        containers=containers,
        logs=measured_logs,
        volumes=with_mounts(volumes) if measured.is_here else volumes,
        failures={kind: error for kind, error in followed.failures.items() if kind != "volume"},
        disks=measured.disks,
        log_disk=measured.log_disk,
        unmeasured=measured.unmeasured,
    )


def _with_histories(client: EngineClient, images: tuple[Image, ...]) -> tuple[tuple[Image, ...], EngineError | None]:
    try:
        histories = client.histories(image.id for image in images)
    except EngineError as error:
        logger.warning("cannot get the sizes of layers: %s", error)
        return images, error
    return tuple(replace(image, history=histories.get(image.id)) for image in images), None


def _build_cache(client: EngineClient) -> tuple[Sequence[CacheRecord], EngineError | None]:
    """List the build cache: it names images that builds used, and has layers of images."""
    try:
        return client.build_cache(), None
    except EngineError as error:
        return (), error


def _is_forbidden(error: EngineError) -> bool:
    """Return whether a proxy before the engine forbids a request."""
    return isinstance(error, EngineRefused) and error.status == requests.codes.forbidden


def _with_layers(client: EngineClient, containers: tuple[Container, ...], ids: Sequence[str]) -> tuple[Container, ...]:
    """Add the sizes of writable layers: of the containers with these IDs where they are few, else of all."""
    few = 2 * len(ids) < len(containers)
    sizes: dict[str, ContainerSize] = {}
    try:
        for first in range(0, len(ids), _IDS_AT_ONCE) if few else (0,):
            sizes |= client.container_sizes(ids[first : first + _IDS_AT_ONCE] if few else ())
    except EngineError as error:
        logger.warning("cannot get the sizes of containers: %s", error)
        return containers
    return tuple(
        replace(container, size_rw=sizes[container.id].writable_layer) if container.id in sizes else container
        for container in containers
    )


def _with_sizes(client: EngineClient, volumes: tuple[Volume, ...]) -> tuple[Volume, ...]:
    try:
        sizes = client.volume_sizes()
    except EngineError as error:
        logger.warning("cannot get the sizes of volumes: %s", error)
        return volumes
    return tuple(replace(volume, size=sizes.get(volume.name)) for volume in volumes)
