"""What is to become of one object: the protection that applies, else what the policies do. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from watchd.config import Mode, Policy
from watchd.model import Subject
from watchd.prune.plan import Reason
from watchd.prune.policy import Verdict, clocks, judge, selects
from watchd.prune.protections import Facts, Protection, opts_out
from watchd.prune.view import View


@dataclass(slots=True)
class Decision:
    """What is to become of one object. Nobody changes it: not frozen, since that takes three times as long to make."""

    removes: bool
    reason: Reason
    facts: Facts
    policy: str | None = None
    mode: Mode | None = None


def verdict_of(policy: Policy, subject: Subject, view: View) -> Verdict | None:
    """Return what a policy says of an object, None where it does not select it."""
    if not selects(policy, subject, view.classes(subject)):
        return None
    return judge(policy, subject, clocks(subject, view.seen(subject), view.now))


@dataclass(frozen=True, slots=True)
class Rules:
    """What objects of one kind are judged by."""

    protections: Sequence[Protection]  # those that may apply, in their order
    policies: Sequence[Policy]  # in their order
    verdict_of: Callable[[Policy, Subject, View], Verdict | None] = verdict_of

    def decide(self, subject: Subject, view: View) -> Decision:
        """Return the first protection that applies, unless a policy opts out of all that do, or what policies do.

        What the policies say of an object is only asked for where it matters: most of those on a host are in use.
        """
        first: Decision | None = None
        policies = self.policies
        for reason, protects in self.protections:
            facts = protects(subject, view)
            if facts is None:
                continue
            first = first or Decision(removes=False, reason=reason, facts=facts)
            policies = [policy for policy in policies if opts_out(policy, reason)]
            if not policies:
                return first
        decision = self._judge(policies, subject, view)
        return decision if decision.removes or first is None else first

    def _judge(self, policies: Sequence[Policy], subject: Subject, view: View) -> Decision:
        """Return what the first policy whose conditions hold does, else why the first one does nothing."""
        first: Decision | None = None
        for policy in policies:
            verdict = self.verdict_of(policy, subject, view)
            if verdict is not None and (verdict.holds or first is None):
                facts = {"clocks": verdict.facts}
                decision = Decision(verdict.holds, verdict.reason, facts, policy.name, view.cleanup.mode_of(policy))
                if verdict.holds:
                    return decision
                first = decision
        return first or Decision(removes=False, reason=Reason.NOT_SELECTED, facts={})
