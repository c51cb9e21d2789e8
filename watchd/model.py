"""What watchd knows of a Docker host: plain, immutable values that every other module speaks in.

Times are seconds since the epoch (UTC) as floats, sizes are bytes, durations are seconds. Names are the Engine API's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["container", "image"]
ImageClass = Literal["untagged", "dangling", "digest_only", "tagged"]

COMPOSE_PROJECT = "com.docker.compose.project"
COMPOSE_SERVICE = "com.docker.compose.service"

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
    size_rw: int | None = None  # bytes of its writable layer; None: not asked for
    inspected: bool = True  # false: the engine listed it but could not describe it

    @property
    def is_running(self) -> bool:
        """Whether it has a cgroup: a paused container still does."""
        return self.pid > 0


@dataclass(frozen=True, slots=True)
class Image:
    """An image, from `GET /images/json?all=1`."""

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
    def name(self) -> str:
        """The first of its references, `<none>` without any."""
        return self.references[0] if self.references else "<none>"


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume, from `GET /volumes`."""

    name: str
    driver: str = "local"
    created_at: str = ""  # as the engine writes it: with the name it is the volume's identity
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_anonymous(self) -> bool:
        """Whether the engine named it. Engines before 23.0 do not label such volumes."""
        unlabelled = not self.labels and not self.options and re.fullmatch(r"[0-9a-f]{64}", self.name) is not None
        return "com.docker.volume.anonymous" in self.labels or unlabelled


@dataclass(frozen=True, slots=True)
class Network:
    """A network, from `GET /networks`."""

    id: str
    name: str
    driver: str = ""
    scope: str = "local"
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_predefined(self) -> bool:
        """Whether the engine made it and needs it."""
        return self.name in _PREDEFINED_NETWORKS


@dataclass(frozen=True, slots=True)
class ContainerSize:
    """What a container takes, in bytes."""

    writable_layer: int
    root_fs: int  # with the image it was made from


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """What things take of the engine's disk in bytes, from `GET /system/df`; what it does not tell is left out."""

    containers: Mapping[str, ContainerSize]  # by ID
    volumes: Mapping[str, int] = field(default_factory=dict)  # by name
    build_cache: int | None = None


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
    kernel_version: str = ""
    operating_system: str = ""


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
class Snapshot:
    """One look at the engine.

    `failures` maps each kind whose listing failed or was partial to the reason: nothing of that kind, nor of one that
    rests on it, may be removed.
    """

    engine: EngineInfo
    taken_at: float
    own: Own = Own(in_container=False)
    containers: tuple[Container, ...] = ()
    images: tuple[Image, ...] = ()
    failures: Mapping[Kind, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observation:
    """What watchd itself saw of one object and the engine cannot tell. Times are seconds since the epoch."""

    first_seen: float
    arrived_at: float  # images: pulled, loaded, imported or tagged since first seen moves it
    last_used: float | None = None  # the last time a container was seen using it
    dangling_since: float | None = None  # images: since it was first seen without a tag


Observations = Mapping[tuple[Kind, str], Observation]  # by kind and ID
