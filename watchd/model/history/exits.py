"""The ends of containers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of one run of a container, with its usage. None: unknown."""

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
