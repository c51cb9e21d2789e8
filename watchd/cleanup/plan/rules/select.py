"""The objects that a policy selects: patterns, labels, and the `select` of each kind. Pure."""

from collections.abc import Mapping

from watchd.cleanup.plan.rules.names import SELECTED_BY
from watchd.config import CachePolicy, ContainerPolicy, ImagePolicy, NetworkPolicy, Policy, VolumePolicy
from watchd.config.schema.policies import Labels
from watchd.model import CacheRecord, Container, Image, ImageClass, Network, Subject, Volume
from watchd.model.names.patterns import EXCLUDES, included_labels, includes, matches_label

_NO_CLASS: frozenset[ImageClass] = frozenset()


def selects(policy: Policy, subject: Subject, classes: frozenset[ImageClass] = _NO_CLASS) -> bool:
    """Return whether a policy selects an object. `classes` are those of an image."""
    match subject:
        case Container():
            fits = isinstance(policy, ContainerPolicy) and _fits_container(policy, subject)
        case Image():
            fits = isinstance(policy, ImagePolicy) and _fits_image(policy, subject, classes)
        case Network():
            fits = isinstance(policy, NetworkPolicy)
        case Volume():
            fits = isinstance(policy, VolumePolicy) and _fits_volume(policy, subject)
        case CacheRecord():
            fits = isinstance(policy, CachePolicy)
    return fits and _fits_names(policy, subject) and _fits_labels(policy, subject)


def _fits_container(policy: ContainerPolicy, container: Container) -> bool:
    select = policy.select
    return (not select.status or container.status in select.status) and (
        not select.exit_code or container.exit_code in select.exit_code
    )


def _fits_image(policy: ImagePolicy, image: Image, classes: frozenset[ImageClass]) -> bool:
    select = policy.select
    return (not select.class_ or not classes.isdisjoint(select.class_)) and (
        select.pullable is None or select.pullable is image.pullable
    )


def _fits_volume(policy: VolumePolicy, volume: Volume) -> bool:
    anonymous = False if policy.select.named else policy.select.anonymous
    return (
        anonymous in (None, volume.is_anonymous)
        and policy.select.driver in (None, volume.driver)
        and (not policy.select.class_ or volume.builder is not None)
    )


def _fits_names(policy: Policy, subject: Subject) -> bool:
    """Return whether every name of an object is included, for each key. What has no such name is not selected."""
    for key, names_of in SELECTED_BY[subject.kind].items():
        patterns = getattr(policy.select, key)
        if patterns:
            names = names_of(subject)
            if not names or not all(includes(patterns, name) for name in names):
                return False
    return True


def _fits_labels(policy: Policy, subject: Subject) -> bool:
    if policy.kind == "build_cache":
        return True
    select = policy.select.labels
    return (
        (not select.any or bool(included_labels(select.any, subject.labels)))
        and (not select.all or _has_all(select, subject.labels))
        and (not select.none or not included_labels(select.none, subject.labels))
    )


def _has_all(select: Labels, labels: Mapping[str, str]) -> bool:
    """Return whether each pattern that is no exclusion matches a label that is not excluded."""
    included = included_labels(select.all, labels)
    wanted = [pattern for pattern in select.all if not pattern.startswith(EXCLUDES)]
    return all(any(matches_label(pattern, *label) for label in included.items()) for pattern in wanted)
