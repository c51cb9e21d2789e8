"""Containers, with their limits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from watchd.model.objects.buildx import BUILDER, STATE
from watchd.model.objects.endpoints import Endpoint, PublishedPort
from watchd.model.objects.kinds import Key, Kind
from watchd.model.objects.logs import Log

COMPOSE_PROJECT = "com.docker.compose.project"
COMPOSE_SERVICE = "com.docker.compose.service"
SWARM_SERVICE = "com.docker.swarm.service.id"
SWARM_TASK = "com.docker.swarm.task.id"


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
        return f"{self.name}{STATE}" if self.name.startswith(BUILDER) else None

    @property
    def is_running(self) -> bool:
        """Return whether it has a cgroup: a paused container still does."""
        return self.pid > 0
