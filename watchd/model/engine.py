"""The engine: its properties, events, Swarm services, and the sizes that it reports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from watchd.model.objects.build_cache import CacheRecord
from watchd.model.objects.image import Layer
from watchd.model.objects.parts import Part

SwarmRole = Literal["none", "worker", "manager"]


@dataclass(frozen=True, slots=True)
class Service:
    """A Swarm service, from `GET /services`, which only managers answer."""

    id: str
    name: str
    images: tuple[str, ...] = ()  # references in its Spec and, for a rollback, in its PreviousSpec


@dataclass(frozen=True, slots=True)
class ContainerSize:
    """Size of a container in bytes."""

    writable_layer: int
    root_fs: int  # with its image


@dataclass(frozen=True, slots=True)
class ImageUsage:
    """Size of the images in bytes, from `GET /system/df`."""

    layers: int | None  # all layers, shared ones counted once; None: not reported
    unique: Mapping[str, int]  # bytes of an image that no other one shares, by image ID


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """Disk usage of the engine in bytes, from `GET /system/df`; what it does not report is left out."""

    containers: Mapping[str, ContainerSize]  # by ID
    volumes: Mapping[str, int] = field(default_factory=dict)  # by name
    cache: tuple[CacheRecord, ...] | None = None
    images: ImageUsage | None = None
    histories: Mapping[str, tuple[Layer, ...]] = field(default_factory=dict)  # of images, by ID
    parts: Mapping[str, tuple[Part, ...]] = field(default_factory=dict)  # of images, by ID

    @property
    def build_cache(self) -> int | None:
        """Bytes of the build cache that no image shares."""
        return None if self.cache is None else sum(record.size for record in self.cache if not record.shared)

    @property
    def layers(self) -> int | None:
        """Bytes of the layers of images."""
        return self.images.layers if self.images else None


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """Properties of the engine, from `GET /version` and `GET /info`."""

    id: str
    name: str  # of the host
    version: str
    api_version: str
    storage_driver: str
    store: Literal["graphdriver", "containerd"]  # of images; decides what an image's ID and size mean
    cgroup_version: str  # "1" or "2"
    cgroup_driver: str  # "cgroupfs", "systemd" or "none"
    root_dir: str  # DockerRootDir
    swarm: SwarmRole = "none"  # "none": Swarm is not active
    kernel_version: str = ""
    operating_system: str = ""
    container_cgroups: bool = True  # containers have their own cgroups; else the API reports no usage
    tells_oom: bool = True  # sends an event when the kernel kills a process for lack of memory
    honors_noprune: bool = True  # can remove one image alone; else its untagged parents go with it
    tells_networks: bool = True  # sends events of networks

    @property
    def is_known(self) -> bool:
        """Return whether the engine reported its ID: without one nothing is recorded for it."""
        return bool(self.id)


@dataclass(frozen=True, slots=True)
class Event:
    """One message of `GET /events`."""

    type: str  # container image volume network ...
    action: str  # without its payload: "exec_create", "health_status"
    id: str  # Actor.ID; of an image pull it is the reference
    time_nano: int  # nanoseconds since the epoch
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def time(self) -> float:
        """Seconds since the epoch."""
        return self.time_nano / 1e9


@dataclass(frozen=True, slots=True)
class Own:
    """The container that watchd runs in, if any."""

    in_container: bool
    container_id: str | None = None  # 64 hex digits; None: in no container, or not identified


NOT_IN_CONTAINER = Own(in_container=False)

UNKNOWN_ENGINE = EngineInfo(
    id="",
    name="",
    version="",
    api_version="",
    storage_driver="",
    store="graphdriver",
    cgroup_version="",
    cgroup_driver="",
    root_dir="",
)
"""An engine that was not asked yet, or refuses `GET /info`."""
