"""Schema of policies: one class per kind of object, with every key and its default."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from watchd.config.values import (
    ContainerGroup,
    Duration,
    ImageGroup,
    LabelPatterns,
    Mode,
    NamePatterns,
    Percentage,
    Schedule,
    Size,
)
from watchd.model import ImageClass, Kind

NO_CONDITION = "has no condition and would remove all that it selects: add a when, a keep or a pressure"
NEVER_ENDED = "finished_for never holds for a container that runs, and no policy removes one: write exited or dead"
KEEPS_NOTHING = "keeps nothing: give last, within or, for images, newest_tag"
DELETES_DATA = 'can only be "local": a volume of another driver is never removed, since that deletes its data'
NO_MARK = (
    "has no mark: give high and low, free_below and free_until, inodes_high and inodes_low, or total_above and"
    " total_until"
)

ContainerStatus = Literal["created", "running", "paused", "restarting", "removing", "exited", "dead"]
Clock = Literal["finished_for", "never_started_for", "unused_for", "arrived_for", "dangling_for", "built_for"]
ContainerClock = Literal["finished_for", "never_started_for"]
ImageClock = Literal["unused_for", "arrived_for", "dangling_for", "built_for"]
UseClock = Literal["unused_for", "arrived_for"]  # of networks, volumes and the build cache


K = TypeVar("K", bound="Keep")


class Section(BaseModel):
    """A table of the file: unknown keys are errors; immutable after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Labels(Section):
    """Patterns of "key" or "key=value"."""

    any: LabelPatterns = ()
    all: LabelPatterns = ()
    none: LabelPatterns = ()


class ContainerSelect(Section):
    """Selection of containers."""

    status: tuple[ContainerStatus, ...] = ()
    exit_code: tuple[int, ...] = ()
    name: NamePatterns = ()
    compose_project: NamePatterns = ()
    compose_service: NamePatterns = ()
    labels: Labels = Labels()


class ImageSelect(Section):
    """Selection of images."""

    model_config = ConfigDict(serialize_by_alias=True)

    class_: tuple[ImageClass, ...] = Field(default=(), alias="class")
    repository: NamePatterns = ()
    tag: NamePatterns = ()
    reference: NamePatterns = ()
    pullable: bool | None = None
    labels: Labels = Labels()


class NetworkSelect(Section):
    """Selection of networks."""

    name: NamePatterns = ()
    compose_project: NamePatterns = ()
    labels: Labels = Labels()


class VolumeSelect(Section):
    """Selection of volumes: anonymous ones, unless `named` is true and `name` matches.

    Those with options also need `driver`.
    """

    name: NamePatterns = ()
    anonymous: bool | None = None
    named: bool = False
    driver: Literal["local"] | None = None
    compose_project: NamePatterns = ()
    labels: Labels = Labels()

    @model_validator(mode="after")
    def _named_needs_names(self) -> Self:
        if self.named and not self.name:
            raise PydanticCustomError("named", "named = true needs select.name (globs)")
        if self.named and self.anonymous:
            raise PydanticCustomError("named", "anonymous and named exclude each other: remove one of them")
        return self

    @field_validator("driver", mode="before")
    @classmethod
    def _is_local(cls, driver: Any) -> Any:
        if driver not in (None, "local"):
            raise PydanticCustomError("named", DELETES_DATA)
        return driver

    @model_validator(mode="after")
    def _driver_needs_names(self) -> Self:
        if self.driver is not None and not self.name:
            raise PydanticCustomError("named", 'driver = "local" needs select.name (globs)')
        return self


class CacheSelect(Section):
    """Selection of build cache records."""

    type: NamePatterns = ()


class Keep(Section):
    """Keep rules: objects that match are not removed by any policy."""

    last: int | None = Field(default=None, ge=1)
    within: Duration | None = None

    @model_validator(mode="after")
    def _is_valid(self) -> Self:
        if not self.model_dump(exclude_defaults=True):
            raise PydanticCustomError("keep", KEEPS_NOTHING)
        if self.last is None and self.grouping is not None:
            raise PydanticCustomError("keep", "per needs last")
        return self

    @property
    def grouping(self) -> str | None:
        """Group by which `last` counts; None: all selected objects together."""
        return None


class ContainerKeep(Keep):
    """Keep rules for containers."""

    per: ContainerGroup | None = None

    @model_validator(mode="after")
    def _says_per_what(self) -> Self:
        return _check_per(self, "container", self.per)

    @property
    def grouping(self) -> str | None:
        """Group by which `last` counts."""
        return self.per


class ImageKeep(Keep):
    """Keep rules for images."""

    per: ImageGroup | None = None
    by: Literal["arrival", "version"] = "arrival"
    newest_tag: bool = False

    @model_validator(mode="after")
    def _says_per_what(self) -> Self:
        if self.by == "version" and self.last is None:
            raise PydanticCustomError("keep", 'by = "version" needs last')
        return _check_per(self, "image", self.per)

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


