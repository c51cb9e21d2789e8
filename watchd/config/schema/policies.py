"""Schema of policies and what they select: one class per kind of object, with every key and its default."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from watchd.config.schema.keep import ContainerKeep, ImageKeep, Keep
from watchd.config.schema.pressure import Pressure
from watchd.config.schema.section import Problem, Section
from watchd.config.schema.values import (
    Driver,
    Duration,
    LabelPatterns,
    Mode,
    NamePatterns,
    PolicyName,
    Schedule,
)
from watchd.model import ImageClass, Kind, VolumeClass

NO_CONDITION = "has no condition and would remove all that it selects: add a when, a keep or a pressure"
NEVER_ENDED = "finished_for never holds for a container that runs, and no policy removes one: write exited or dead"

ContainerStatus = Literal["created", "running", "paused", "restarting", "removing", "exited", "dead"]
Clock = Literal["finished_for", "never_started_for", "unused_for", "arrived_for", "dangling_for", "built_for"]
ContainerClock = Literal["finished_for", "never_started_for"]
ImageClock = Literal["unused_for", "arrived_for", "dangling_for", "built_for"]
UseClock = Literal["unused_for", "arrived_for"]  # of networks, volumes and the build cache


@dataclass(frozen=True, kw_only=True)
class Labels(Section):
    """Patterns of "key" or "key=value"."""

    any: LabelPatterns = ()
    all: LabelPatterns = ()
    none: LabelPatterns = ()


@dataclass(frozen=True, kw_only=True)
class ContainerSelect(Section):
    """Selection of containers."""

    status: tuple[ContainerStatus, ...] = ()
    exit_code: tuple[int, ...] = ()
    name: NamePatterns = ()
    compose_project: NamePatterns = ()
    compose_service: NamePatterns = ()
    labels: Labels = Labels()


@dataclass(frozen=True, kw_only=True)
class ImageSelect(Section):
    """Selection of images."""

    class_: tuple[ImageClass, ...] = ()
    repository: NamePatterns = ()
    tag: NamePatterns = ()
    reference: NamePatterns = ()
    pullable: bool | None = None
    labels: Labels = Labels()


@dataclass(frozen=True, kw_only=True)
class NetworkSelect(Section):
    """Selection of networks."""

    name: NamePatterns = ()
    compose_project: NamePatterns = ()
    labels: Labels = Labels()


@dataclass(frozen=True, kw_only=True)
class VolumeSelect(Section):
    """Selection of volumes: anonymous ones, and those of a class, unless `named` is true and `name` matches.

    Those with options also need `driver`.
    """

    class_: tuple[VolumeClass, ...] = ()
    name: NamePatterns = ()
    anonymous: bool | None = None
    named: bool = False
    driver: Driver | None = None
    compose_project: NamePatterns = ()
    labels: Labels = Labels()

    def problems(self) -> Iterable[Problem]:
        """Return the errors between several keys."""
        if self.named and not self.name:
            yield (), "named = true needs select.name (globs)"
        if self.named and self.anonymous:
            yield (), "anonymous and named exclude each other: remove one of them"
        if self.driver is not None and not self.name:
            yield (), 'driver = "local" needs select.name (globs)'


@dataclass(frozen=True, kw_only=True)
class CacheSelect(Section):
    """Selection of build cache records."""

    type: NamePatterns = ()


def never_finished(statuses: Sequence[object], when: Iterable[object]) -> list[int]:
    """Return the indexes of statuses in which `finished_for` never holds, if it can hold in none of them."""
    if "finished_for" not in when or "exited" in statuses or "dead" in statuses:
        return []
    return [index for index, status in enumerate(statuses) if status in ("running", "paused", "restarting")]


@dataclass(frozen=True, kw_only=True)
class BasePolicy(Section):
    """Keys of every policy."""

    name: PolicyName
    kind: Kind
    mode: Mode | None = None
    schedule: Schedule | None = None
    when: Mapping[Any, float] = field(default_factory=dict)
    keep: Keep | None = None
    pressure: Pressure | None = None

    def problems(self) -> Iterable[Problem]:
        """Return the errors between several keys."""
        if not self.when and self.keep is None and self.pressure is None:
            yield (), NO_CONDITION


@dataclass(frozen=True, kw_only=True)
class ContainerPolicy(BasePolicy):
    """A policy for containers."""

    kind: Literal["container"]
    select: ContainerSelect = ContainerSelect()
    when: Mapping[ContainerClock, Duration] = field(default_factory=dict)
    keep: ContainerKeep | None = None
    anonymous_volumes: bool = False
    compose_active: Literal["keep", "ignore"] = "keep"
    restart_policy: Literal["keep", "ignore"] = "keep"
    builders: Literal["keep", "ignore"] = "keep"

    def problems(self) -> Iterable[Problem]:
        """Return the errors between several keys."""
        yield from super().problems()
        for index in never_finished(self.select.status, self.when):
            yield ("select", "status", index), NEVER_ENDED
        if self.builders == "ignore" and not self.select.name:
            yield (), 'builders = "ignore" needs select.name (globs)'


@dataclass(frozen=True, kw_only=True)
class ImagePolicy(BasePolicy):
    """A policy for images."""

    kind: Literal["image"]
    select: ImageSelect = ImageSelect()
    when: Mapping[ImageClock, Duration] = field(default_factory=dict)
    keep: ImageKeep | None = None
    compose_active: Literal["keep", "ignore"] = "keep"


@dataclass(frozen=True, kw_only=True)
class NetworkPolicy(BasePolicy):
    """A policy for networks."""

    kind: Literal["network"]
    select: NetworkSelect = NetworkSelect()
    when: Mapping[UseClock, Duration] = field(default_factory=dict)
    pressure: None = None  # networks use no disk space
    compose_active: Literal["keep", "ignore"] = "keep"


@dataclass(frozen=True, kw_only=True)
class VolumePolicy(BasePolicy):
    """A policy for volumes."""

    kind: Literal["volume"]
    select: VolumeSelect = VolumeSelect()
    when: Mapping[UseClock, Duration] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CachePolicy(BasePolicy):
    """A policy for build cache records."""

    kind: Literal["build_cache"]
    select: CacheSelect = CacheSelect()
    when: Mapping[UseClock, Duration] = field(default_factory=dict)


Policy = ContainerPolicy | ImagePolicy | NetworkPolicy | VolumePolicy | CachePolicy

DEFAULT_POLICIES: tuple[Policy, ...] = (
    ContainerPolicy(
        name="exited-containers",
        kind="container",
        mode="report",
        select=ContainerSelect(status=("exited", "dead")),
        when={"finished_for": 7 * 86400.0},
    ),
    ImagePolicy(
        name="dangling-images",
        kind="image",
        mode="report",
        select=ImageSelect(class_=("dangling",)),
        when={"dangling_for": 86400.0},
    ),
)
