"""What watchd knows of a Docker host: plain, immutable values that every other module speaks in.

Times are seconds since the epoch (UTC) as floats, sizes are bytes, durations are seconds. Names are the Engine API's.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

Kind = Literal["container", "image", "network", "volume", "build_cache"]  # in the order of removal
Listing = Kind | Literal["service"]  # what a look at the engine lists
SwarmRole = Literal["none", "worker", "manager"]
Key = tuple[Kind, str]  # what tells an object from every other one: its kind and ID
ImageClass = Literal["untagged", "dangling", "digest_only", "tagged"]

COMPOSE_PROJECT = "com.docker.compose.project"
COMPOSE_SERVICE = "com.docker.compose.service"
SWARM_SERVICE = "com.docker.swarm.service.id"
SWARM_TASK = "com.docker.swarm.task.id"
ANONYMOUS_VOLUME = "com.docker.volume.anonymous"

_PREDEFINED_NETWORKS = frozenset(("bridge", "host", "none", "docker_gwbridge", "ingress"))


@dataclass(frozen=True, slots=True)
class Limits:
    """What a container may use, as asked for (HostConfig). Bytes of memory, microseconds of CPU time; 0: not set."""

    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_shares: int = 0
    memory: int = 0
    memory_swap: int = 0  # memory and swap together; -1: no limit
    memory_reservation: int = 0
    pids: int = 0


@dataclass(frozen=True, slots=True)
class Container:
    """A container, from `GET /containers/{id}/json` (or, where `inspected` is false, from the list alone)."""

    kind: ClassVar[Kind] = "container"

    id: str  # 64 hex digits
    name: str  # without the leading slash
    image: str  # the reference it was created from (Config.Image)
    image_id: str  # "sha256:..." as the engine names the image
    status: str  # created running paused restarting removing exited dead
    created_at: float | None
    started_at: float | None = None  # None: never started
    finished_at: float | None = None  # None: never ended
    exit_code: int | None = None
    oom_killed: bool = False
    health: str | None = None  # starting healthy unhealthy; None: no health check
    restart_count: int = 0
    restart_policy: str = "no"  # no always unless-stopped on-failure
    labels: Mapping[str, str] = field(default_factory=dict)
    pid: int = 0  # of its first process, in the engine's PID namespace; 0: not running
    network_mode: str = "default"  # "host", "none", "container:<id>", "default" or a network's name
    limits: Limits = Limits()
    cgroup_parent: str = ""  # as it was asked for; "": the engine's own
    image_mounts: tuple[str, ...] = ()  # references of images mounted into it
    volumes: tuple[str, ...] = ()  # names of volumes mounted into it
    networks: tuple[str, ...] = ()  # names and IDs of networks it is attached to, or will be when it starts
    size_rw: int | None = None  # bytes of its writable layer; None: not asked for
    inspected: bool = True  # false: the engine listed it but could not describe it

    @property
    def key(self) -> Key:
        """What tells it from every other object."""
        return (self.kind, self.id)

    @property
    def identity(self) -> str:
        """What watchd observes it by."""
        return self.id

    @property
    def names(self) -> tuple[str, ...]:
        """Every name it has."""
        return (self.name,)

    @property
    def is_running(self) -> bool:
        """Whether it has a cgroup: a paused container still does."""
        return self.pid > 0


@dataclass(frozen=True, slots=True)
class Image:
    """An image, from `GET /images/json?all=1`."""

    kind: ClassVar[Kind] = "image"

    id: str  # "sha256:..."
    tags: tuple[str, ...] = ()  # "repository:tag", sorted; none: untagged
    digests: tuple[str, ...] = ()  # "repository@sha256:...", sorted
    parent_id: str | None = None  # the classic builder's parent; None: none, or the store knows none
    created_at: float | None = None  # when it was built, as its config says; None: it does not say
    size: int = 0  # bytes, shared layers included
    shared_size: int | None = None  # bytes of layers that other images have too; None: not told
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def references(self) -> tuple[str, ...]:
        """Every name it can be asked for by: tags, then digest references."""
        return self.tags + self.digests

    @property
    def key(self) -> Key:
        """What tells it from every other object."""
        return (self.kind, self.id)

    @property
    def identity(self) -> str:
        """What watchd observes it by."""
        return self.id

    @property
    def names(self) -> tuple[str, ...]:
        """Every name it has."""
        return self.references

    @property
    def name(self) -> str:
        """The first of its references, `<none>` without any."""
        return (self.tags or self.digests or ("<none>",))[0]


@dataclass(frozen=True, slots=True)
class Network:
    """A network, from `GET /networks`."""

    kind: ClassVar[Kind] = "network"

    id: str
    name: str
    driver: str = ""
    scope: str = "local"  # local or swarm
    created_at: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    is_configuration: bool = False  # of other networks (config-only): nothing is ever attached to it

    @property
    def key(self) -> Key:
        """What tells it from every other object."""
        return (self.kind, self.id)

    @property
    def identity(self) -> str:
        """What watchd observes it by."""
        return self.id

    @property
    def names(self) -> tuple[str, ...]:
        """Every name it has."""
        return (self.name,)

    @property
    def is_predefined(self) -> bool:
        """Whether the engine made it and needs it."""
        return self.name in _PREDEFINED_NETWORKS


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume, from `GET /volumes`."""

    kind: ClassVar[Kind] = "volume"

    name: str
    driver: str = "local"
    created: str = ""  # as the engine writes it
    created_at: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    size: int | None = None  # bytes; None: not asked for, or not known

    @property
    def id(self) -> str:
        """Its name: volumes have no other ID."""
        return self.name

    @property
    def key(self) -> Key:
        """What tells it from every other object."""
        return (self.kind, self.id)

    @property
    def identity(self) -> str:
        """What watchd observes it by: made again under its name, a volume is another one."""
        return f"{self.name} {self.created}"

    @property
    def names(self) -> tuple[str, ...]:
        """Every name it has."""
        return (self.name,)

    @property
    def is_anonymous(self) -> bool:
        """Whether the engine named it. Engines before 23.0 do not label such volumes."""
        unlabelled = not self.labels and not self.options and re.fullmatch(r"[0-9a-f]{64}", self.name) is not None
        return ANONYMOUS_VOLUME in self.labels or unlabelled