def _check_per(keep: K, kind: str, per: str | None) -> K:
    if keep.last is not None and per is None:
        error = PydanticCustomError("keep", "{reason}", {"reason": missing_per(kind, keep.last)})
        raise ValidationError.from_exception_data("keep", [InitErrorDetails(type=error, loc=("per",), input=None)])
    return keep


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
    order: Literal["lru", "oldest", "largest"] = "lru"

    @model_validator(mode="after")
    def _is_valid(self) -> Self:
        pairs = (
            ("high", "low"),
            ("free_below", "free_until"),
            ("inodes_high", "inodes_low"),
            ("total_above", "total_until"),
        )
        given = [(first, last, getattr(self, first), getattr(self, last)) for first, last in pairs]
        if all(start is None and end is None for _, _, start, end in given):
            raise PydanticCustomError("pressure", NO_MARK)
        for first, last, start, end in given:
            if (start is None) != (end is None):
                raise PydanticCustomError(
                    "pressure", "{first} and {last} go together: give both or none", {"first": first, "last": last}
                )
            if start is None:
                continue
            if first == "free_below" and start > end:
                raise PydanticCustomError("pressure", "free_until must not be below free_below")
            if first != "free_below" and start < end:
                reason = {"first": first, "last": last}
                raise PydanticCustomError("pressure", "{last} must not be above {first}", reason)
        return self


def never_finished(statuses: Sequence[object], when: Iterable[object]) -> list[int]:
    """Return the indexes of statuses in which `finished_for` never holds, if it can hold in none of them."""
    if "finished_for" not in when or "exited" in statuses or "dead" in statuses:
        return []
    return [index for index, status in enumerate(statuses) if status in ("running", "paused", "restarting")]


class BasePolicy(Section):
    """Keys of every policy."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    kind: Kind
    mode: Mode | None = None
    schedule: Schedule | None = None
    when: dict[Any, Any]
    keep: Keep | None = None
    pressure: Pressure | None = None

    @model_validator(mode="after")
    def _has_a_condition(self) -> Self:
        if not self.when and self.keep is None and self.pressure is None:
            raise PydanticCustomError("no_condition", NO_CONDITION)
        return self


class ContainerPolicy(BasePolicy):
    """A policy for containers."""

    kind: Literal["container"]
    select: ContainerSelect = ContainerSelect()
    when: dict[ContainerClock, Duration] = {}
    keep: ContainerKeep | None = None
    anonymous_volumes: bool = False
    compose_active: Literal["keep", "ignore"] = "keep"
    restart_policy: Literal["keep", "ignore"] = "keep"

    @model_validator(mode="after")
    def _can_hold(self) -> Self:
        errors = [
            InitErrorDetails(
                type=PydanticCustomError("never_holds", NEVER_ENDED), loc=("select", "status", index), input=None
            )
            for index in never_finished(self.select.status, self.when)
        ]
        if errors:
            raise ValidationError.from_exception_data("select", errors)
        return self


class ImagePolicy(BasePolicy):
    """A policy for images."""

    kind: Literal["image"]
    select: ImageSelect = ImageSelect()
    when: dict[ImageClock, Duration] = {}
    keep: ImageKeep | None = None
    compose_active: Literal["keep", "ignore"] = "keep"


class NetworkPolicy(BasePolicy):
    """A policy for networks."""

    kind: Literal["network"]
    select: NetworkSelect = NetworkSelect()
    when: dict[UseClock, Duration] = {}
    pressure: None = None  # networks use no disk space
    compose_active: Literal["keep", "ignore"] = "keep"


class VolumePolicy(BasePolicy):
    """A policy for volumes."""

    kind: Literal["volume"]
    select: VolumeSelect = VolumeSelect()
    when: dict[UseClock, Duration] = {}


class CachePolicy(BasePolicy):
    """A policy for build cache records."""

    kind: Literal["build_cache"]
    select: CacheSelect = CacheSelect()
    when: dict[UseClock, Duration] = {}


Policy = ContainerPolicy | ImagePolicy | NetworkPolicy | VolumePolicy | CachePolicy

DEFAULT_POLICIES: tuple[Policy, ...] = (
    ContainerPolicy(
        name="exited-containers",
        kind="container",
        mode="report",
        select=ContainerSelect(status=("exited", "dead")),
        when={"finished_for": "7d"},
    ),
    ImagePolicy(
        name="dangling-images",
        kind="image",
        mode="report",
        select=ImageSelect.model_validate({"class": ("dangling",)}),
        when={"dangling_for": "24h"},
    ),
)
