"""Decision about one object: the first protection that applies, else what the policies do. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from watchd.cleanup.plan.plan import Decision
from watchd.cleanup.plan.reasons import Reason
from watchd.cleanup.plan.rules.conditions import Evaluation, check_conditions, clocks
from watchd.cleanup.plan.rules.protections import Protection, opts_out
from watchd.cleanup.plan.rules.select import selects
from watchd.cleanup.plan.rules.watermarks import cannot_act
from watchd.cleanup.plan.simulation import Cascade, Simulation
from watchd.config import Policy
from watchd.model import Subject, Volume


def evaluate(policy: Policy, subject: Subject, simulation: Simulation) -> Evaluation | None:
    """Evaluate a policy for an object. Return None if the policy does not select it."""
    if isinstance(subject, Volume) and policy.kind == "container":
        return _evaluate_by_users(policy, subject, simulation)
    if not selects(policy, subject, simulation.classes(subject)):
        return None
    host = simulation.host
    evaluation = check_conditions(policy, subject, clocks(subject, host.observation(subject), host.now))
    if evaluation.reason is Reason.BELOW_WATERMARK and cannot_act(policy, host.view.unmeasured):
        return replace(evaluation, reason=Reason.DISK_UNKNOWN)
    return evaluation


def evaluate_under_pressure(policy: Policy, subject: Subject, simulation: Simulation) -> Evaluation | None:
    """Evaluate a policy that acts under pressure. Return None if it may not remove the object."""
    evaluation = evaluate(policy, subject, simulation)
    if evaluation is None or evaluation.reason is not Reason.BELOW_WATERMARK:
        return None
    return Evaluation(holds=True, reason=Reason.PRESSURE, facts=evaluation.facts)


def _evaluate_by_users(policy: Policy, volume: Volume, simulation: Simulation) -> Evaluation | None:
    """Evaluate a container policy with `anonymous_volumes`: it removes the volume along with the containers using it.

    All of them must be removed; the first one whose policy takes volumes decides.
    """
    users = simulation.host.users.get(volume.key, ())
    if not volume.is_anonymous or not users or simulation.users(volume):
        return None
    removals = (simulation.removed[user.key] for user in users)
    removal = next((each for each in removals if each.policy in simulation.host.volume_takers), None)
    if removal is None or removal.policy != policy.name:
        return None
    return Evaluation(holds=True, reason=removal.reason, facts=removal.facts.get("clocks", {}))


@dataclass(frozen=True, slots=True)
class Rules:
    """Protections and policies for objects of one kind, each in their order."""

    protections: Sequence[Protection]
    policies: Sequence[Policy]
    evaluate: Callable[[Policy, Subject, Simulation], Evaluation | None] = evaluate

    def decide(self, subject: Subject, simulation: Simulation) -> Decision:
        """Decide by the first protection that holds a policy back, unless one opts out of all that apply.

        Policies are only evaluated if they matter: most objects of a host are in use.
        """
        first: Decision | None = None
        policies = self.policies
        for reason, check in self.protections:
            facts = check(subject, simulation)
            if facts is None:
                continue
            protected = Decision(removes=False, reason=reason, facts=facts)
            free = [policy for policy in policies if opts_out(policy, subject.kind, reason, facts)]
            if free:  # policies that do not select the object say nothing about what keeps it
                policies = [policy for policy in policies if self.evaluate(policy, subject, simulation) is not None]
                free = [policy for policy in free if policy in policies]
            if not free:
                return first or protected
            if len(free) < len(policies):
                first = first or protected
            policies = free
        decision = self._decide_by_policies(policies, subject, simulation)
        return decision if decision.removes or first is None else first

    def _decide_by_policies(self, policies: Sequence[Policy], subject: Subject, simulation: Simulation) -> Decision:
        """Return the decision of the first policy that holds, else of the first that selects the object."""
        first: Decision | None = None
        for policy in policies:
            result = self.evaluate(policy, subject, simulation)
            if result is not None and (result.holds or first is None):
                mode = simulation.host.cleanup.mode_of(policy)
                decision = Decision(result.holds, result.reason, {"clocks": result.facts}, policy.name, mode)
                if result.holds:
                    return decision
                first = decision
        return first or Decision(removes=False, reason=Reason.NOT_SELECTED, facts={})

    def decide_cascade(self, subject: Subject, simulation: Simulation) -> Cascade:
        """Decide about an object and the parents that the engine removes along with it.

        The object is kept if one of them must be.
        """
        decision = self.decide(subject, simulation)
        cascade = [(subject, decision)]
        parents = simulation.removed_parents(subject) if decision.removes else []
        if not parents:
            return cascade
        trial = simulation.copy()
        for parent in parents:
            child, removal = cascade[-1]
            trial.removed[child.key] = removal
            fate = self.decide(parent, trial)
            if not fate.removes or (decision.mode == "enforce" and fate.mode != "enforce"):
                facts = {"takes_along": parent.id, "which_stays": fate.reason.value}
                return [(subject, keep_instead(decision, Reason.PARENT_STAYS, **facts))]
            cascade.append((parent, fate))
        return cascade


def keep_instead(decision: Decision, reason: Reason, **facts: Any) -> Decision:
    """Turn a removal into a decision to keep, for one more reason."""
    return replace(decision, removes=False, reason=reason, facts={**decision.facts, **facts})
