"""Schema of `keep`: what a policy keeps of what it selects."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from watchd.config.schema.section import Problem, Section
from watchd.config.schema.values import ContainerGroup, Count, Duration, ImageGroup

KEEPS_NOTHING = "keeps nothing: give last, within or, for images, newest_tag"


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
