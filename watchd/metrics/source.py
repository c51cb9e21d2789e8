"""Where usage is read: from the kernel's cgroups (`cgroup_source`), or from the engine's API (`api_source`)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from watchd.metrics.usage import Usage
from watchd.model import Container


@dataclass(slots=True)
class Reading:
    """What one running container had used at one moment. Nobody changes it (see `usage` for why it is not frozen)."""

    usage: Usage
    at: float  # seconds since the epoch; the API's readings may be older than the scrape
    cgroup_path: str | None = None  # as the kernel has it: "/docker/<id>"; None: not known


class Source(Protocol):
    """Reads running containers. Safe to call from one thread at a time; scrapes that coincide share one reading."""

    @property
    def name(self) -> str:
        """Which it is: "cgroup" or "api"."""

    @property
    def errors(self) -> Counter[str]:
        """How often what could not be read, by metric group, or "cgroup" or "api" where it was all of a container."""

    def read(self, containers: Sequence[Container], now: float) -> Mapping[str, Reading]:
        """Read the running ones of `containers`, by ID, at `now` (seconds since the epoch); let go of all others."""

    def close(self) -> None:
        """Let go of everything."""
