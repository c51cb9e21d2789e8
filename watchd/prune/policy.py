"""What a policy says of one object: whether its select and its when hold. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from watchd.config import (
    CachePolicy,
    Clock,
    ContainerPolicy,
    ImagePolicy,
    NetworkPolicy,
    Policy,
    VolumePolicy,
)
from watchd.config.policies import Labels
from watchd.model import (
    COMPOSE_PROJECT,
    COMPOSE_SERVICE,
    CacheRecord,
    Container,
    Image,
    ImageClass,
    Network,
    Observation,
    Subject,
    Volume,
)
from watchd.prune.plan import Reason
from watchd.prune.references import repository, repository_names, spellings, split_tag

# What a clock shows: seconds, None where its source is unknown, or STOPPED where it does not run at all (a running
# container has not finished, a tagged image does not dangle). STOPPED is less than every duration, 0s included.
Reading = float | None
STOPPED = -math.inf

REASONS: Mapping[Clock, Reason] = {
    "finished_for": Reason.EXITED_TOO_LONG,
    "never_started_for": Reason.NEVER_STARTED,
    "dangling_for": Reason.DANGLING_TOO_LONG,
    "unused_for": Reason.UNUSED_TOO_LONG,
    "arrived_for": Reason.ARRIVED_TOO_LONG,
    "built_for": Reason.BUILT_TOO_LONG,
}


@dataclass(slots=True)
class Verdict:
    """What the conditions of a policy say of an object it selects. `facts` has each clock and what it needs.

    Nobody changes it: it is not frozen, since that takes three times as long to make, and a plan makes thousands.
    """

    holds: bool
    reason: Reason
    facts: Mapping[str, Any]


def matches(patterns: Sequence[str], *texts: str) -> bool:
    """Return whether any of the globs matches any of the texts, case and all."""
    return bool(patterns) and any(fnmatchcase(text, pattern) for pattern in patterns for text in texts)


def matches_label(patterns: Sequence[str], labels: Mapping[str, str]) -> bool:
    """Return whether any of the globs, each "key" or "key=value", matches any of the labels."""
    return bool(patterns and labels) and any(_label(pattern, labels) for pattern in patterns)


def selects(policy: Policy, subject: Subject, classes: frozenset[ImageClass] = frozenset()) -> bool:
    """Return whether a policy is about an object; of an image, with the classes that it is of."""
    match subject:  # first, since to tell the class of a policy takes much longer
        case Container():
            return isinstance(policy, ContainerPolicy) and _selects_container(policy, subject)
        case Image():
            return isinstance(policy, ImagePolicy) and _selects_image(policy, subject, classes)
        case Network():
            return isinstance(policy, NetworkPolicy) and _selects_by_name(policy, subject)
        case Volume():
            return isinstance(policy, VolumePolicy) and _selects_volume(policy, subject)
        case CacheRecord():
            return isinstance(policy, CachePolicy) and _selects_value(policy.select.type, subject.type)


def _selects_container(policy: ContainerPolicy, container: Container) -> bool:
    select = policy.select
    return (
        (not select.status or container.status in select.status)
        and (not select.exit_code or container.exit_code in select.exit_code)
        and _selects_value(select.compose_project, container.labels.get(COMPOSE_PROJECT))
        and _selects_value(select.compose_service, container.labels.get(COMPOSE_SERVICE))
        and (not select.name or matches(select.name, container.name))
        and _selects_labels(select.labels, container.labels)
    )


def _selects_image(policy: ImagePolicy, image: Image, classes: frozenset[ImageClass]) -> bool:
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


def _selects_volume(policy: VolumePolicy, volume: Volume) -> bool:
    anonymous = False if policy.select.named else policy.select.anonymous
    return anonymous in (None, volume.is_anonymous) and _selects_by_name(policy, volume)


def _selects_by_name(policy: NetworkPolicy | VolumePolicy, subject: Network | Volume) -> bool:
    select = policy.select
    return (
        (not select.name or matches(select.name, subject.name))
        and _selects_value(select.compose_project, subject.labels.get(COMPOSE_PROJECT))
        and _selects_labels(select.labels, subject.labels)
    )


def clocks(subject: Subject, seen: Observation | None, now: float) -> dict[Clock, Reading]:
    """Return what an object's clocks show. Whether something uses it now is for the protections to say."""
    match subject:
        case Container():
            return _container_clocks(subject, now)
        case CacheRecord():  # BuildKit itself keeps account
            last_used = subject.last_used_at or subject.created_at
            return {"unused_for": _since(last_used, now), "arrived_for": _since(subject.created_at, now)}
    arrived = None if seen is None else seen.arrived_at
    used = None if seen is None else max(seen.arrived_at, seen.last_used or 0.0)
    readings: dict[Clock, Reading] = {"unused_for": _since(used, now), "arrived_for": _since(arrived, now)}
    if isinstance(subject, Image):
        dangling = None if seen is None else seen.dangling_since
        readings["dangling_for"] = STOPPED if subject.tags else _since(dangling, now)
        readings["built_for"] = _since(subject.created_at, now)
    return readings


