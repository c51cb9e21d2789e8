"""Why one object goes or stays: what every protection and every policy says of it, and what would change that. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from watchd.config import Cleanup
from watchd.errors import UsageError, WatchdError
from watchd.model import Container, Image, Kind, Observations, Snapshot, Subject
from watchd.prune.decision import verdict_of
from watchd.prune.plan import Item, Plan, Reason
from watchd.prune.policy import Verdict
from watchd.prune.protections import PROTECTIONS, opts_out, unheeded_label
from watchd.prune.references import FEWEST_DIGITS, abbreviates, normalize, too_few_digits
from watchd.prune.view import View
from watchd.units import about, format_duration, format_time

_WOULD_GO = "it would go if its policy enforced"
_NOT_YET = {
    Reason.PARENT_STAYS: "it stays as long as an image that it was built on does, which would go along with it",
    Reason.BUDGET_SPENT: "it goes at a later run, since the ceilings of one run leave no room for it",
}
_NOT_BY_TIME = (Reason.UNKNOWN_CLOCK, Reason.BELOW_WATERMARK)


class NoSuchObject(WatchdError):
    """A reference means nothing that the engine has."""


@dataclass(frozen=True, slots=True)
class Shield:
    """What one protection says. `facts` None: it does not apply, and `note` why, where one might expect it to."""

    reason: Reason
    facts: Mapping[str, Any] | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one policy says. `verdict` None: it does not select the object."""

    policy: str
    mode: str
    verdict: Verdict | None
    held_back_by: tuple[Reason, ...]
    """The protections that apply, and that it does not opt out of."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision about one object, and all that led to it."""

    item: Item
    shields: tuple[Shield, ...]
    opinions: tuple[Opinion, ...]
    quiet_until: float | None = None
    """When the hours end in which the daemon removes nothing, in seconds since the epoch; None: in no such hours."""

    @property
    def what_next(self) -> str:
        """Return what would change the decision, as far as time alone does, in one sentence."""
        if self.item.action != "keep":
            return f"it goes at the next run{self._hours}" if self.item.mode == "enforce" else _WOULD_GO
        lasting = [shield.reason for shield in self.shields if shield.facts and shield.reason != Reason.GRACE]
        free = [each for each in self.opinions if each.verdict and not {*each.held_back_by} - {Reason.GRACE}]
        if lasting and not free:
            return f"it stays as long as {' or '.join(lasting)} applies"
        if self.item.reason in _NOT_YET:
            return _NOT_YET[self.item.reason]
        waits = [
            (*wait, opinion.mode)
            for opinion in free
            if opinion.verdict and opinion.verdict.reason not in _NOT_BY_TIME and (wait := _wait(opinion.verdict))
        ]
        under_pressure = [
            opinion.policy for opinion in free if opinion.verdict and opinion.verdict.reason is Reason.BELOW_WATERMARK
        ]
        if not waits and under_pressure:
            return f"it goes when the disk is so full that its turn comes in {under_pressure[0]}"
        if not waits:
            return "no policy would remove it, however long it stays as it is"
        seconds, when, mode = min(waits)
        goes = "it goes" if mode == "enforce" else "it would go, if its policy enforced,"
        for shield in self.shields:
            if shield.reason is Reason.GRACE and shield.facts:  # which time ends, too
                seconds, when = max((seconds, when), _longest(shield.facts))
        return f"{goes} in {about(seconds)}, when {when}" if seconds else f"{goes} at the next run due{self._hours}"

    @property
    def _hours(self) -> str:
        """What to say of quiet hours."""
        if self.quiet_until is None:
            return ""
        return f" by hand, or of the daemon after its quiet hours, which end at {format_time(self.quiet_until)}"

    def as_json(self) -> dict[str, Any]:
        """Return the plan's item with `protections`, `policies` and `what_next` beside it."""
        item = self.item
        return {
            "kind": item.kind,
            "id": item.id,
            "name": item.name,
            "names": list(item.names),
            "action": item.action,
            "mode": item.mode,
            "policy": item.policy,
            "reason": item.reason.value,
            "facts": dict(item.facts),
            "bytes": item.bytes,
            "protections": [
                {
                    "reason": shield.reason.value,
                    "applies": shield.facts is not None,
                    "facts": dict(shield.facts or {}),
                    "note": shield.note,
                }
                for shield in self.shields
            ],
            "policies": [_opinion_as_json(opinion) for opinion in self.opinions],
            "what_next": self.what_next,
        }


