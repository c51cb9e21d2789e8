"""The planner: what goes and what stays, for every object, and why. Pure: the same input gives the same plan."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from watchd.config import Cleanup, ContainerPolicy, Mode, Policy
from watchd.model import Key, Listing, Observations, Snapshot, Subject, Volume
from watchd.prune.decision import Decision, Rules, verdict_of
from watchd.prune.items import items_of
from watchd.prune.plan import KINDS, Item, Plan, Reason
from watchd.prune.policy import Verdict, arrived, last_used
from watchd.prune.pressure import Mark, pressing
from watchd.prune.protections import RESTS_ON, protections_in
from watchd.prune.view import View, in_order
from watchd.units import format_time


@dataclass(frozen=True, slots=True)
class Occasion:
    """Why, and when, a plan is made."""

    due: Collection[str] | None = None  # names of the policies that are judged; None: all
    acting: Collection[str] = ()  # of those that an earlier run under disk pressure left short of their low mark
    quiet_until: float | None = None  # when hours end in which nothing is to be removed; None: in no such hours


AT_ANY_TIME = Occasion()


def plan(
    snapshot: Snapshot,
    cleanup: Cleanup,
    observations: Observations,
    now: float,
    occasion: Occasion = AT_ANY_TIME,
) -> Plan:
    """Return one decision for every object in `snapshot`. `observations` has what was observed, this look included.

    Policies that enforce come first, each group in its own order. What they remove counts as having happened for
    everything judged later; what others would remove is only reported, and changes nothing.
    """
    view = View(snapshot, cleanup, observations, now)
    due = occasion.due
    judged = [policy for policy in cleanup.policies if due is None or policy.name in due]
    planning = _Planning(view, judged, occasion)
    planning.decide()
    items = planning.items()
    concerned = {listing for policy in judged for listing in RESTS_ON[policy.kind]}
    incomplete: dict[Listing, str] = {kind: why for kind, why in snapshot.failures.items() if kind in concerned}
    return Plan(
        plan_id=_plan_id(snapshot, items, now),
        created_at=now,
        engine=snapshot.engine,
        items=tuple(items),
        incomplete=incomplete,
    )


_Fates = Sequence[tuple[Subject, Decision]]  # of an object, and then of what the engine removes along with it


class _Planning:
    """The decisions, as they come to be."""

    def __init__(self, view: View, judged: Sequence[Policy], occasion: Occasion) -> None:
        self._view = view
        self._subjects = in_order(view)
        self._occasion = occasion
        of_kind = {kind: _in_force_first([policy for policy in judged if policy.kind == kind], view) for kind in KINDS}
        self._pressing = [policy for kind in KINDS for policy in of_kind[kind] if policy.pressure is not None]
        protections = protections_in(view)
        self._rules = {kind: Rules(protections[kind], of_kind[kind]) for kind in KINDS}
        self._taking_along: Mapping[str, Policy] = {
            policy.name: policy
            for policy in of_kind["container"]
            if isinstance(policy, ContainerPolicy) and policy.anonymous_volumes
        }
        with_a_say = _in_force_first([*of_kind["volume"], *self._taking_along.values()], view)
        self._rules["volume"] = Rules(protections["volume"], with_a_say, self._verdict_of_volume)
        self._decisions: dict[Key, Decision] = {}
        self._going: list[Subject] = []  # what goes in force, in that order
        self._reported: list[Subject] = []  # what would make room if its policy enforced, in that order
        self._marks: dict[str, tuple[Mark, ...]] = {}  # by policy: for which it acts, until it has reached them

    def decide(self) -> None:
        """Decide about everything.

        First by time alone. One pass is enough for that, since what needs or is made of another comes before it. Then
        by disk pressure, after which time may have more to say: what needed an image may be gone now.
        """
        self._judge_all()
        while self._relieve("enforce", self._view):
            self._judge_all()
        self._relieve("report", self._view.without_effect())

    def items(self) -> list[Item]:
        """Return the plan's items: what goes in force in its order, what is reported, what stays."""
        listed = self._view.removed.union(subject.key for subject in self._reported)
        reported: list[Subject] = []
        kept: list[Subject] = []
        for subject in self._subjects:
            key = subject.key
            if key not in listed:
                (reported if self._decisions[key].removes else kept).append(subject)
        return [
            item
            for subject in (*self._going, *reported, *self._reported, *kept)
            for item in items_of(subject, self._decisions[subject.key], self._view)
        ]

    def _judge_all(self) -> None:
        view = self._view
        for subject in self._subjects:
            if subject.key not in view.removed:
                self._settle(_fates(subject, self._rules[subject.kind], view))

    def _verdict_of_volume(self, policy: Policy, volume: Subject, view: View) -> Verdict | None:
        """Return what a policy says of a volume; one that takes anonymous ones along, if it removed all that had it."""
        if not isinstance(volume, Volume) or policy.kind == "volume":
            return verdict_of(policy, volume, view)
        users = view.users.get(volume.key, [])
        if not volume.is_anonymous or not users or view.users_left(volume):
            return None
        fates = (self._decisions[user.key] for user in users)
        decision = next((fate for fate in fates if fate.policy in self._taking_along), None)
        if decision is None or decision.policy != policy.name:
            return None
        return Verdict(holds=True, reason=decision.reason, facts=decision.facts.get("clocks", {}))

    def _settle(self, fates: _Fates) -> bool:
        """Take a decision, unless the run has no room for it. Return whether the object goes in force."""
        view = self._view
        subject, decision = fates[0]
        if decision.removes and decision.mode == "enforce":
            if self._occasion.quiet_until is not None:
                decision = _put_off(decision, Reason.QUIET_HOURS, quiet_until=format_time(self._occasion.quiet_until))
            elif view.remove([each for each, _ in fates]):
                for each, fate in fates:
                    self._going.append(each)
                    self._decisions[each.key] = fate
                return True
            else:
                ceilings = {"max_items": view.cleanup.max_items, "max_bytes": view.cleanup.max_bytes}
                set_ = {name: ceiling for name, ceiling in ceilings.items() if ceiling is not None}
                decision = _put_off(decision, Reason.BUDGET_SPENT, **set_)
        self._decisions[subject.key] = decision
        return False

    def _relieve(self, mode: Mode, view: View) -> bool:
        """Have the policies with a pressure act until their low marks. Return whether anything goes in force."""
        acted = False
        for policy in self._pressing:
            disk = view.disk(policy.kind)
            if policy.pressure is None or disk is None or view.cleanup.mode_of(policy) != mode:
                continue
            if policy.name not in self._marks:
                acts_already = policy.name in self._occasion.acting
                self._marks[policy.name] = pressing(policy.pressure, disk, acts_already=acts_already)
            for mark in self._marks[policy.name]:
                acted = self._relieve_one(policy, mark, view) or acted
        return acted

    def _relieve_one(self, policy: Policy, mark: Mark, view: View) -> bool:
        acted = False
        rules = Rules(self._rules[policy.kind].protections, [policy], _verdict_under_pressure)
        for subject in self._candidates(policy, view):
            disk = view.disk(policy.kind)
            if disk is None or mark.is_reached(disk):
                break
            if subject.key in view.removed:
                continue  # it went along with a child
            fates = _fates(subject, rules, view)
            decision = fates[0][1]
            if not decision.removes:
                if decision.reason is Reason.PARENT_STAYS:
                    self._decisions[subject.key] = decision
                continue
            told = {"pressure": mark.facts(disk)}
            fates = [(each, replace(fate, facts={**fate.facts, **told})) for each, fate in fates]
            if decision.mode == "enforce":
                acted = self._settle(fates) or acted
            else:
                view.free(policy.kind, view.size(subject))
                self._reported.append(subject)
                self._decisions[subject.key] = fates[0][1]
        return acted

    def _candidates(self, policy: Policy, view: View) -> list[Subject]:
        """Return what a policy may remove under pressure, in its order."""
        assert policy.pressure is not None  # noqa: S101 - callers have seen to it
        found: list[Subject] = []
        ranks: dict[Key, tuple[float, float]] = {}
        for subject in self._subjects:  # children first
            if subject.kind != policy.kind or subject.key in view.removed:
                continue
            # A parent can only go once its children have: so it takes its turn after them.
            of_children = (ranks[key] for key in view.children.get(subject.key, ()) if key in ranks)
            ranks[subject.key] = max((_rank(policy.pressure.order, subject, view), *of_children))
            told_already = self._decisions[subject.key].removes and view.cleanup.mode_of(policy) == "report"
            if not told_already and _verdict_under_pressure(policy, subject, view):
                found.append(subject)
        return sorted(found, key=lambda subject: ranks[subject.key])


