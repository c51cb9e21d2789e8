"""Removals under disk pressure: which objects make room, in one order whatever their kinds. Pure."""

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace

from watchd.cleanup.plan.cost import Rank, ranks_by_cost
from watchd.cleanup.plan.decision import Rules, evaluate_under_pressure, keep_instead
from watchd.cleanup.plan.host import Host
from watchd.cleanup.plan.plan import Decision
from watchd.cleanup.plan.reasons import Reason
from watchd.cleanup.plan.rules.conditions import arrived, last_used
from watchd.cleanup.plan.rules.select import selects
from watchd.cleanup.plan.rules.watermarks import Watermark
from watchd.cleanup.plan.simulation import Cascade, Simulation
from watchd.config import Policy
from watchd.model import Key, Kind, Subject


def selected_by(policy: Policy, simulation: Simulation) -> list[Subject]:
    """Return the objects that a policy selects, whatever it or a protection decides about them."""
    subjects = simulation.host.subjects
    return [each for each in subjects if each.kind == policy.kind and selects(policy, each, simulation.classes(each))]


@dataclass(frozen=True, slots=True)
class Eviction:
    """Policies that act on one disk in one order, each with its marks.

    `decisions` are those of the plan so far; objects that free nothing get theirs here. `simulation` is not changed.
    """

    policies: Sequence[tuple[Policy, Sequence[Watermark]]]
    rules: Mapping[Kind, Rules]
    decisions: MutableMapping[Key, Decision]
    simulation: Simulation

    def cascades(self) -> list[Cascade]:
        """Return the removals, those together that free the same space.

        Objects are taken in their order until the low marks. Then those that free nothing, alone or with the rest, are
        put back, so that as little as possible is lost.
        """
        ordered = self._in_order()
        least, further = 0, 1
        while True:
            trial = self.simulation.unlimited()
            taken = self._take(ordered, trial, least)
            could_be_enough = self._is_enough(trial)
            left = self._put_back(taken, trial)
            if not could_be_enough or self._is_enough(trial) or len(taken) < least:
                return _together(left, trial)
            least, further = len(taken) + further, 2 * further  # what was put back had counted for the low mark

    def _is_enough(self, trial: Simulation) -> bool:
        return all(
            disk is None or mark.below_low(disk)
            for policy, marks in self.policies
            for disk in (trial.disk(policy.kind),)
            for mark in marks
        )

    def _take(self, ordered: Sequence[Subject], trial: Simulation, least: int) -> list[Cascade]:
        """Remove in the order until the low marks, and so many at least. Return the removals."""
        taken: list[Cascade] = []
        enforce = trial.host.cleanup.mode_of(self.policies[0][0]) == "enforce"
        for subject in ordered:
            if subject.key in trial.removed or (self.decisions[subject.key].removes and not enforce):
                continue
            for policy, marks in self.policies:
                disk = trial.disk(policy.kind)
                if policy.kind != subject.kind or disk is None:
                    continue
                mark = next((each for each in marks if not each.below_low(disk)), None)
                if mark is None and len(taken) >= least:
                    continue
                rules = Rules(self.rules[policy.kind].protections, [policy], evaluate_under_pressure)
                cascade = rules.decide_cascade(subject, trial)
                decision = cascade[0][1]
                if decision.removes:
                    facts = {"pressure": (mark or marks[0]).facts(disk)}
                    cascade = [(each, replace(of, facts={**of.facts, **facts})) for each, of in cascade]
                    trial.remove(cascade)
                    taken.append(cascade)
                    break
                if decision.reason is Reason.PARENT_STAYS:
                    self.decisions[subject.key] = decision
        return taken

    def _put_back(self, taken: Sequence[Cascade], trial: Simulation) -> list[Cascade]:
        """Put back objects that free nothing, until each of the rest frees something. Return the rest."""
        left = self._put_back_once(taken, trial)
        while len(left) < len(taken):  # what shared its space with them may now free nothing, either
            taken, left = left, self._put_back_once(left, trial)
        return left

    def _put_back_once(self, taken: Sequence[Cascade], trial: Simulation) -> list[Cascade]:
        """Put back objects that free nothing, unless another removal depends on theirs. Return the rest."""
        empty = any(mark.name == "inodes_high" for _, marks in self.policies for mark in marks)
        needed: set[Key] = set()
        left: list[Cascade] = []
        for cascade in reversed(taken):
            keys = [subject.key for subject, _ in cascade]
            if needed.isdisjoint(keys) and not any(trial.releases(key, empty=empty) for key in keys):
                for key in keys:
                    trial.put_back(key)
                subject, decision = cascade[0]
                self.decisions[subject.key] = keep_instead(
                    decision, Reason.FREES_NOTHING, **_why(trial.other_holders(subject.key), self.policies)
                )
                continue
            left.append(cascade)
            needed.update(key for subject, _ in cascade for key in trial.host.needed_first(subject))
        return left[::-1]

    def _in_order(self) -> list[Subject]:
        """Return the objects of these kinds in their order, each after those that must go before it."""
        host = self.simulation.host
        kinds = {policy.kind for policy, _ in self.policies}
        pressure = self.policies[0][0].pressure
        assert pressure is not None  # noqa: S101 - none is here without
        subjects = [each for each in host.subjects if each.kind in kinds and each.key not in self.simulation.removed]
        by_cost = ranks_by_cost(subjects, host) if pressure.order == "cost" else {}
        ranks: dict[Key, Rank] = {}
        for subject in subjects:
            before = (ranks[key] for key in host.needed_first(subject) if key in ranks)
            own = by_cost.get(subject.key) or _rank(pressure.order, subject, host)
            ranks[subject.key] = max((own, *before))
        return sorted(subjects, key=lambda subject: ranks[subject.key])


