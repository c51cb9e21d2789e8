"""Networks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from watchd.model.objects.kinds import Key, Kind

_PREDEFINED_NETWORKS = frozenset(("bridge", "host", "none", "docker_gwbridge", "ingress"))


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
