"""What the `keep` rules of policies spare: the last few, what is recent, the newest of each repository. Pure.

A rule counts all that its policy selects, also what is protected otherwise: of three versions with the newest in use,
`last = 2` keeps that one and the one before it.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from watchd.config import ContainerPolicy, ImagePolicy
from watchd.model import COMPOSE_PROJECT, COMPOSE_SERVICE, Container, Image, Observation
from watchd.prune.policy import selects_container, selects_image
from watchd.prune.references import normalize, repository

T = TypeVar("T", Container, Image)
Spared = dict[str, Mapping[str, Any]]  # by ID: the rule that spares it
_NUMBER = re.compile(r"[-_.]?\d+$")
_UNTAGGED = frozenset(("untagged", "dangling"))  # which of the two may change while a plan is made: rules count both


def spared_containers(policies: Iterable[ContainerPolicy], containers: Sequence[Container], now: float) -> Spared:
    """Return the containers that rules spare. The last ones are those that run, or ran last, or nobody knows when."""

    def moment(container: Container) -> float:
        ended = container.finished_at or container.created_at
        return math.inf if container.is_running or not container.inspected or ended is None else ended

    spared: Spared = {}
    for policy in policies:
        if policy.keep is not None:
            selected = _last_first([c for c in containers if selects_container(policy, c)], moment)
            _spare(spared, policy, selected, _container_groups, now)
    return spared


def spared_images(
    policies: Iterable[ImagePolicy], images: Sequence[Image], seen: Callable[[str], Observation | None], now: float
) -> Spared:
    """Return the images that rules spare. The last ones are those that arrived last, and of those the last built."""

    def moment(image: Image) -> float:
        observation = seen(image.id)
        return math.inf if observation is None else observation.arrived_at

    spared: Spared = {}
    for policy in policies:
        if policy.keep is None:
            continue
        selected = _last_first([i for i in images if selects_image(policy, i, _possible_classes(i))], moment)
        _spare(spared, policy, selected, _image_groups, now)
        if policy.keep.newest_tag:
            newest: dict[str, str] = {}
            for image, _ in _last_first([image for image in images if image.tags], moment):
                for group in _repositories(image):
                    newest.setdefault(group, image.id)
            for image, _ in selected:
                of = [group for group in _repositories(image) if newest.get(group) == image.id]
                if of:
                    spared.setdefault(image.id, {"policy": policy.name, "keep": "newest_tag", "of": of[0]})
    return spared


def _spare(
    spared: Spared,
    policy: ContainerPolicy | ImagePolicy,
    selected: Sequence[tuple[T, float]],
    groups: Callable[[str | None, T], Iterable[str]],
    now: float,
) -> None:
    keep = policy.keep
    assert keep is not None  # noqa: S101 - callers have seen to it
    counts: Counter[str] = Counter()
    for subject, moment in selected:
        for group in groups(keep.grouping, subject):
            counts[group] += 1
            if keep.last is not None and counts[group] <= keep.last:
                facts = {"policy": policy.name, "keep": "last", "counter": f"{counts[group]} of {keep.last}"}
                spared.setdefault(subject.id, {**facts, "of": group} if group else facts)
        age = max(0.0, now - moment)
        if keep.within is not None and age < keep.within:
            facts_within = {"elapsed": round(age, 3), "needs": keep.within}
            spared.setdefault(subject.id, {"policy": policy.name, "keep": "within", "within": facts_within})


def _last_first(subjects: Iterable[T], moment: Callable[[T], float]) -> list[tuple[T, float]]:
    """Return what comes last first, with its moment, in an order that the input's does not change."""
    return sorted(
        ((subject, moment(subject)) for subject in subjects),
        key=lambda pair: (pair[1], pair[0].created_at or 0.0, pair[0].id),
        reverse=True,
    )


def _container_groups(per: str | None, container: Container) -> Iterable[str]:
    if per == "name":  # names are unique: `build-4711` and `build-4712` are two of `build`
        return (_NUMBER.sub("", container.name) or container.name,)
    if per == "compose_service":
        labels = container.labels
        parts = (labels.get(COMPOSE_PROJECT, ""), labels.get(COMPOSE_SERVICE, ""))
        return ("/".join(parts) if any(parts) else "",)
    return ("",)


def _image_groups(per: str | None, image: Image) -> Iterable[str]:
    return (_repositories(image) or ("",)) if per == "repository" else ("",)


def _repositories(image: Image) -> tuple[str, ...]:
    return tuple(sorted({repository(normalize(reference)) for reference in image.references}))


def _possible_classes(image: Image) -> frozenset[Any]:
    if image.tags:
        return frozenset(("tagged",))
    return frozenset(("untagged", "digest_only")) if image.digests else _UNTAGGED
