"""Records of the build cache."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from watchd.model.objects.kinds import Key, Kind

_SOURCE = re.compile(r"^pulled from (\S+)|\bCOPY .*?--from=(\S+)")


@dataclass(frozen=True, slots=True)
class CacheRecord:
    """A record of the BuildKit cache, from `GET /system/df?type=build-cache`."""

    kind: ClassVar[Kind] = "build_cache"

    id: str
    type: str = "regular"  # internal frontend source.local source.git.checkout exec.cachemount regular
    description: str = ""
    parents: tuple[str, ...] = ()  # IDs of records
    in_use: bool = False  # by a running build
    shared: bool = False  # with an image, or with containerd's store what it lies on
    size: int = 0  # bytes
    created_at: float | None = None
    last_used_at: float | None = None
    usage_count: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)  # the engine reports none

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
    def name(self) -> str:
        """The description of its build step, else its ID."""
        return self.description or self.id

    @property
    def sources(self) -> tuple[str, ...]:
        """References of images that its description names as the source of its files, as BuildKit writes them.

        What follows `COPY --from=` may also be the name of a stage.
        """
        return tuple(match[1] or match[2] for match in _SOURCE.finditer(self.description))