def _together(taken: Sequence[Cascade], trial: Simulation) -> list[Cascade]:
    """Sort removals so that those of the same space follow each other, at the place of the last of them."""
    host, space = trial.host, trial.space
    place = {subject.key: number for number, cascade in enumerate(taken) for subject, _ in cascade}
    freed: dict[Key, int] = {}
    for key, own in place.items():
        holders = (space.holders[piece] for piece in space.held.get(key, ()) if space.sizes[piece] != 0)
        freed[key] = min((max(place[each] for each in of) for of in holders if place.keys() >= of), default=own)
    turns: dict[Key, int] = {}
    for subject in host.subjects:  # what has to go first comes first
        if subject.key in place:
            before = (turns[key] for key in host.needed_first(subject) if key in turns)
            turns[subject.key] = max((freed[subject.key], *before))
    order = {subject.key: number for number, subject in enumerate(host.subjects)}
    return sorted(taken, key=lambda cascade: (turns[cascade[0][0].key], order[cascade[0][0].key]))


def _why(holders: Iterable[Kind], policies: Sequence[tuple[Policy, Sequence[Watermark]]]) -> dict[str, str]:
    """Return why a removal frees nothing, for a person: nothing, where the object is empty."""
    kinds = {policy.kind for policy, _ in policies}
    if "build_cache" not in holders:
        return {"why": "other images have the same layers"} if "image" in holders else {}
    told = "the build cache has the same layers"
    return {"why": told if "build_cache" in kinds else f"{told}; no policy for the build cache acts under pressure"}


def _rank(order: str, subject: Subject, host: Host) -> Rank:
    """Return the sort key of the eviction order; ties: first seen first, then created first."""
    observation = host.observation(subject)
    first_seen = observation.first_seen if observation else host.now
    created = host.now if subject.created_at is None else subject.created_at
    if order == "largest":
        return (-host.space.alone(subject.key), first_seen, created)
    moment = last_used(subject, observation) if order == "lru" else arrived(subject, observation)
    return (host.now if moment is None else moment, first_seen, created)
