"""Keep rules: objects that match are not removed by any policy. Pure.

A rule counts everything that its policy selects, even objects protected otherwise: of three versions with the newest in
use, `last = 2` keeps that one and the one before it.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from watchd.cleanup.plan.rules.conditions import arrived, last_used
from watchd.cleanup.plan.rules.select import selects
from watchd.config import ImagePolicy, Policy
from watchd.config.schema.keep import ImageKeep
from watchd.config.schema.values import LABEL_GROUP
from watchd.model import COMPOSE_PROJECT, COMPOSE_SERVICE, Image, Key, Observation, Observations, Subject
from watchd.model.names.references import normalize, repository, split_tag
from watchd.model.names.versions import Version, parse_version

Kept = dict[Key, Mapping[str, Any]]  # the facts of the first rule that keeps an object
_Dated = Sequence[tuple[Subject, float]]  # with the time that rules go by, infinity if unknown
_NUMBER = re.compile(r"[-_.]?\d+$")
_WATCHED_LONG = 7 * 86400.0  # seconds
_UNTAGGED = frozenset(("untagged", "dangling"))  # planned removals may turn one into the other: rules count both


def kept_by_rules(
    policies: Iterable[Policy],
    subjects: Iterable[Subject],
    observations: Observations,
    now: float,
) -> Kept:
    """Return the objects that rules keep. "Last" means last used, in use or unknown; for images, last arrived."""
    with_rules = [policy for policy in policies if policy.keep is not None]
    if not with_rules:
        return {}
    by_kind: dict[str, list[tuple[Subject, float]]] = {}
    unknown: Kept = {}
    for subject in subjects:
        observation = observations.get((subject.kind, subject.identity))
        moment = arrived(subject, observation) if isinstance(subject, Image) else last_used(subject, observation)
        by_kind.setdefault(subject.kind, []).append((subject, math.inf if moment is None else moment))
        if facts := _unknown_repository(subject, observation, now):
            unknown[subject.key] = facts
    kept: Kept = {}
    for policy in with_rules:
        of_kind = _last_first(by_kind.get(policy.kind, ()))
        selected = [pair for pair in of_kind if selects(policy, pair[0], _possible_classes(pair[0]))]
        _keep_last_and_recent(kept, policy, selected, unknown, now)
        if isinstance(policy, ImagePolicy) and policy.keep is not None and policy.keep.newest_tag:
            _keep_newest(kept, policy, selected, of_kind)
    return kept


def _keep_newest(kept: Kept, policy: ImagePolicy, selected: _Dated, images: _Dated) -> None:
    newest: dict[str, Key] = {}
    for image, _ in images:
        if isinstance(image, Image) and image.tags:
            for group in repositories_of(image):
                newest.setdefault(group, image.key)
    for image, _ in selected:
        of = [group for group in repositories_of(image) if newest.get(group) == image.key]
        if of:
            kept.setdefault(image.key, {"policy": policy.name, "keep": "newest_tag", "of": of[0]})


def _keep_last_and_recent(kept: Kept, policy: Policy, selected: _Dated, unknown: Kept, now: float) -> None:
    keep = policy.keep
    assert keep is not None  # noqa: S101 - checked by the caller
    if isinstance(keep, ImageKeep) and keep.by == "version":
        _keep_last_versions(kept, policy.name, keep, selected)
    elif keep.last is not None:
        alone = unknown if keep.grouping == "repository" else {}  # each a group of its own
        for subject, _ in selected:
            if subject.key in alone:
                kept.setdefault(subject.key, {"policy": policy.name, "keep": "last", **alone[subject.key]})
        grouped = [pair for pair in selected if pair[0].key not in alone]
        _keep_last(kept, policy.name, keep.last, keep.grouping, grouped)
    for subject, moment in selected:
        age = max(0.0, now - moment)
        if keep.within is not None and age < keep.within:
            within = {"elapsed": round(age, 3), "needs": keep.within}
            kept.setdefault(subject.key, {"policy": policy.name, "keep": "within", "within": within})


def _keep_last(kept: Kept, policy: str, last: int, per: str | None, selected: _Dated) -> None:
    counts: Counter[str] = Counter()
    for subject, _ in selected:
        groups = groups_of(per, subject)
        if not groups:
            kept.setdefault(subject.key, {"policy": policy, "keep": "last", "without": per})
        for group in groups:
            counts[group] += 1
            if counts[group] <= last:
                facts = {"policy": policy, "keep": "last", "counter": f"{counts[group]} of {last}"}
                kept.setdefault(subject.key, {**facts, "of": group} if group else facts)


def _keep_last_versions(kept: Kept, policy: str, keep: ImageKeep, selected: _Dated) -> None:
    """Keep the highest versions of each group and variant, and images with a tag that is no version."""
    ranked: dict[tuple[str, str], dict[Key, tuple[Version, str]]] = defaultdict(dict)
    for image, _ in selected:
        versions = {tag: parse_version(split_tag(tag)[1]) for tag in _last_tags(image)}
        groups = groups_of(keep.per, image)
        without = next((tag for tag, version in versions.items() if version is None), None)
        if not versions or without or not groups:
            facts = {"without": keep.per} if not groups else {"without": "version", "tag": without or "<none>"}
            kept.setdefault(image.key, {"policy": policy, "keep": "last", **facts})
        for tag, version in versions.items():
            for group in groups if keep.per != "repository" else (repository(normalize(tag)),):
                if version is not None:
                    best = ranked[group, version.variant].get(image.key)
                    if best is None or best[0].key < version.key:
                        ranked[group, version.variant][image.key] = (version, tag)
    for (group, variant), found in ranked.items():
        highest = sorted(found.items(), key=lambda entry: entry[1][0].key, reverse=True)  # stable: ties by arrival
        for number, (key, (_, tag)) in enumerate(highest[: keep.last], start=1):
            facts = {"policy": policy, "keep": "last", "counter": f"{number} of {keep.last}", "by": "version"}
            facts |= {"tag": tag, **({"of": group} if group else {}), **({"variant": variant} if variant else {})}
            kept.setdefault(key, facts)


def _last_first(subjects: Iterable[tuple[Subject, float]]) -> _Dated:
    """Sort the last first, then by creation time and ID, so that the order of the input does not matter."""
    return sorted(subjects, key=lambda pair: (pair[1], pair[0].created_at or 0.0, pair[0].id), reverse=True)


def groups_of(per: str | None, subject: Subject) -> Sequence[str]:
    """Return the groups that an object counts in; none for an object without the label of `per`."""
    if per is not None and per.startswith(LABEL_GROUP):
        key = per.removeprefix(LABEL_GROUP)
        value = subject.labels.get(key)
        return () if value is None else (f"{key}={value}",)
    if per == "name":  # names are unique: `build-4711` and `build-4712` both belong to `build`
        return (_NUMBER.sub("", subject.name) or subject.name,)
    if per == "compose_service":
        parts = (subject.labels.get(COMPOSE_PROJECT, ""), subject.labels.get(COMPOSE_SERVICE, ""))
        return ("/".join(parts) if any(parts) else "",)
    if per == "repository":
        return repositories_of(subject) or ("",)
    return ("",)


def repositories_of(image: Subject) -> tuple[str, ...]:
    """Return the repositories of an image, by its last references."""
    references = image.last_references if isinstance(image, Image) else ()
    return tuple(sorted({repository(normalize(reference)) for reference in references}))


def _last_tags(image: Subject) -> tuple[str, ...]:
    references = image.last_references if isinstance(image, Image) else ()
    return tuple(reference for reference in references if "@" not in reference)


def _unknown_repository(subject: Subject, observation: Observation | None, now: float) -> Mapping[str, Any] | None:
    """Return for how long watchd has seen an image of which it never saw a reference; None if that is long enough."""
    if not isinstance(subject, Image) or subject.last_references:
        return None
    since = observation.dangling_since if observation else None
    elapsed = 0.0 if since is None else max(0.0, now - since)
    reading = {"elapsed": round(elapsed, 3), "needs": _WATCHED_LONG}
    return {"repository_unknown_for": reading} if elapsed < _WATCHED_LONG else None


def _possible_classes(subject: Subject) -> frozenset[Any]:
    if not isinstance(subject, Image):
        return frozenset()
    if subject.tags:
        return frozenset(("tagged",))
    return frozenset(("untagged", "digest_only")) if subject.digests else _UNTAGGED
