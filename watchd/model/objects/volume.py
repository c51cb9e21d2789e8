"""Volumes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from watchd.model.objects.buildx import BUILDER, STATE
from watchd.model.objects.kinds import Key, Kind

VolumeClass = Literal["builder_state"]

ANONYMOUS_VOLUME = "com.docker.volume.anonymous"


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
        is_state = self.name.startswith(BUILDER) and self.name.endswith(STATE)
        return self.name.removesuffix(STATE) if is_state else None

    @property
    def mounts_device(self) -> bool:
        """Return whether the engine mounts a device for it (NFS, a bound directory); its data is there."""
        return "device" in self.options

    @property
    def is_anonymous(self) -> bool:
        """Return whether the engine chose its name. Engines before 23.0 do not label such volumes."""
        unlabelled = not self.labels and not self.options and re.fullmatch(r"[0-9a-f]{64}", self.name) is not None
        return ANONYMOUS_VOLUME in self.labels or unlabelled