def _in_force_first(policies: Iterable[Policy], view: View) -> list[Policy]:
    return sorted(policies, key=lambda policy: view.cleanup.mode_of(policy) != "enforce")


def _fates(subject: Subject, rules: Rules, view: View) -> _Fates:
    """Return the decision about an object, with those about the parents that the engine takes along.

    Where one of these is to stay, so is the object.
    """
    decision = rules.decide(subject, view)
    fates = [(subject, decision)]
    parents = view.taken_along(subject) if decision.removes else []
    if not parents:
        return fates
    view = view.without_effect()
    for parent in parents:
        view.removed.add(fates[-1][0].key)
        fate = rules.decide(parent, view)
        if not fate.removes or (decision.mode == "enforce" and fate.mode != "enforce"):
            stays = _put_off(decision, Reason.PARENT_STAYS, takes_along=parent.id, which_stays=fate.reason.value)
            return [(subject, stays)]
        fates.append((parent, fate))
    return fates


def _put_off(decision: Decision, reason: Reason, **facts: Any) -> Decision:
    """Return what becomes of an object that would go but for one thing."""
    return replace(decision, removes=False, reason=reason, facts={**decision.facts, **facts})


def _verdict_under_pressure(policy: Policy, subject: Subject, view: View) -> Verdict | None:
    """Return the verdict of a policy that may remove an object under pressure, None where it may not."""
    verdict = verdict_of(policy, subject, view)
    if verdict is None or verdict.reason is not Reason.BELOW_WATERMARK:
        return None
    return Verdict(holds=True, reason=Reason.PRESSURE, facts=verdict.facts)


def _rank(order: str, subject: Subject, view: View) -> tuple[float, float]:
    """Return what sorts first what goes first; ties go by when watchd first saw it."""
    seen = view.seen(subject)
    first_seen = seen.first_seen if seen else view.now
    if order == "largest":
        return (-view.size(subject), first_seen)
    moment = last_used(subject, seen) if order == "lru" else arrived(subject, seen)
    return (view.now if moment is None else moment, first_seen)


def _plan_id(snapshot: Snapshot, items: Iterable[Item], now: float) -> str:
    """Return a name for a plan that sorts by time, and that two different plans do not share."""
    decisions = (f"{item.kind} {item.id} {item.action} {item.name} {item.mode}" for item in items)
    digest = hashlib.sha256("\n".join((f"{snapshot.engine.id} {now!r}", *decisions)).encode())
    stamp = format_time(now).replace("-", "").replace(":", "")
    return f"{stamp}-{digest.hexdigest()[:8]}"
