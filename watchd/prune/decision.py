"""What is to become of one object: the protection that applies, else what the policies do. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from watchd.config import Mode, Policy
from watchd.model import Subject
from watchd.prune.plan import Reason
from watchd.prune.policy import Verdict
from watchd.prune.protections import PROTECTIONS, Facts, opts_out
from watchd.prune.view import View

Verdicts = Sequence[tuple[Policy, Verdict]]  # of the policies that select an object, in their order


@dataclass(slots=True)
class Decision:
    """What is to become of one object. Nobody changes it: not frozen, since that takes three times as long to make."""

    removes: bool
    reason: Reason
    facts: Facts
    policy: str | None = None
    mode: Mode | None = None


def decide(subject: Subject, verdicts: Verdicts, view: View) -> Decision:
    """Return the first protection that applies, unless a policy opts out of all that do, or what policies do."""
    first: Decision | None = None
    for reason, protects in PROTECTIONS[subject.kind]:
        facts = protects(subject, view)
        if facts is None:
            continue
        first = first or Decision(removes=False, reason=reason, facts=facts)
        verdicts = [(policy, verdict) for policy, verdict in verdicts if opts_out(policy, reason)]
        if not verdicts:
            return first
    decision = _judge(verdicts, view)
    return decision if decision.removes or first is None else first


def _judge(verdicts: Verdicts, view: View) -> Decision:
    """Return what the first policy whose conditions hold does, else why the first one does nothing."""
    if not verdicts:
        return Decision(removes=False, reason=Reason.NOT_SELECTED, facts={})
    policy, verdict = next(((policy, verdict) for policy, verdict in verdicts if verdict.holds), verdicts[0])
    return Decision(
        removes=verdict.holds,
        reason=verdict.reason,
        facts={"clocks": verdict.facts},
        policy=policy.name,
        mode=view.cleanup.mode_of(policy),
    )
