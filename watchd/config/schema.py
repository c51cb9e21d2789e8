"""What the configuration may say: one class for each table of the file, with every key and its default."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from watchd import log
from watchd.config.policies import DEFAULT_POLICIES, Policy, Section
from watchd.config.values import (
    Duration,
    EngineHost,
    ExistingFile,
    Globs,
    ListenAddress,
    Mode,
    PasswordHash,
    QuietHours,
    Schedule,
    Size,
    TimeZone,
    UserName,
)

ENVIRONMENT_PREFIX = "WATCHD_"
PAIR = "tls_cert and tls_key go together: give both or none"
NAME_TAKEN = "is the name of an earlier policy: names are metric labels, and unique"

MetricGroup = Literal["cpu", "memory", "network", "disk", "pressure", "process"]


class Engine(Section):
    """Which engine."""

    host: EngineHost = "unix:///var/run/docker.sock"
    tls_ca: ExistingFile | None = None
    tls_cert: ExistingFile | None = None
    tls_key: ExistingFile | None = None

    @model_validator(mode="after")
    def _tls_makes_sense(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise PydanticCustomError("tls", PAIR)
        if self.host.startswith("unix://") and (self.tls_ca or self.tls_cert):
            raise PydanticCustomError("tls", "TLS is for tcp:// addresses, not for a UNIX socket")
        return self


class State(Section):
    """Where watchd keeps what it saw and did."""

    directory: Path | None = None
    keep_history: Duration = 400 * 86400.0
    max_size: Size = 256 * 1024**2

    def resolve(self) -> Path:
        """Return the directory: as configured, else the system's where it can be written, else the user's."""
        if self.directory is not None:
            return self.directory
        system = Path("/var/lib/watchd")
        if os.geteuid() == 0 or os.access(system, os.W_OK):
            return system
        home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
        return Path(home).expanduser() / "watchd"


class Http(Section):
    """The HTTP server."""

    listen: ListenAddress = "127.0.0.1:10210"
    allowed_hosts: tuple[str, ...] = ()
    tls_cert: ExistingFile | None = None
    tls_key: ExistingFile | None = None
    client_ca: ExistingFile | None = None
    users: dict[UserName, PasswordHash] = Field(default={})
    bearer_token_file: ExistingFile | None = None

    @model_validator(mode="after")
    def _tls_makes_sense(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise PydanticCustomError("tls", PAIR)
        if self.client_ca is not None and self.tls_cert is None:
            raise PydanticCustomError("tls", "client_ca asks for TLS: give tls_cert and tls_key, too")
        return self


class Log(Section):
    """What is logged to stderr, and how."""

    level: log.Level = "info"
    format: log.Format = "text"


class Metrics(Section):
    """What is served of each container."""

    source: Literal["auto", "cgroup", "api"] = "auto"
    groups: tuple[MetricGroup, ...] = ("cpu", "memory", "network", "disk", "pressure", "process")
    container_labels: Globs = (  # what dashboards group by, and which software it is
        "com.docker.compose.project",
        "com.docker.compose.service",
        "com.docker.compose.container-number",
        "com.docker.stack.namespace",
        "com.docker.swarm.*",
        "org.label-schema.group",
        "org.opencontainers.image.title",
        "org.opencontainers.image.version",
        "org.opencontainers.image.revision",
        "org.opencontainers.image.source",
    )
    container_id: Literal["cgroup", "docker"] = "cgroup"
    max_series: int = Field(default=200_000, ge=1_000)
    procfs: Path | None = None
    cgroupfs: Path | None = None

    def roots(self) -> tuple[Path, Path]:
        """Return procfs and cgroupfs: as configured, else the host's where they are mounted, else our own."""
        host_proc, host_cgroup = Path("/host/proc"), Path("/host/sys/fs/cgroup")
        procfs = self.procfs or (host_proc if (host_proc / "stat").exists() else Path("/proc"))
        cgroupfs = self.cgroupfs or (host_cgroup if host_cgroup.is_dir() else Path("/sys/fs/cgroup"))
        return procfs, cgroupfs


class Protect(Section):
    """What no policy ever removes. Globs; images match by short and full references and by ID."""

    labels: Globs = ()
    images: Globs = ()
    containers: Globs = ()
    volumes: Globs = ()
    networks: Globs = ()


class Cleanup(Section):
    """What is removed, when, and what never is."""

    mode: Mode = "report"
    schedule: Schedule = "0 4 * * *"
    timezone: TimeZone = "UTC"
    jitter: Duration = 600.0
    quiet_hours: tuple[QuietHours, ...] = ()
    grace: Duration = 3600.0
    max_items: int | None = Field(default=None, ge=1)
    max_bytes: Size | None = None
    honor_labels: bool = True
    count_unwatched: bool = False
    protect: Protect = Protect()
    policies: tuple[Annotated[Policy, Field(discriminator="kind")], ...] = DEFAULT_POLICIES

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [policy.name for policy in self.policies]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise PydanticCustomError(
                    "twice",
                    "policies[{index}].name: {name} {taken}",
                    {"index": index, "name": repr(name), "taken": NAME_TAKEN},
                )
        return self

    def mode_of(self, policy: Policy) -> Mode:
        """Return the mode a policy runs in: its own, else the section's."""
        return policy.mode or self.mode

    def schedule_of(self, policy: Policy) -> str:
        """Return the schedule a policy runs on: its own, else the section's."""
        return policy.schedule or self.schedule


class NotJson(str):
    """What a variable says that should be JSON and is none."""

    __slots__ = ()


class Environment(EnvSettingsSource):
    """What the variables say. What should be JSON and is none is left for validation to refuse, by its full path."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Return what a list or a table means, written as JSON."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except (ValueError, RecursionError):
            return NotJson(value)


class Config(BaseSettings):
    """The whole configuration, as it is in force."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    engine: Engine = Engine()
    state: State = State()
    http: Http = Http()
    log: Log = Log()
    metrics: Metrics = Metrics()
    cleanup: Cleanup = Cleanup()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file, whose content is handed to the constructor."""
        assert isinstance(init_settings, InitSettingsSource)  # noqa: S101 - what pydantic always passes
        return Environment(settings_cls), init_settings
