"""The objects of an engine at one moment, and the disks of its data."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from watchd.model.engine import NOT_IN_CONTAINER, DiskUsage, EngineInfo, Own, Service
from watchd.model.objects.build_cache import CacheRecord
from watchd.model.objects.container import Container
from watchd.model.objects.image import Image
from watchd.model.objects.kinds import Kind
from watchd.model.objects.logs import Logs
from watchd.model.objects.network import Network
from watchd.model.objects.subject import Subject
from watchd.model.objects.volume import Volume

Listing = Kind | Literal["service"]  # the lists of one look


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system with data of the engine, from statvfs. Bytes and inode counts.

    Kinds of objects on one file system have the same disk: `path` tells disks apart.
    """

    path: str  # of the engine's data on it, as the engine names it
    used: int
    available: int  # to users other than root
    inodes_used: int = 0
    inodes: int = 0  # 0: created as needed (btrfs)
    seen_at: str = ""  # a path here that is on it, for statvfs; "": `path`

    @property
    def used_share(self) -> float:
        """Use% of `df`, from 0 to 1."""
        return self.used / max(1, self.used + self.available)

    @property
    def inodes_used_share(self) -> float:
        """IUse% of `df -i`, from 0 to 1."""
        return self.inodes_used / self.inodes if self.inodes else 0.0

    def freed(self, size: int) -> "Disk":
        """Return the disk after freeing bytes, and inodes in proportion."""
        inodes = round(self.inodes_used * min(1.0, size / max(1, self.used)))
        return replace(
            self,
            used=max(0, self.used - size),
            available=self.available + min(size, self.used),
            inodes_used=self.inodes_used - inodes,
        )


def cache_uses(records: Iterable[CacheRecord]) -> dict[str, float]:
    """Return when builds last used files from images, by the references that records of the build cache name."""
    uses: dict[str, float] = {}
    for record in records:
        last = math.inf if record.in_use else record.last_used_at or record.created_at or 0.0
        for source in record.sources:
            uses[source] = max(last, uses.get(source, 0.0))
    return uses


def with_logs(containers: Iterable[Container], sizes: Mapping[str, int]) -> tuple[Container, ...]:
    """Return containers with the sizes of their logs, as far as they are known."""
    return tuple(replace(each, log_size=sizes[each.id]) if each.id in sizes else each for each in containers)


@dataclass(frozen=True)  # without slots, for what is worked out once when it is asked for
class EngineView:
    """The objects of an engine, from its lists or from the mirror. Immutable: a change makes another view.

    `failures` maps each list that failed, is partial, or was not requested yet to its error: nothing may be removed of
    that kind or of a kind that depends on it. `kinds` are those that were requested.
    """

    engine: EngineInfo
    taken_at: float
    own: Own = NOT_IN_CONTAINER
    containers: tuple[Container, ...] = ()
    images: tuple[Image, ...] = ()
    networks: tuple[Network, ...] = ()
    volumes: tuple[Volume, ...] = ()
    build_cache: tuple[CacheRecord, ...] = ()
    services: tuple[Service, ...] = ()
    kinds: frozenset[Kind] = frozenset(("container", "image"))
    failures: Mapping[Listing, str] = field(default_factory=dict)
    disks: Mapping[Kind, Disk] = field(default_factory=dict)  # by kind, as far as they can be measured
    unmeasured: Mapping[Kind, str] = field(default_factory=dict)  # why other kinds' disks cannot, and what would help
    log_disk: Disk | None = None  # the one that container logs are on; None: not known
    sizes: DiskUsage | None = None  # as measured last; None: never
    logs: Logs = field(default_factory=Logs)  # as measured last
    cache_uses: Mapping[str, float] = field(default_factory=dict)  # by reference: when a build last used files from it
    version: int = 0  # counts the changes of a mirror

    def subjects(self) -> Iterator[Subject]:
        """Yield every object, by kind."""
        yield from self.containers
        yield from self.images
        yield from self.networks
        yield from self.volumes
        if "build_cache" in self.kinds:  # else it was listed for the layers that it shares with images
            yield from self.build_cache

    @cached_property
    def container_by_id(self) -> Mapping[str, Container]:
        """The containers by ID."""
        return {container.id: container for container in self.containers}

    def sized(self) -> "EngineView":
        """Return the view with the sizes that were measured last in its objects, and the build cache of then."""
        sizes = self.sizes
        if sizes is None:
            return replace(self, containers=with_logs(self.containers, self.logs.sizes))
        unique = sizes.images.unique if sizes.images else {}
        return replace(
            self,
            containers=tuple(
                replace(each, size_rw=sizes.containers[each.id].writable_layer) if each.id in sizes.containers else each
                for each in with_logs(self.containers, self.logs.sizes)
            ),
            images=tuple(
                replace(
                    each,
                    shared_size=max(0, each.size - unique[each.id]) if each.id in unique else each.shared_size,
                    history=sizes.histories.get(each.id),
                    parts=sizes.parts.get(each.id, ()),
                )
                for each in self.images
            ),
            volumes=tuple(replace(each, size=sizes.volumes.get(each.name)) for each in self.volumes),
            build_cache=sizes.cache or (),
            cache_uses=cache_uses(sizes.cache or ()),
            kinds=self.kinds if sizes.cache is None else self.kinds | {"build_cache"},
            failures={kind: why for kind, why in self.failures.items() if kind != "build_cache" or sizes.cache is None},
        )