@dataclass(frozen=True, slots=True)
class CacheRecord:
    """A record of BuildKit's cache, from `GET /system/df?type=build-cache`."""

    kind: ClassVar[Kind] = "build_cache"

    id: str
    type: str = "regular"  # internal frontend source.local source.git.checkout exec.cachemount regular
    description: str = ""
    parents: tuple[str, ...] = ()  # IDs of the records that it was made from
    in_use: bool = False  # by a build under way
    shared: bool = False  # its layers are an image's, too: they stay when it goes
    size: int = 0  # bytes
    created_at: float | None = None
    last_used_at: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)  # the engine tells none

    @property
    def key(self) -> Key:
        """What tells it from every other object."""
        return (self.kind, self.id)

    @property
    def identity(self) -> str:
        """What watchd observes it by."""
        return self.id

    @property
    def names(self) -> tuple[str, ...]:
        """Every name it has."""
        return (self.name,)

    @property
    def name(self) -> str:
        """The step of the build that it holds, as BuildKit describes it; its ID where it does not."""
        return self.description or self.id


Subject = Container | Image | Network | Volume | CacheRecord


@dataclass(frozen=True, slots=True)
class Service:
    """A Swarm service, from `GET /services`, which managers alone answer."""

    id: str
    name: str
    images: tuple[str, ...] = ()  # references in its Spec and its PreviousSpec, to which a rollback returns


@dataclass(frozen=True, slots=True)
class ContainerSize:
    """What a container takes, in bytes."""

    writable_layer: int
    root_fs: int  # with the image it was made from


