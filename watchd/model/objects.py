"""Objects of a Docker host: containers, images, networks, volumes, build cache records."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from watchd.model.endpoints import Endpoint, PublishedPort
from watchd.model.logs import Log
from watchd.model.parts import Part

Kind = Literal["container", "image", "network", "volume", "build_cache"]  # in the order of removal


Key = tuple[Kind, str]  # unique key of an object: its kind and ID


ImageClass = Literal["untagged", "dangling", "digest_only", "tagged"]


VolumeClass = Literal["builder_state"]


COMPOSE_PROJECT = "com.docker.compose.project"


COMPOSE_SERVICE = "com.docker.compose.service"


SWARM_SERVICE = "com.docker.swarm.service.id"


SWARM_TASK = "com.docker.swarm.task.id"


ANONYMOUS_VOLUME = "com.docker.volume.anonymous"


# buildx makes one container for each node of a builder, and a volume for its cache.
_BUILDER, _STATE = "buildx_buildkit_", "_state"


_SOURCE = re.compile(r"^pulled from (\S+)|\bCOPY .*?--from=(\S+)")


_PREDEFINED_NETWORKS = frozenset(("bridge", "host", "none", "docker_gwbridge", "ingress"))


@dataclass(frozen=True, slots=True)
class Limits:
    """Configured limits of a container (HostConfig). Memory in bytes, CPU time in microseconds; 0: not set."""

    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_shares: int = 0
    memory: int = 0
    memory_swap: int = 0  # memory and swap; -1: no limit
    memory_reservation: int = 0
    pids: int = 0


@dataclass(frozen=True, slots=True)
class Container:
    """A container, from `GET /containers/{id}/json` (or from the list alone if `inspected` is false)."""

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
    cgroup_parent: str = ""  # as configured; "": the engine's default
    image_mounts: tuple[str, ...] = ()  # references of images mounted into it
    volumes: tuple[str, ...] = ()  # names of volumes mounted into it
    networks: tuple[str, ...] = ()  # names and IDs of its networks, attached now or at its start
    endpoints: tuple[Endpoint, ...] = ()  # by network; none of its own in the host's or another container's network
    ports: tuple[PublishedPort, ...] = ()  # published while it runs
    size_rw: int | None = None  # bytes of its writable layer; None: not requested
    log: Log | None = None  # its files; None: its logging driver keeps none that the engine names
    log_size: int | None = None  # bytes of its log; None: not measured
    inspected: bool = True  # false: listed, but the inspect failed

    @property
    def key(self) -> Key:
        """Unique key: kind and ID."""
        return (self.kind, self.id)

    @property
    def identity(self) -> str:
        """Key of its observations in the state."""
        return self.id

    @property
    def names(self) -> tuple[str, ...]:
        """All its names."""
        return (self.name,)

    @property
    def builder_state(self) -> str | None:
        """Name of the volume with its cache, if it is a builder of `docker buildx`."""
        return f"{self.name}{_STATE}" if self.name.startswith(_BUILDER) else None

    @property
    def is_running(self) -> bool:
        """Return whether it has a cgroup: a paused container still does."""
        return self.pid > 0


@dataclass(frozen=True, slots=True)
class FormerReference:
    """Reference that an image had, and until when: seconds since the epoch."""

    reference: str
    until: float


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of an image, from `GET /images/{id}/history`. Images on the same base have the same layers."""

    id: str  # of the layer and all below it
    size: int  # bytes, uncompressed
    created_at: int  # whole seconds since the epoch


