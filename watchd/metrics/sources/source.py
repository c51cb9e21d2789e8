"""The interface of a source of containers' usage."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from watchd.model import Container
from watchd.model.usage import Usage


@dataclass(slots=True)
class Reading:
    """Usage of one running container at one moment. Never changed, but not frozen, for the reason in `usage`."""

    usage: Usage
    at: float  # seconds since the epoch; the API's readings may be older than the scrape
    cgroup_path: str | None = None  # as the kernel has it: "/docker/<id>"; None: not known


class Source(Protocol):
    """Read running containers, from one thread at a time."""

    @property
    def name(self) -> str:
        """Its name: "cgroup" or "api"."""

    @property
    def errors(self) -> Counter[str]:
        """Failures by group of metrics, or by "cgroup" or "api" where all of a container could not be read."""

    @property
    def durations(self) -> Mapping[str, float]:
        """Seconds that each group of metrics took at the last reading; empty where they are not read one by one."""

    def read(self, containers: Sequence[Container], now: float) -> Mapping[str, Reading]:
        """Read the running ones of `containers` at `now` (seconds since the epoch), by ID; forget all others."""

    def close(self) -> None:
        """Forget all containers."""
