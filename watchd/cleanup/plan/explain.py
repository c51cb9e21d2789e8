"""Explanation of one decision: the result of every protection and every policy for the object. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from watchd.cleanup.plan.builds import Builds, builds_on
from watchd.cleanup.plan.decision import evaluate
from watchd.cleanup.plan.host import Host
from watchd.cleanup.plan.plan import Decision, Facts, Item, Plan
from watchd.cleanup.plan.reasons import Reason
from watchd.cleanup.plan.rules.conditions import Evaluation
from watchd.cleanup.plan.rules.protections import PROTECTIONS, opts_out
from watchd.cleanup.plan.rules.watermarks import active_watermarks
from watchd.cleanup.plan.simulation import Simulation
from watchd.cleanup.plan.space.sharing import Sharing, sharing_of
from watchd.config import Cleanup, Policy
from watchd.errors import UsageError, WatchdError
from watchd.model import EngineView, Image, Kind, Observations, Regret, Subject
from watchd.model.names.references import FEWEST_DIGITS, abbreviates, normalize, split_tag, too_few_digits
from watchd.model.objects.parts import Part

_NEAREST = 3  # names


class NoSuchObject(WatchdError):
    """The reference matches no object of the engine."""


@dataclass(frozen=True, slots=True)
class ProtectionCheck:
    """Result of one protection."""

    reason: Reason
    facts: Facts | None  # None: it does not apply
    removed_first: tuple[str, ...] = ()  # names of users or children that the plan removes before the object


@dataclass(frozen=True, slots=True)
class PolicyCheck:
    """Result of one policy."""

    policy: str
    mode: str
    result: Evaluation | None  # None: it does not select the object
    held_back_by: tuple[Reason, ...]  # protections that apply and that the policy does not opt out of


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision about one object with all checks, in their order."""

    item: Item
    protections: tuple[ProtectionCheck, ...]
    policies: tuple[PolicyCheck, ...]
    honor_labels: bool = True
    quiet_until: float | None = None  # end of the quiet hours in seconds since the epoch; None: outside of them
    now: float = 0.0  # seconds since the epoch
    builds: Builds | None = None  # images that were built on it
    disk_unknown: str = ""  # why the disk that the object is on is not known, and what would help
    regret: Regret | None = None  # the last one of it, if a policy removed it, or would have, and it was needed again
    sharing: Sharing | None = None  # of an image, if its layers are known
    parts: tuple[Part, ...] = ()  # of an image with several, or with attestations
    clocks_run: bool = True  # false: those that watchd observes stand still, since nobody watches


def find(view: EngineView, reference: str, kind: Kind | None = None) -> list[Subject]:
    """Return the objects with this container name, image reference, other name, or ID prefix: the first that matches.

    Several if it is ambiguous: a volume and a network may have the same name.
    """
    full = normalize(reference)
    subjects = [subject for subject in view.subjects() if kind in (None, subject.kind)]
    return (
        [subject for subject in subjects if subject.kind == "container" and subject.name == reference]
        or [each for each in subjects if isinstance(each, Image) and full in map(normalize, each.references)]
        or [subject for subject in subjects if subject.name == reference]
        or [subject for subject in subjects if abbreviates(reference, subject.id)]
    )


def find_one(view: EngineView, reference: str, kind: Kind | None = None) -> Subject:
    """Return the object with this reference. Raise `UsageError` if several match, `NoSuchObject` if none does."""
    found = find(view, reference, kind)
    if len(found) > 1:
        names = ", ".join(
            f"{subject.kind} {subject.name} ({subject.id.removeprefix('sha256:')[:12]})" for subject in found
        )
        raise UsageError(f"{reference!r} is ambiguous: {names}. Give --kind, or the ID of one")
    if not found:
        failed = "".join(f"; the {kind}s could not be listed: {error}" for kind, error in view.failures.items())
        short = f"; an ID prefix needs {FEWEST_DIGITS} digits" if too_few_digits(reference) else ""
        what = f"there is no {kind or 'container, image, network or volume'} {reference!r}"
        raise NoSuchObject(f"{what}{short}{_nearest(view, reference, kind)}{failed}")
    return found[0]


