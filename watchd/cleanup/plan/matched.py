"""Matches of the patterns and policies of a configuration on a host. Pure."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from watchd.cleanup.plan.host import Host
from watchd.cleanup.plan.rules.names import PROTECTED_BY, SELECTED_BY, NamesOf
from watchd.cleanup.plan.rules.select import selects
from watchd.cleanup.plan.simulation import Simulation
from watchd.config import Cleanup, Policy
from watchd.model import EngineView, Kind, Subject
from watchd.model.names.patterns import matches_label


@dataclass(frozen=True, slots=True)
class Selected:
    """Number of objects that a policy selects, of all of its kind."""

    policy: str
    kind: Kind
    count: int
    of: int


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A pattern that matches no object. `kind`: None for labels of any kind."""

    key: str  # path in the file: "cleanup.protect.images"
    policy: str | None
    pattern: str
    kind: Kind | None


def selected(view: EngineView, cleanup: Cleanup, policies: Collection[str] | None = None) -> Iterator[Selected]:
    """Yield what each policy selects, of those with these names; None: all. Kinds that were not listed are left out."""
    simulation = Simulation(Host.index(view, cleanup, {}, view.taken_at))
    subjects = _by_kind(view)
    for policy in cleanup.policies:
        if policy.kind in subjects and (policies is None or policy.name in policies):
            of_kind = subjects[policy.kind]
            count = sum(selects(policy, each, simulation.classes(each)) for each in of_kind)
            yield Selected(policy.name, policy.kind, count, len(of_kind))


def missing_pressure(view: EngineView, cleanup: Cleanup) -> list[str]:
    """Return the policies for images under pressure that need one for the build cache, which has the same layers."""
    kinds = {policy.kind for policy in cleanup.policies if policy.pressure is not None}
    builds_here = any(record.shared for record in view.build_cache)
    if "build_cache" in kinds or not builds_here:
        return []
    return [policy.name for policy in cleanup.policies if policy.kind == "image" and policy.pressure is not None]


def unmatched(view: EngineView, cleanup: Cleanup, policies: Collection[str] | None = None) -> Iterator[Unmatched]:
    """Yield the patterns that match nothing, in `[cleanup.protect]` and in the policies with these names.

    Nothing is said about a kind that was not listed, or of which there is no object.
    """
    subjects = _by_kind(view)
    for kind, (key, names_of) in PROTECTED_BY.items():
        for pattern in _matching_no_name(getattr(cleanup.protect, key), names_of, subjects.get(kind, ())):
            yield Unmatched(f"cleanup.protect.{key}", None, pattern, kind)
    if PROTECTED_BY.keys() <= subjects.keys():  # a label may be on an object of any kind
        everything = [each for of_kind in subjects.values() for each in of_kind]
        for pattern in _matching_no_label(cleanup.protect.labels, everything):
            yield Unmatched("cleanup.protect.labels", None, pattern, None)
    for index, policy in enumerate(cleanup.policies):
        if policies is None or policy.name in policies:
            yield from _unmatched_by(policy, f"cleanup.policies[{index}].select", subjects.get(policy.kind, ()))


def _unmatched_by(policy: Policy, path: str, subjects: Sequence[Subject]) -> Iterator[Unmatched]:
    for key, names_of in SELECTED_BY[policy.kind].items():
        for pattern in _matching_no_name(getattr(policy.select, key), names_of, subjects):
            yield Unmatched(f"{path}.{key}", policy.name, pattern, policy.kind)
    if policy.kind != "build_cache":
        for which, patterns in policy.select.labels.given().items():
            for pattern in _matching_no_label(patterns, subjects):
                yield Unmatched(f"{path}.labels.{which}", policy.name, pattern, policy.kind)


def _matching_no_name(patterns: Sequence[str], names_of: NamesOf, subjects: Sequence[Subject]) -> Iterator[str]:
    if patterns and subjects:
        names = [name for subject in subjects for name in names_of(subject)]
        yield from (pattern for pattern in patterns if not any(name.matches(pattern) for name in names))


def _matching_no_label(patterns: Sequence[str], subjects: Sequence[Subject]) -> Iterator[str]:
    if patterns and subjects:
        labels = {label for subject in subjects for label in subject.labels.items()}
        yield from (pattern for pattern in patterns if not any(matches_label(pattern, *label) for label in labels))


def _by_kind(view: EngineView) -> dict[Kind, list[Subject]]:
    """Return the objects of each kind of which the list is complete."""
    found: dict[Kind, list[Subject]] = {kind: [] for kind in view.kinds if kind not in view.failures}
    for subject in view.subjects():
        if subject.kind in found:
            found[subject.kind].append(subject)
    return found
