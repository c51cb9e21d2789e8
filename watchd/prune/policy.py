"""What a policy says of one object: whether its select and its when hold. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from watchd.config import ContainerClock, ContainerPolicy, ImageClock, ImagePolicy
from watchd.config.schema import Labels
from watchd.model import COMPOSE_PROJECT, COMPOSE_SERVICE, Container, Image, ImageClass, Observation
from watchd.prune.plan import Reason
from watchd.prune.references import repository, repository_names, spellings, split_tag

# What a clock shows: seconds, None where its source is unknown, or STOPPED where it does not run at all (a running
# container has not finished, a tagged image does not dangle). STOPPED is less than every duration, 0s included.
Reading = float | None
STOPPED = -math.inf

REASONS: Mapping[ContainerClock | ImageClock, Reason] = {
    "finished_for": Reason.EXITED_TOO_LONG,
    "never_started_for": Reason.NEVER_STARTED,
    "dangling_for": Reason.DANGLING_TOO_LONG,
    "unused_for": Reason.UNUSED_TOO_LONG,
    "arrived_for": Reason.ARRIVED_TOO_LONG,
    "built_for": Reason.BUILT_TOO_LONG,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the conditions of a policy say of an object it selects. `facts` has each clock and what it needs."""

    holds: bool
    reason: Reason
    facts: Mapping[str, Any]


def matches(patterns: Iterable[str], *texts: str) -> bool:
    """Return whether any of the globs matches any of the texts, case and all."""
    return any(fnmatchcase(text, pattern) for pattern in patterns for text in texts)


def matches_label(patterns: Iterable[str], labels: Mapping[str, str]) -> bool:
    """Return whether any of the globs, each "key" or "key=value", matches any of the labels."""
    return any(_label(pattern, labels) for pattern in patterns)


def selects_container(policy: ContainerPolicy, container: Container) -> bool:
    """Return whether a policy is about a container."""
    select = policy.select
    return (
        (not select.status or container.status in select.status)
        and (not select.exit_code or container.exit_code in select.exit_code)
        and _selects_value(select.compose_project, container.labels.get(COMPOSE_PROJECT))
        and _selects_value(select.compose_service, container.labels.get(COMPOSE_SERVICE))
        and (not select.name or matches(select.name, container.name))
        and _selects_labels(select.labels, container.labels)
    )


def selects_image(policy: ImagePolicy, image: Image, classes: frozenset[ImageClass]) -> bool:
    """Return whether a policy is about an image, which is of these classes."""
    select = policy.select
    return (
        (not select.class_ or not classes.isdisjoint(select.class_))
        and (not select.repository or _all_match(select.repository, map(repository_names, image.references)))
        and (not select.tag or _all_match(select.tag, ((split_tag(tag)[1],) for tag in image.tags)))
        and (not select.reference or _all_match(select.reference, map(spellings, _references(image))))
        and (select.pullable is None or select.pullable == bool(image.digests))
        and _selects_labels(select.labels, image.labels)
    )


def _references(image: Image) -> list[str]:
    """Return an image's references, but for the digests that its tags came with: those go with the tags."""
    tagged = {repository(tag) for tag in image.tags}
    return [*image.tags, *(digest for digest in image.digests if repository(digest) not in tagged)]


def _may_go(container: Container) -> bool:
    """Return whether a container is in a state in which it can go at all, whatever a policy says."""
    return container.inspected and container.status in ("exited", "dead", "created")


def container_clocks(container: Container, now: float) -> dict[ContainerClock, Reading]:
    """Return what a container's clocks show."""
    if not container.inspected:  # the list alone tells neither
        return {"finished_for": None, "never_started_for": None}
    ended = container.status in ("exited", "dead")
    created = container.status == "created" and container.finished_at is None
    return {
        "finished_for": _since(container.finished_at, now) if ended else STOPPED,
        "never_started_for": _since(container.created_at, now) if created else STOPPED,
    }


def image_clocks(image: Image, seen: Observation | None, now: float) -> dict[ImageClock, Reading]:
    """Return what an image's clocks show. Whether a container uses it now is for the protections to say."""
    built = _since(image.created_at, now)
    if seen is None:
        dangling = STOPPED if image.tags else None
        return {"unused_for": None, "arrived_for": None, "dangling_for": dangling, "built_for": built}
    return {
        "built_for": built,
        "unused_for": _since(max(seen.arrived_at, seen.last_used or 0.0), now),
        "arrived_for": _since(seen.arrived_at, now),
        "dangling_for": STOPPED if image.tags else _since(seen.dangling_since, now),
    }


def judge(when: Mapping[Any, float], clocks: Mapping[Any, Reading]) -> Verdict:
    """Return whether every condition holds: each clock shows at least what it needs. What is unknown does not hold."""
    facts = {
        clock: {"elapsed": None if clocks[clock] in (None, STOPPED) else round(clocks[clock] or 0.0, 3), "needs": needs}
        for clock, needs in when.items()
    }
    readings = [(clocks[clock], needs) for clock, needs in when.items()]
    if all(reading is not None and reading >= needs for reading, needs in readings):
        reason = REASONS[next(iter(when))] if when else Reason.OVER_KEEP_LAST
        return Verdict(holds=True, reason=reason, facts=facts)
    # A condition that fails for certain is the better answer than one that nobody knows.
    failed = any(reading is not None and reading < needs for reading, needs in readings)
    return Verdict(holds=False, reason=Reason.CONDITION_NOT_MET if failed else Reason.UNKNOWN_CLOCK, facts=facts)


def judge_container(
    when: Mapping[ContainerClock, float], container: Container, clocks: Mapping[ContainerClock, Reading]
) -> Verdict:
    """Return what conditions say of a container: nothing holds for one that runs, not even no condition at all."""
    verdict = judge(when, clocks)
    if verdict.holds and not _may_go(container):
        return replace(verdict, holds=False, reason=Reason.CONDITION_NOT_MET)
    return verdict


def _since(moment: float | None, now: float) -> Reading:
    # A moment in the future is what a clock that was set back leaves behind: no time has passed.
    return None if moment is None else max(0.0, now - moment)


def _selects_value(patterns: Iterable[str], value: str | None) -> bool:
    return not patterns or (value is not None and matches(patterns, value))


def _all_match(patterns: Sequence[str], spelled: Iterable[Iterable[str]]) -> bool:
    """Return whether every one of some names, each written in several ways, matches any of the globs; none does not."""
    found = [matches(patterns, *ways) for ways in spelled]
    return bool(found) and all(found)


def _selects_labels(select: Labels, labels: Mapping[str, str]) -> bool:
    return (
        (not select.any or matches_label(select.any, labels))
        and all(_label(pattern, labels) for pattern in select.all)
        and not matches_label(select.none, labels)
    )


def _label(pattern: str, labels: Mapping[str, str]) -> bool:
    key, equals, value = pattern.partition("=")
    return any(fnmatchcase(name, key) and (not equals or fnmatchcase(text, value)) for name, text in labels.items())
