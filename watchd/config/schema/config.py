"""Schema of the configuration: one class per table of the file, with every key and its default.

A new key is a field here or in `policies`, with a type of `values`; what it means stands in `config.example.toml`, and
`python -m tests.unit.config.reference` writes its row of `docs/configuration.md`.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from watchd.config.schema.policies import DEFAULT_POLICIES, Policy
from watchd.config.schema.section import Problem, Section
from watchd.config.schema.values import (
    Count,
    Directory,
    Duration,
    EngineHost,
    ExistingFile,
    LabelPatterns,
    ListenAddresses,
    Mode,
    NamePatterns,
    NotificationUrl,
    PasswordHash,
    QuietHours,
    Schedule,
    Size,
    TimeZone,
    UserName,
    at_least,
)
from watchd.runtime import log

PAIR = "tls_cert and tls_key go together: give both or none"
NAME_TAKEN = "is already the name of an earlier policy: names must be unique"

MetricGroup = Literal["cpu", "memory", "network", "disk", "pressure", "process", "tcp", "files", "tasks"]


@dataclass(frozen=True, kw_only=True)
class DataRoots(Section):
    """Paths, as watchd sees them, on the disks of the engine's data; None: found where that can be proven."""

    docker: Directory | None = None
    containerd: Directory | None = None


@dataclass(frozen=True, kw_only=True)
class Engine(Section):
    """Connection to the engine, and where its data is."""

    host: EngineHost = "unix:///var/run/docker.sock"
    tls_ca: ExistingFile | None = None
    tls_cert: ExistingFile | None = None
    tls_key: ExistingFile | None = None
    data_roots: DataRoots = DataRoots()

    def problems(self) -> Iterable[Problem]:
        """Return the errors between several keys."""
        if (self.tls_cert is None) != (self.tls_key is None):
            yield (), PAIR
        elif self.host.startswith("unix://") and (self.tls_ca or self.tls_cert):
            yield (), "TLS is for tcp:// addresses, not for a UNIX socket"


@dataclass(frozen=True, kw_only=True)
class State(Section):
    """State directory and its limits."""

    directory: Path | None = None
    keep_history: Duration = 400 * 86400.0
    max_size: Size = 256 * 1024**2

    def resolve(self) -> Path:
        """Return the directory: as configured, else the system's if it is writable, else the user's."""
        if self.directory is not None:
            return self.directory
        system = Path("/var/lib/watchd")
        if os.geteuid() == 0 or os.access(system, os.W_OK):
            return system
        home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
        return Path(home).expanduser() / "watchd"


@dataclass(frozen=True, kw_only=True)
class Http(Section):
    """The HTTP server."""

    listen: ListenAddresses = "127.0.0.1:10210"
    allowed_hosts: tuple[str, ...] = ()
    tls_cert: ExistingFile | None = None
    tls_key: ExistingFile | None = None
    client_ca: ExistingFile | None = None
    users: Mapping[UserName, PasswordHash] = field(default_factory=dict, repr=False)
    bearer_token_file: ExistingFile | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses to listen on."""
        return (self.listen,) if isinstance(self.listen, str) else self.listen

    def problems(self) -> Iterable[Problem]:
        """Return the errors between several keys."""
        if (self.tls_cert is None) != (self.tls_key is None):
            yield (), PAIR
        elif self.client_ca is not None and self.tls_cert is None:
            yield (), "client_ca needs tls_cert and tls_key"


@dataclass(frozen=True, kw_only=True)
class Notify(Section):
    """Receivers of notifications."""

    urls: tuple[NotificationUrl, ...] = field(default=(), repr=False)


@dataclass(frozen=True, kw_only=True)
class Log(Section):
    """Level and format of the log on stderr."""

    level: log.Level = "info"
    format: log.Format = "text"


@dataclass(frozen=True, kw_only=True)
class MetricsOf(Section):
    """Containers, by any of these patterns."""

    names: NamePatterns = ()
    images: NamePatterns = ()
    compose_projects: NamePatterns = ()
    labels: LabelPatterns = ()


@dataclass(frozen=True, kw_only=True)
class Metrics(Section):
    """Metrics of containers: source, groups, labels, and which containers."""

    source: Literal["auto", "cgroup", "api"] = "auto"
    include: MetricsOf = MetricsOf()
    exclude: MetricsOf = MetricsOf()
    groups: tuple[MetricGroup, ...] = ("cpu", "memory", "network", "disk", "pressure", "process")
    container_labels: LabelPatterns = (  # those that dashboards group by, and the software
        "com.docker.compose.project",
        "com.docker.compose.service",
        "com.docker.compose.container-number",
        "com.docker.stack.namespace",
        "com.docker.swarm.*",
        "org.label-schema.group",
        "container[._-]group",
        "org.opencontainers.image.title",
        "org.opencontainers.image.version",
        "org.opencontainers.image.revision",
        "org.opencontainers.image.source",
        "io.kubernetes.container.name",
        "io.kubernetes.pod.name",
        "io.kubernetes.pod.namespace",
    )
    container_id: Literal["cgroup", "docker"] = "cgroup"
    max_series: Annotated[int, at_least(1_000)] = 200_000
    procfs: Path | None = None
    cgroupfs: Path | None = None

    def roots(self) -> tuple[Path, Path]:
        """Return procfs and cgroupfs: as configured, else the host's if mounted, else our own."""
        host_proc, host_cgroup = Path("/host/proc"), Path("/host/sys/fs/cgroup")
        procfs = self.procfs or (host_proc if (host_proc / "self").exists() else Path("/proc"))
        cgroupfs = self.cgroupfs or (host_cgroup if host_cgroup.is_dir() else Path("/sys/fs/cgroup"))
        return procfs, cgroupfs


@dataclass(frozen=True, kw_only=True)
class Protect(Section):
    """Objects that no policy removes, as patterns. Images match by short and full references and by ID."""

    labels: LabelPatterns = ()
    images: NamePatterns = ()
    containers: NamePatterns = ()
    volumes: NamePatterns = ()
    networks: NamePatterns = ()


@dataclass(frozen=True, kw_only=True)
class Cleanup(Section):
    """Policies, their schedule, and protections."""

    mode: Mode = "report"
    schedule: Schedule = "0 4 * * *"
    timezone: TimeZone = "UTC"
    jitter: Duration = 600.0
    quiet_hours: tuple[QuietHours, ...] = ()
    grace: Duration = 3600.0
    max_items: Count | None = None
    max_bytes: Size | None = None
    honor_labels: bool = True
    count_unwatched: bool = False
    regret_window: Duration = 30 * 86400.0
    protect: Protect = Protect()
    policies: tuple[Policy, ...] = DEFAULT_POLICIES

    def problems(self) -> Iterable[Problem]:
        """Return the errors between several keys."""
        names = [policy.name for policy in self.policies]
        for index, name in enumerate(names):
            if name in names[:index]:
                yield ("policies", index, "name"), f"{name!r} {NAME_TAKEN}"

    def mode_of(self, policy: Policy) -> Mode:
        """Return the mode of a policy: its own, else the section's."""
        return policy.mode or self.mode

    def schedule_of(self, policy: Policy) -> str:
        """Return the schedule of a policy: its own, else the section's."""
        return policy.schedule or self.schedule


@dataclass(frozen=True, kw_only=True)
class Config(Section):
    """The whole configuration."""

    engine: Engine = Engine()
    state: State = State()
    http: Http = Http()
    notify: Notify = Notify()
    log: Log = Log()
    metrics: Metrics = Metrics()
    cleanup: Cleanup = Cleanup()