@dataclass(frozen=True, slots=True)
class ImageUsage:
    """What images take, in bytes, from `GET /system/df`."""

    layers: int | None  # of all layers, those that several images have counted once; None: not told
    unique: Mapping[str, int]  # by image ID: what no other image has


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """What things take of the engine's disk in bytes, from `GET /system/df`; what it does not tell is left out."""

    containers: Mapping[str, ContainerSize]  # by ID
    volumes: Mapping[str, int] = field(default_factory=dict)  # by name
    build_cache: int | None = None
    layers: int | None = None  # of images


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """The engine itself, from `GET /version` and `GET /info`."""

    id: str
    name: str  # the host's name as the engine knows it
    version: str
    api_version: str
    storage_driver: str
    store: Literal["graphdriver", "containerd"]  # where images live: differs in what an image's ID and size mean
    cgroup_version: str  # "1" or "2"
    cgroup_driver: str  # "cgroupfs", "systemd" or "none"
    root_dir: str  # DockerRootDir
    swarm: SwarmRole = "none"  # "none" where Swarm is not active
    kernel_version: str = ""
    operating_system: str = ""
    container_cgroups: bool = True  # whether containers have cgroups of their own; else the API tells no usage
    tells_oom: bool = True  # whether it has events of processes that were killed for want of memory
    honors_noprune: bool = True  # whether it removes one image alone; else its untagged parents go along


@dataclass(frozen=True, slots=True)
class Event:
    """One message of `GET /events`."""

    type: str  # container image volume network ...
    action: str  # without the payload that some carry: "exec_create", "health_status"
    id: str  # Actor.ID; of an image pull it is the reference
    time_nano: int  # nanoseconds since the epoch
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def time(self) -> float:
        """Seconds since the epoch."""
        return self.time_nano / 1e9


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of one run of a container, and what it had used by then. None: not known."""

    container_id: str
    name: str
    image: str
    project: str  # of Compose; "": none
    service: str
    started: float | None
    ended: float
    exit_code: int | None
    cpu: float | None  # seconds
    memory_peak: int | None  # bytes


@dataclass(frozen=True, slots=True)
class Own:
    """Whether watchd runs in a container, and in which."""

    in_container: bool
    container_id: str | None = None  # 64 hex digits; None: it is in none, or cannot tell


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system that the engine keeps things on, from statvfs. Bytes, and numbers of inodes."""

    path: str
    used: int
    available: int  # to those who are not root
    inodes_used: int = 0
    inodes: int = 0  # 0: it makes them as it needs them

    @property
    def used_share(self) -> float:
        """What `df` shows as Use%, from 0 to 1."""
        return self.used / max(1, self.used + self.available)

    @property
    def inodes_used_share(self) -> float:
        """What `df -i` shows as IUse%, from 0 to 1."""
        return self.inodes_used / self.inodes if self.inodes else 0.0

    def freed(self, size: int) -> "Disk":
        """Return what it would be with so many bytes less on it, and inodes in proportion."""
        inodes = round(self.inodes_used * min(1.0, size / max(1, self.used)))
        return replace(
            self,
            used=max(0, self.used - size),
            available=self.available + min(size, self.used),
            inodes_used=self.inodes_used - inodes,
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look at the engine.

    `failures` maps each listing that failed or was partial to the reason: nothing of that kind, nor of one that rests
    on it, may be removed. `kinds` are those that were asked for at all.
    """

    engine: EngineInfo
    taken_at: float
    own: Own = Own(in_container=False)
    containers: tuple[Container, ...] = ()
    images: tuple[Image, ...] = ()
    networks: tuple[Network, ...] = ()
    volumes: tuple[Volume, ...] = ()
    build_cache: tuple[CacheRecord, ...] = ()
    services: tuple[Service, ...] = ()
    kinds: frozenset[Kind] = frozenset(("container", "image"))
    failures: Mapping[Listing, str] = field(default_factory=dict)
    disks: Mapping[Kind, Disk] = field(default_factory=dict)  # where each kind is kept, as far as it can be measured

    def subjects(self) -> Iterator[Subject]:
        """Yield every object, in the order of the kinds."""
        yield from self.containers
        yield from self.images
        yield from self.networks
        yield from self.volumes
        yield from self.build_cache


@dataclass(frozen=True, slots=True)
class Observation:
    """What watchd itself saw of one object and the engine cannot tell. Times are seconds since the epoch."""

    first_seen: float
    arrived_at: float  # images: pulled, loaded, imported or tagged since first seen moves it
    last_used: float | None = None  # the last time a container was seen using it
    dangling_since: float | None = None  # images: since it was first seen without a tag


Observations = Mapping[Key, Observation]  # by kind and what `identity` says
