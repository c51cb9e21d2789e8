"""The logs of containers: files of a logging driver on the engine's disk."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Log:
    """Files of one container's log, from `HostConfig.LogConfig` and `LogPath`."""

    driver: str  # json-file, local, or Podman's k8s-file
    path: str = ""  # of the file that is written now, on the engine's host; "": as the driver names it
    limit: int | None = None  # bytes, of all its files together; 0: none is set; None: not known


@dataclass(frozen=True, slots=True)
class Logs:
    """Bytes of the logs of containers by ID, rotated files included; why others are not known and what would help."""

    sizes: Mapping[str, int] = field(default_factory=dict)
    unknown: str = ""
