"""What the `keep` rules of policies spare: the last few, what is recent, the newest of each repository. Pure.

A rule counts all that its policy selects, also what is protected otherwise: of three versions with the newest in use,
`last = 2` keeps that one and the one before it.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from watchd.config import ImagePolicy, Policy
from watchd.model import COMPOSE_PROJECT, COMPOSE_SERVICE, Image, Key, Observation, Subject
from watchd.prune.policy import arrived, last_used, selects
from watchd.prune.references import normalize, repository

Spared = dict[Key, Mapping[str, Any]]  # the rule that spares it
Moments = Sequence[tuple[Subject, float]]
_NUMBER = re.compile(r"[-_.]?\d+$")
_UNTAGGED = frozenset(("untagged", "dangling"))  # which of the two may change while a plan is made: rules count both


def spared(
    policies: Iterable[Policy],
    subjects: Iterable[Subject],
    seen: Callable[[Subject], Observation | None],
    now: float,
) -> Spared:
    """Return what rules spare. The last ones are those that are in use, or were last of use, or nobody knows when.

    Of images the last ones are those that arrived last, and of those the last built.
    """
    with_rules = [policy for policy in policies if policy.keep is not None]
    if not with_rules:
        return {}
    by_kind: dict[str, list[tuple[Subject, float]]] = {}
    for subject in subjects:
        observation = seen(subject)
        moment = arrived(subject, observation) if isinstance(subject, Image) else last_used(subject, observation)
        by_kind.setdefault(subject.kind, []).append((subject, math.inf if moment is None else moment))
    spared_: Spared = {}
    for policy in with_rules:
        all_of_kind = _last_first(by_kind.get(policy.kind, ()))
        selected = [pair for pair in all_of_kind if selects(policy, pair[0], _possible_classes(pair[0]))]
        _spare(spared_, policy, selected, now)
        if isinstance(policy, ImagePolicy) and policy.keep is not None and policy.keep.newest_tag:
            _spare_newest(spared_, policy, selected, all_of_kind)
    return spared_


def _spare_newest(spared_: Spared, policy: ImagePolicy, selected: Moments, images: Moments) -> None:
    newest: dict[str, Key] = {}
    for image, _ in images:
        if isinstance(image, Image) and image.tags:
            for group in _repositories(image):
                newest.setdefault(group, image.key)
    for image, _ in selected:
        of = [group for group in _repositories(image) if newest.get(group) == image.key]
        if of:
            spared_.setdefault(image.key, {"policy": policy.name, "keep": "newest_tag", "of": of[0]})


def _spare(spared_: Spared, policy: Policy, selected: Moments, now: float) -> None:
    keep = policy.keep
    assert keep is not None  # noqa: S101 - callers have seen to it
    counts: Counter[str] = Counter()
    for subject, moment in selected:
        for group in _groups(keep.grouping, subject):
            counts[group] += 1
            if keep.last is not None and counts[group] <= keep.last:
                facts = {"policy": policy.name, "keep": "last", "counter": f"{counts[group]} of {keep.last}"}
                spared_.setdefault(subject.key, {**facts, "of": group} if group else facts)
        age = max(0.0, now - moment)
        if keep.within is not None and age < keep.within:
            facts_within = {"elapsed": round(age, 3), "needs": keep.within}
            spared_.setdefault(subject.key, {"policy": policy.name, "keep": "within", "within": facts_within})


def _last_first(subjects: Iterable[tuple[Subject, float]]) -> Moments:
    """Return what comes last first, with its moment, in an order that the input's does not change."""
    return sorted(subjects, key=lambda pair: (pair[1], pair[0].created_at or 0.0, pair[0].id), reverse=True)


def _groups(per: str | None, subject: Subject) -> Iterable[str]:
    if per == "name":  # names are unique: `build-4711` and `build-4712` are two of `build`
        return (_NUMBER.sub("", subject.name) or subject.name,)
    if per == "compose_service":
        parts = (subject.labels.get(COMPOSE_PROJECT, ""), subject.labels.get(COMPOSE_SERVICE, ""))
        return ("/".join(parts) if any(parts) else "",)
    if per == "repository":
        return _repositories(subject) or ("",)
    return ("",)


def _repositories(image: Subject) -> tuple[str, ...]:
    return tuple(sorted({repository(normalize(reference)) for reference in image.names}))


def _possible_classes(subject: Subject) -> frozenset[Any]:
    if not isinstance(subject, Image):
        return frozenset()
    if subject.tags:
        return frozenset(("tagged",))
    return frozenset(("untagged", "digest_only")) if subject.digests else _UNTAGGED