def _nearest(view: EngineView, reference: str, kind: Kind | None) -> str:
    """Return the names that are most like a reference, as a question; empty where none is."""
    from difflib import get_close_matches  # noqa: PLC0415 - only for a name that is not there

    names = dict(pair for each in view.subjects() if kind in (None, each.kind) for pair in _names(each))
    near = get_close_matches(reference, sorted(names), n=_NEAREST, cutoff=0.7)
    near += sorted(name for name in names if reference and reference in name and name not in near)
    found = list(dict.fromkeys(names[name] for name in near))
    return f"; did you mean {' or '.join(found[:_NEAREST])}?" if found else ""


def _names(subject: Subject) -> Iterator[tuple[str, str]]:
    """Yield the names that a person may type for an object, each with the name that finds it: a tag may be left out."""
    if not isinstance(subject, Image):
        yield subject.name, subject.name
        return
    for reference in subject.references:
        yield from ((reference, reference), (split_tag(reference)[0], reference))


def explain(  # noqa: PLR0913 - the input of the plan, and the plan
    subject: Subject,
    plan: Plan,
    view: EngineView,
    cleanup: Cleanup,
    observations: Observations,
    *,
    quiet_until: float | None = None,
) -> Explanation:
    """Explain a plan's decision about one object of the view that the plan was made from."""
    host = Host.index(view, cleanup, observations, plan.created_at)
    removed = {
        item.subject: Decision(removes=True, reason=item.reason, facts=item.facts, policy=item.policy, mode=item.mode)
        for item in plan.in_force
        if item.action == "remove" and item.subject != subject.key
    }
    simulation = Simulation(host, removed)
    protections = tuple(
        _protection_check(reason, check(subject, simulation), subject, host)
        for reason, check in PROTECTIONS[subject.kind]
    )
    applying = [(check.reason, check.facts) for check in protections if check.facts is not None]
    item = next(item for item in plan.items if item.subject == subject.key and item.action != "untag")
    policies = tuple(
        _policy_check(policy, subject, item, simulation, applying)
        for policy in cleanup.policies
        if policy.kind == subject.kind
    )
    builds = builds_on(subject, host) if isinstance(subject, Image) else None
    disk_unknown = view.unmeasured.get(subject.kind, "")
    return Explanation(
        item,
        protections,
        policies,
        cleanup.honor_labels,
        quiet_until,
        host.now,
        builds,
        disk_unknown,
        sharing=sharing_of(subject, host) if isinstance(subject, Image) else None,
    )


def _policy_check(
    policy: Policy, subject: Subject, item: Item, simulation: Simulation, applying: Sequence[tuple[Reason, Facts]]
) -> PolicyCheck:
    result = evaluate(policy, subject, simulation)
    held_back_by = tuple(reason for reason, facts in applying if not opts_out(policy, subject.kind, reason, facts))
    if result is not None and result.reason is Reason.BELOW_WATERMARK:
        if item.policy == policy.name:  # the plan has compared it with all that could make room
            result = replace(result, holds=item.action == "remove", reason=item.reason)
        elif held_back_by and _acts(policy, simulation):
            result = replace(result, holds=True, reason=Reason.PRESSURE)
    return PolicyCheck(policy.name, simulation.host.cleanup.mode_of(policy), result, held_back_by)


def _acts(policy: Policy, simulation: Simulation) -> bool:
    """Return whether the disk is above a high mark even after the plan: then only protections hold the policy back."""
    disk = simulation.disk(policy.kind)
    return disk is not None and policy.pressure is not None and bool(active_watermarks(policy.pressure, disk))


def _protection_check(reason: Reason, facts: Facts | None, subject: Subject, host: Host) -> ProtectionCheck:
    names: list[str] = []
    if facts is None and reason is Reason.IN_USE:
        names = [f"{user.name} ({user.status})" for user in host.users.get(subject.key, ())]
    elif facts is None and reason is Reason.HAS_CHILDREN:
        names = [id_.removeprefix("sha256:")[:12] for _, id_ in host.children.get(subject.key, ())]
    return ProtectionCheck(reason, facts, tuple(names))