def find(snapshot: Snapshot, reference: str, kind: Kind | None = None) -> list[Subject]:
    """Return what is meant by a container's name, an image's reference, any other name, or the beginning of an ID.

    The first of these that is there; several where it is ambiguous: a volume and a network may have the same name. Of a
    `kind` alone, if one is given.
    """
    full = normalize(reference)
    subjects = [subject for subject in snapshot.subjects() if kind in (None, subject.kind)]
    found: Sequence[Subject] = (
        [subject for subject in subjects if isinstance(subject, Container) and subject.name == reference]
        or [each for each in subjects if isinstance(each, Image) and full in map(normalize, each.references)]
        or [subject for subject in subjects if subject.name == reference]
        or [subject for subject in subjects if abbreviates(reference, subject.id)]
    )
    return list(found)


def find_one(snapshot: Snapshot, reference: str, kind: Kind | None = None) -> Subject:
    """Return what a reference means. Raise `UsageError` where it means several, `NoSuchObject` where nothing."""
    found = find(snapshot, reference, kind)
    if len(found) > 1:
        names = ", ".join(
            f"{subject.kind} {subject.name} ({subject.id.removeprefix('sha256:')[:12]})" for subject in found
        )
        raise UsageError(f"{reference!r} means several: {names}. Give --kind, or the ID of one")
    if not found:
        failed = "".join(f"; the {kind}s could not be listed: {why}" for kind, why in snapshot.failures.items())
        short = f"; the beginning of an ID needs {FEWEST_DIGITS} digits" if too_few_digits(reference) else ""
        raise NoSuchObject(f"there is no {kind or 'container, image, network or volume'} {reference!r}{short}{failed}")
    return found[0]


def explain(  # noqa: PLR0913 - what a plan is made from, and the plan
    subject: Subject,
    plan: Plan,
    snapshot: Snapshot,
    cleanup: Cleanup,
    observations: Observations,
    *,
    quiet_until: float | None = None,
) -> Explanation:
    """Return what led to a plan's decision about one object of the snapshot that it was made from."""
    view = View(snapshot, cleanup, observations, plan.created_at)
    view.removed |= {item.subject for item in plan.in_force if item.action == "remove" and item.subject != subject.key}
    item = next(item for item in plan.items if item.subject == subject.key and item.action != "untag")
    protections = PROTECTIONS[subject.kind]
    shields = [_shield(reason, protects(subject, view), subject, view) for reason, protects in protections]
    applying = [shield.reason for shield in shields if shield.facts is not None]
    opinions = [
        Opinion(
            policy.name,
            cleanup.mode_of(policy),
            verdict_of(policy, subject, view),
            tuple(reason for reason in applying if not opts_out(policy, reason)),
        )
        for policy in cleanup.policies
        if policy.kind == subject.kind
    ]
    return Explanation(item, tuple(shields), tuple(opinions), quiet_until)


def _shield(reason: Reason, facts: Mapping[str, Any] | None, subject: Subject, view: View) -> Shield:
    note = ""
    if facts is None:
        if reason is Reason.IN_USE and subject.kind != "build_cache":
            names = [f"{user.name} ({user.status})" for user in view.users.get(subject.key, ())]
            note = _goes_first(names, "uses it", "use it")
        elif reason is Reason.HAS_CHILDREN:
            names = [id_.removeprefix("sha256:")[:12] for _, id_ in view.children.get(subject.key, ())]
            note = _goes_first(names, "is made of it", "are made of it")
        elif reason is Reason.PROTECTED:
            note = unheeded_label(subject.labels, view)
    return Shield(reason, facts, note)


def _goes_first(names: Sequence[str], one: str, several: str) -> str:
    """Return that what would otherwise protect an object goes before it."""
    if len(names) > 1:
        return f"{names[0]} and {len(names) - 1} more {several}, and go first"
    return f"{names[0]} {one}, and goes first" if names else ""


def _wait(verdict: Verdict) -> tuple[float, str] | None:
    """Return in how many seconds a policy's last clock is there, and which it is; None where one stands still."""
    if not verdict.holds and not verdict.facts:
        return None
    return None if any(reading["elapsed"] is None for reading in verdict.facts.values()) else _longest(verdict.facts)


def _longest(clocks: Mapping[str, Any]) -> tuple[float, str]:
    waits = [
        (max(0.0, reading["needs"] - reading["elapsed"]), f"{clock} reaches {format_duration(reading['needs'])}")
        for clock, reading in clocks.items()
    ]
    return max(waits, default=(0.0, ""))


def _opinion_as_json(opinion: Opinion) -> dict[str, Any]:
    verdict = opinion.verdict
    return {
        "name": opinion.policy,
        "mode": opinion.mode,
        "selects": verdict is not None,
        "holds": verdict is not None and verdict.holds,
        "reason": verdict.reason.value if verdict else Reason.NOT_SELECTED.value,
        "held_back_by": [reason.value for reason in opinion.held_back_by] if verdict and verdict.holds else [],
        "clocks": dict(verdict.facts) if verdict else {},
    }
