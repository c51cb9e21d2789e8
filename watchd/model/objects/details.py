"""Details of a container that only an inspect has, for the page. Environment variables are left out."""

from dataclasses import dataclass

from watchd.model.objects.container import Container


@dataclass(frozen=True, slots=True)
class Mount:
    """A mount in a container. `name` is that of a volume; "": it has none."""

    type: str  # bind volume tmpfs image npipe
    name: str
    source: str  # path on the engine's host
    destination: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One run of a health check. `output` is what the engine keeps of it, its first 4 kB."""

    started_at: float | None
    ended_at: float | None
    exit_code: int
    output: str


@dataclass(frozen=True, slots=True)
class ContainerDetails:
    """A container and its settings. Durations in seconds."""

    container: Container
    command: tuple[str, ...]  # entry point and arguments
    working_directory: str
    user: str
    mounts: tuple[Mount, ...]
    max_retries: int  # of the restart policy on-failure; 0: no limit
    log_driver: str
    health_command: tuple[str, ...]
    health_interval: float | None
    failing_streak: int
    health_checks: tuple[HealthCheck, ...]  # the last five at most, the oldest first