@dataclass(frozen=True, slots=True)
class Image:
    """An image, from `GET /images/json?all=1`; `former` is from watchd's record."""

    kind: ClassVar[Kind] = "image"

    id: str  # "sha256:..."
    tags: tuple[str, ...] = ()  # "repository:tag", sorted; none: untagged
    digests: tuple[str, ...] = ()  # "repository@sha256:...", sorted
    parent_id: str | None = None  # of the classic builder; None: no parent, or unknown to the store
    created_at: float | None = None  # build time in its config; None: not given
    size: int = 0  # bytes, shared layers included
    shared_size: int | None = None  # bytes of layers that other images share; None: not reported
    history: tuple[Layer, ...] | None = None  # the lowest first; None: not requested
    labels: Mapping[str, str] = field(default_factory=dict)
    layers: tuple[str, ...] | None = None  # digests (16 digits each), the lowest first; None: listed, not inspected
    pulled: bool = False  # the engine itself states a pull as its origin (`Identity`, API 1.53 and later)
    former: tuple[FormerReference, ...] = ()  # of an image without a reference, the last one lost first; none: unknown
    parts: tuple[Part, ...] = ()  # by platform, and attestations; none: not requested, or the store does not tell
    origin_unknown: bool = False  # its digests prove no registry, and watchd's record has no pull of it

    @property
    def pullable(self) -> bool | None:
        """Return whether a registry has it, by its digests; None: unknown."""
        return None if self.digests and self.origin_unknown else bool(self.digests)

    @property
    def references(self) -> tuple[str, ...]:
        """Tags, then digest references."""
        return self.tags + self.digests

    @property
    def last_references(self) -> tuple[str, ...]:
        """The references, else the former ones."""
        return self.references or tuple(each.reference for each in self.former)

    @property
    def key(self) -> Key:
        """Unique key: kind and ID."""
        return (self.kind, self.id)

    @property
    def identity(self) -> str:
        """Key of its observations in the state."""
        return self.id

    @property
    def names(self) -> tuple[str, ...]:
        """All its names."""
        return self.references

    @property
    def name(self) -> str:
        """The first reference, or `<none>`."""
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
    is_configuration: bool = False  # config-only: holds the settings of other networks, nothing is attached to it
    is_internal: bool = False  # without a way out
    subnets: tuple[str, ...] = ()  # "172.18.0.0/16"

    @property
    def key(self) -> Key:
        """Unique key: kind and ID."""
        return (self.kind, self.id)

    @property
    def identity(self) -> str:
        """Key of its observations in the state."""
        return self.id

    @property
    def names(self) -> tuple[str, ...]:
        """All its names."""
        return (self.name,)

    @property
    def is_predefined(self) -> bool:
        """Return whether the engine created it and needs it."""
        return self.name in _PREDEFINED_NETWORKS


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume, from `GET /volumes`."""

    kind: ClassVar[Kind] = "volume"

    name: str
    driver: str = "local"
    created: str = ""  # as the engine formats it
    created_at: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    mountpoint: str = ""  # its path on the engine's host
    mounted: bool | None = None  # whether a file system is mounted there, on a volume with options; None: unknown
    size: int | None = None  # bytes; None: not requested, or unknown

    @property
    def id(self) -> str:
        """The name: volumes have no other ID."""
        return self.name

    @property
    def key(self) -> Key:
        """Unique key: kind and ID."""
        return (self.kind, self.id)

    @property
    def identity(self) -> str:
        """Key of its observations in the state: a volume recreated under the same name is a new one."""
        return f"{self.name} {self.created}"

    @property
    def names(self) -> tuple[str, ...]:
        """All its names."""
        return (self.name,)

    @property
    def builder(self) -> str | None:
        """Name of the container of `docker buildx` that has its cache here, whether or not it is there."""
        is_state = self.name.startswith(_BUILDER) and self.name.endswith(_STATE)
        return self.name.removesuffix(_STATE) if is_state else None

    @property
    def mounts_device(self) -> bool:
        """Return whether the engine mounts a device for it (NFS, a bound directory); its data is there."""
        return "device" in self.options

    @property
    def is_anonymous(self) -> bool:
        """Return whether the engine chose its name. Engines before 23.0 do not label such volumes."""
        unlabelled = not self.labels and not self.options and re.fullmatch(r"[0-9a-f]{64}", self.name) is not None
        return ANONYMOUS_VOLUME in self.labels or unlabelled


@dataclass(frozen=True, slots=True)
class CacheRecord:
    """A record of the BuildKit cache, from `GET /system/df?type=build-cache`."""

    kind: ClassVar[Kind] = "build_cache"

    id: str
    type: str = "regular"  # internal frontend source.local source.git.checkout exec.cachemount regular
    description: str = ""
    parents: tuple[str, ...] = ()  # IDs of records
    in_use: bool = False  # by a running build
    shared: bool = False  # with an image: removing it frees no layers
    size: int = 0  # bytes
    created_at: float | None = None
    last_used_at: float | None = None
    usage_count: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)  # the engine reports none

    @property
    def key(self) -> Key:
        """Unique key: kind and ID."""
        return (self.kind, self.id)

    @property
    def identity(self) -> str:
        """Key of its observations in the state."""
        return self.id

    @property
    def names(self) -> tuple[str, ...]:
        """All its names."""
        return (self.name,)

    @property
    def name(self) -> str:
        """The description of its build step, else its ID."""
        return self.description or self.id

    @property
    def sources(self) -> tuple[str, ...]:
        """References of images that its description names as the source of its files, as BuildKit writes them.

        What follows `COPY --from=` may also be the name of a stage.
        """
        return tuple(match[1] or match[2] for match in _SOURCE.finditer(self.description))


Subject = Container | Image | Network | Volume | CacheRecord
