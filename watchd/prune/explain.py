"""Why one object goes or stays: what every protection and every policy says of it, and what would change that. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from watchd.config import Cleanup, ContainerPolicy, ImagePolicy, Policy
from watchd.model import Container, Image, Observations, Snapshot
from watchd.prune import protections
from watchd.prune.plan import Item, Plan, Reason
from watchd.prune.policy import (
    Verdict,
    container_clocks,
    image_clocks,
    judge,
    judge_container,
    selects_container,
    selects_image,
)
from watchd.prune.references import abbreviates, normalize
from watchd.prune.view import View
from watchd.units import about, format_duration


@dataclass(frozen=True, slots=True)
class Shield:
    """What one protection says. `facts` None: it does not apply."""

    reason: Reason
    facts: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one policy says. `verdict` None: it does not select the object."""

    policy: str
    mode: str
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision about one object, and all that led to it."""

    item: Item
    shields: tuple[Shield, ...]
    opinions: tuple[Opinion, ...]

    @property
    def what_next(self) -> str:
        """Return what would change the decision, as far as time alone does, in one sentence."""
        if self.item.action != "keep":
            return "it goes at the next run" if self.item.mode == "enforce" else "it would go if its policy enforced"
        lasting = [shield.reason.value for shield in self.shields if shield.facts and shield.reason != Reason.GRACE]
        if lasting:
            return f"it stays as long as {' or '.join(lasting)} applies"
        waits = [
            (*wait, opinion.mode)
            for opinion in self.opinions
            if opinion.verdict and opinion.verdict.reason != Reason.UNKNOWN_CLOCK and (wait := _wait(opinion.verdict))
        ]
        if not waits:
            return "no policy would remove it, however long it stays as it is"
        seconds, when, mode = min(waits)
        goes = "it goes" if mode == "enforce" else "it would go, if its policy enforced,"
        for shield in self.shields:  # only grace is left, which time ends, too
            if shield.facts:
                seconds, when = max((seconds, when), _longest(shield.facts))
        return f"{goes} in {about(seconds)}, when {when}" if seconds else f"{goes} at the next run that is due"

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
                {"reason": shield.reason.value, "applies": shield.facts is not None, "facts": dict(shield.facts or {})}
                for shield in self.shields
            ],
            "policies": [_opinion_as_json(opinion) for opinion in self.opinions],
            "what_next": self.what_next,
        }


def find(snapshot: Snapshot, reference: str) -> list[Container | Image]:
    """Return what a container's name, else an image's reference, else the beginning of an ID means."""
    full = normalize(reference)
    subjects: Sequence[Container | Image] = (*snapshot.containers, *snapshot.images)
    return (
        [container for container in snapshot.containers if container.name == reference]
        or [image for image in snapshot.images if full in map(normalize, image.references)]
        or [subject for subject in subjects if abbreviates(reference, subject.id)]
    )


def explain(
    subject: Container | Image, plan: Plan, snapshot: Snapshot, cleanup: Cleanup, observations: Observations
) -> Explanation:
    """Return what led to a plan's decision about one object of the snapshot that it was made from."""
    view = View(snapshot, cleanup, observations, plan.created_at)
    view.removed |= {item.id for item in plan.in_force if item.action == "remove" and item.id != subject.id}
    item = next(item for item in plan.items if item.id == subject.id and item.action != "untag")
    if isinstance(subject, Container):
        shields = [Shield(reason, protects(subject, view)) for reason, protects in protections.CONTAINER]
        running = container_clocks(subject, view.now)
        verdicts: list[tuple[Policy, Verdict | None]] = [
            (policy, judge_container(policy.when, subject, running) if selects_container(policy, subject) else None)
            for policy in cleanup.policies
            if isinstance(policy, ContainerPolicy)
        ]
    else:
        shields = [Shield(reason, protects(subject, view)) for reason, protects in protections.IMAGE]
        clocks = image_clocks(subject, view.seen("image", subject.id), view.now)
        classes = view.classes(subject)
        verdicts = [
            (policy, judge(policy.when, clocks) if selects_image(policy, subject, classes) else None)
            for policy in cleanup.policies
            if isinstance(policy, ImagePolicy)
        ]
    opinions = [Opinion(policy.name, cleanup.mode_of(policy), verdict) for policy, verdict in verdicts]
    return Explanation(item, tuple(shields), tuple(opinions))


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
        "clocks": dict(verdict.facts) if verdict else {},
    }
