"""What a policy may say: one class for each kind of object, with every key and its default."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from watchd.config.values import Duration, Globs, Mode, Percentage, Schedule, Size
from watchd.model import ImageClass, Kind

NO_CONDITION = "has no condition and would remove all that it selects: add a when, a keep or a pressure"
KEEPS_NOTHING = "keeps nothing: give last, within or, for images, newest_tag"
NO_MARK = "has no mark: give high and low, free_below and free_until, or inodes_high and inodes_low"

ContainerStatus = Literal["created", "running", "paused", "restarting", "removing", "exited", "dead"]
Clock = Literal["finished_for", "never_started_for", "unused_for", "arrived_for", "dangling_for", "built_for"]
ContainerClock = Literal["finished_for", "never_started_for"]
ImageClock = Literal["unused_for", "arrived_for", "dangling_for", "built_for"]
UseClock = Literal["unused_for", "arrived_for"]  # of networks, volumes and the build cache


class Section(BaseModel):
    """A table of the file: unknown keys are errors, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Labels(Section):
    """Globs of "key" or "key=value"."""

    any: Globs = ()
    all: Globs = ()
    none: Globs = ()


class ContainerSelect(Section):
    """Which containers a policy is about."""

    status: tuple[ContainerStatus, ...] = ()
    exit_code: tuple[int, ...] = ()
    name: Globs = ()
    compose_project: Globs = ()
    compose_service: Globs = ()
    labels: Labels = Labels()


class ImageSelect(Section):
    """Which images a policy is about."""

    model_config = ConfigDict(serialize_by_alias=True)

    class_: tuple[ImageClass, ...] = Field(default=(), alias="class")
    repository: Globs = ()
    tag: Globs = ()
    reference: Globs = ()
    pullable: bool | None = None
    labels: Labels = Labels()


class NetworkSelect(Section):
    """Which networks a policy is about."""

    name: Globs = ()
    compose_project: Globs = ()
    labels: Labels = Labels()


class VolumeSelect(Section):
    """Which volumes a policy is about. Those with a name of their own only where `named` says so, and `name` which."""

    name: Globs = ()
    anonymous: bool | None = None
    named: bool = False
    compose_project: Globs = ()
    labels: Labels = Labels()

    @model_validator(mode="after")
    def _names_what_is_named(self) -> Self:
        if self.named and not self.name:
            raise PydanticCustomError("named", "named = true needs the names: give select.name (globs), too")
        if self.named and self.anonymous:
            raise PydanticCustomError("named", "no volume is both anonymous and named: leave one of them out")
        return self


class CacheSelect(Section):
    """Which records of the build cache a policy is about."""

    type: Globs = ()


class Keep(Section):
    """What a policy spares of what it selects, and every other policy with it."""

    last: int | None = Field(default=None, ge=1)
    within: Duration | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if not self.model_dump(exclude_defaults=True):
            raise PydanticCustomError("keep", KEEPS_NOTHING)
        if self.grouping is not None and self.last is None:
            raise PydanticCustomError("keep", "per says of what the last ones are kept: give last, too")
        return self

    @property
    def grouping(self) -> str | None:
        """Of what the last ones are kept: None for all that the policy selects together."""
        return None


class ContainerKeep(Keep):
    """What is spared of containers."""

    per: Literal["name", "compose_service"] | None = None

    @property
    def grouping(self) -> str | None:
        """Of what the last ones are kept."""
        return self.per


class ImageKeep(Keep):
    """What is spared of images."""

    per: Literal["repository"] | None = None
    newest_tag: bool = False

    @property
    def grouping(self) -> str | None:
        """Of what the last ones are kept."""
        return self.per


class Pressure(Section):
    """From which mark on a policy acts, until which, and what goes first. Either pair of marks is enough."""

    high: Percentage | None = None  # of the disk used, as df shows it; 0 to 1
    low: Percentage | None = None
    free_below: Size | None = None
    free_until: Size | None = None
    inodes_high: Percentage | None = None
    inodes_low: Percentage | None = None
    order: Literal["lru", "oldest", "largest"] = "lru"

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        pairs = (("high", "low"), ("free_below", "free_until"), ("inodes_high", "inodes_low"))
        given = [(first, last, getattr(self, first), getattr(self, last)) for first, last in pairs]
        if all(start is None and end is None for _, _, start, end in given):
            raise PydanticCustomError("pressure", NO_MARK)
        for first, last, start, end in given:
            if (start is None) != (end is None):
                raise PydanticCustomError(
                    "pressure", "{first} and {last} go together: give both", {"first": first, "last": last}
                )
            if start is None:
                continue
            if first == "free_below" and start > end:
                raise PydanticCustomError("pressure", "free_until is below free_below: nothing would ever be enough")
            if first != "free_below" and start < end:
                reason = {"first": first, "last": last}
                raise PydanticCustomError("pressure", "{last} is above {first}: write the lower mark as {last}", reason)
        return self


class BasePolicy(Section):
    """What every policy has."""

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
    pressure: None = None  # a network takes no room on a disk


class VolumePolicy(BasePolicy):
    """A policy for volumes."""

    kind: Literal["volume"]
    select: VolumeSelect = VolumeSelect()
    when: dict[UseClock, Duration] = {}


class CachePolicy(BasePolicy):
    """A policy for the records of the build cache."""

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
