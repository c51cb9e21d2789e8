"""Observations of objects: what watchd sees over time and the engine does not record."""

from collections.abc import Mapping
from dataclasses import dataclass

from watchd.model.objects.kinds import Key


@dataclass(frozen=True, slots=True)
class Uses:
    """Uses of an object by the timeline, those with pauses of at most ten minutes as one."""

    count: int
    first: float  # seconds since the epoch


@dataclass(frozen=True, slots=True)
class Observation:
    """Observation of one object. Times are seconds since the epoch."""

    first_seen: float
    arrived_at: float  # first seen; images: last pulled, loaded, imported or tagged since
    last_used: float | None = None  # last time that a container used it, or an image arrived that was built on it
    dangling_since: float | None = None  # images: first seen without a tag
    layers: tuple[str, ...] | None = None  # of images; None: not known
    pulled: bool = False  # images: a pull was seen, of the image as it is, or the engine says so
    uses: Uses | None = None  # images: only for plans that ask for it; not in the state


Observations = Mapping[Key, Observation]  # by kind and `identity`

References = Mapping[str, Mapping[str, float | None]]
"""References of images by ID, with the time until which the image had it; None: it has it."""