def _container_clocks(container: Container, now: float) -> dict[Clock, Reading]:
    if not container.inspected:  # the list alone tells neither
        return {"finished_for": None, "never_started_for": None}
    ended = container.status in ("exited", "dead")
    created = container.status == "created" and container.finished_at is None
    return {
        "finished_for": _since(container.finished_at, now) if ended else STOPPED,
        "never_started_for": _since(container.created_at, now) if created else STOPPED,
    }


def last_used(subject: Subject, seen: Observation | None) -> float | None:
    """Return when an object was last of use, in seconds since the epoch; infinity where it is now, None: unknown."""
    match subject:
        case Container():
            if subject.is_running or not subject.inspected:
                return math.inf
            return subject.finished_at or subject.created_at
        case CacheRecord():
            return subject.last_used_at or subject.created_at
    return None if seen is None else max(seen.arrived_at, seen.last_used or 0.0)


def arrived(subject: Subject, seen: Observation | None) -> float | None:
    """Return when an object came to this host, in seconds since the epoch; None: unknown."""
    if isinstance(subject, Container | CacheRecord):
        return subject.created_at
    return None if seen is None else seen.arrived_at


def judge(policy: Policy, subject: Subject, readings: Mapping[Clock, Reading]) -> Verdict:
    """Return whether every condition holds: each clock shows at least what it needs. What is unknown does not hold.

    Nothing holds for a container that runs, not even no condition at all. A policy with a pressure never acts without.
    """
    when: Mapping[Any, float] = policy.when
    facts: dict[str, Any] = {}
    unknown = failed = False
    for clock, needs in when.items():
        reading = readings[clock]
        if reading is None:
            facts[clock] = {"elapsed": None, "needs": needs}
            unknown = True
        elif reading == STOPPED:
            facts[clock] = {"elapsed": None, "needs": needs, "stopped": True}
            failed = True
        else:
            facts[clock] = {"elapsed": round(reading, 3), "needs": needs}
            failed = failed or reading < needs
    if not unknown and not failed:
        if not _may_go(subject):
            return Verdict(holds=False, reason=Reason.CONDITION_NOT_MET, facts=facts)
        if policy.pressure is not None:
            return Verdict(holds=False, reason=Reason.BELOW_WATERMARK, facts=facts)
        return Verdict(holds=True, reason=reason_of(policy), facts=facts)
    # A condition that fails for certain is the better answer than one that nobody knows.
    return Verdict(holds=False, reason=Reason.CONDITION_NOT_MET if failed else Reason.UNKNOWN_CLOCK, facts=facts)


def reason_of(policy: Policy) -> Reason:
    """Return why a policy's objects go: for room where it has a pressure, else by the first of its conditions."""
    if policy.pressure is not None:
        return Reason.PRESSURE
    return REASONS[next(iter(policy.when))] if policy.when else Reason.OVER_KEEP_LAST


def _may_go(subject: Subject) -> bool:
    """Return whether an object is in a state in which it can go at all, whatever a policy says."""
    if not isinstance(subject, Container):
        return True
    return subject.inspected and subject.status in ("exited", "dead", "created")


def _since(moment: float | None, now: float) -> Reading:
    if moment is None:
        return None
    # A moment in the future is what a clock that was set back leaves behind: no time has passed.
    return now - moment if moment < now else 0.0


def _selects_value(patterns: Sequence[str], value: str | None) -> bool:
    return not patterns or (value is not None and matches(patterns, value))


def _all_match(patterns: Sequence[str], spelled: Iterable[Iterable[str]]) -> bool:
    """Return whether every one of some names, each written in several ways, matches any of the globs; none does not."""
    found = [matches(patterns, *ways) for ways in spelled]
    return bool(found) and all(found)


def _selects_labels(select: Labels, labels: Mapping[str, str]) -> bool:
    if not (select.any or select.all or select.none):
        return True
    return (
        (not select.any or matches_label(select.any, labels))
        and all(_label(pattern, labels) for pattern in select.all)
        and not matches_label(select.none, labels)
    )


def _label(pattern: str, labels: Mapping[str, str]) -> bool:
    key, equals, value = pattern.partition("=")
    return any(fnmatchcase(name, key) and (not equals or fnmatchcase(text, value)) for name, text in labels.items())
