"""Schema of policies: one class per kind of object, with every key and its default."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from watchd.config.section import Problem, Section
from watchd.config.values import (
    ContainerGroup,
    Count,
    Driver,
    Duration,
    ImageGroup,
    LabelPatterns,
    Mode,
    NamePatterns,
    Percentage,
    PolicyName,
    Schedule,
    Size,
)
from watchd.model import ImageClass, Kind, VolumeClass

NO_CONDITION = "has no condition and would remove all that it selects: add a when, a keep or a pressure"
NEVER_ENDED = "finished_for never holds for a container that runs, and no policy removes one: write exited or dead"
KEEPS_NOTHING = "keeps nothing: give last, within or, for images, newest_tag"
NO_MARK = (
    "has no mark: give high and low, free_below and free_until, inodes_high and inodes_low, or total_above and"
    " total_until"
)

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


@dataclass(frozen=True, kw_only=True)
class Keep(Section):
    """Keep rules: objects that match are not removed by any policy."""

    last: Count | None = None
    within: Duration | None = None

    def problems(self) -> Iterable[Problem]:
        """Return the errors between several keys."""
        if not self.given():
            yield (), KEEPS_NOTHING
        if self.last is None and self.grouping is not None:
            yield (), "per needs last"

    @property
    def grouping(self) -> str | None:
        """Group by which `last` counts; None: all selected objects together."""
        return None


@dataclass(frozen=True, kw_only=True)
class ContainerKeep(Keep):
    """Keep rules for containers."""

    per: ContainerGroup | None = None

    def problems(self) -> Iterable[Problem]:
        """Return the errors between several keys."""
        yield from super().problems()
        if self.last is not None and self.per is None:
            yield ("per",), missing_per("container", self.last)

    @property
    def grouping(self) -> str | None:
        """Group by which `last` counts."""
        return self.per


@dataclass(frozen=True, kw_only=True)
class ImageKeep(Keep):
    """Keep rules for images."""

    per: ImageGroup | None = None
    by: Literal["arrival", "version"] = "arrival"
    newest_tag: bool = False

    def problems(self) -> Iterable[Problem]:
        """Return the errors between several keys."""
        yield from super().problems()
        if self.by == "version" and self.last is None:
            yield (), 'by = "version" needs last'
        if self.last is not None and self.per is None:
            yield ("per",), missing_per("image", self.last)

    @property
    def grouping(self) -> str | None:
        """Group by which `last` counts."""
        return self.per


def missing_per(kind: str, last: object) -> str:
    """Return the error of a `last` without `per`, with the line that is missing."""
    further = {"container": '"name", "compose_service"', "image": '"repository"'}[kind]
    return (
        f'is missing: write keep.per = "host" for the last {last} of all that the policy selects (what it meant until'
        f' now), or {further} or "label:<key>" for the last {last} of each'
    )


@dataclass(frozen=True, kw_only=True)
class Pressure(Section):
    """Watermarks between which a policy removes, and its order. One pair is enough."""

    high: Percentage | None = None  # of the disk used, as df shows it; 0 to 1
    low: Percentage | None = None
    free_below: Size | None = None
    free_until: Size | None = None
    inodes_high: Percentage | None = None
    inodes_low: Percentage | None = None
    total_above: Size | None = None  # of what the policy selects, on whatever disk
    total_until: Size | None = None
    order: Literal["lru", "oldest", "largest", "cost"] = "lru"

    def problems(self) -> Iterable[Problem]:
        """Return the errors between several keys."""
        pairs = (
            ("high", "low"),
            ("free_below", "free_until"),
            ("inodes_high", "inodes_low"),
            ("total_above", "total_until"),
        )
        given = [(first, last, getattr(self, first), getattr(self, last)) for first, last in pairs]
        if all(start is None and end is None for _, _, start, end in given):
            yield (), NO_MARK
        for first, last, start, end in given:
            if (start is None) != (end is None):
                yield (), f"{first} and {last} go together: give both or none"
            elif start is not None and first == "free_below" and start > end:
                yield (), "free_until must not be below free_below"
            elif start is not None and first != "free_below" and start < end:
                yield (), f"{last} must not be above {first}"


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
