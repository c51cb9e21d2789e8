"""Planner: the plan for one look at the engine. Pure: the same input gives the same plan."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from watchd.cleanup.plan.decision import Rules, keep_instead
from watchd.cleanup.plan.eviction import Eviction, selected_by
from watchd.cleanup.plan.host import Host
from watchd.cleanup.plan.items import items_of
from watchd.cleanup.plan.plan import KINDS, Decision, Item, Plan
from watchd.cleanup.plan.reasons import Reason
from watchd.cleanup.plan.rules.protections import NEEDED_LISTS, possible_protections
from watchd.cleanup.plan.rules.watermarks import Watermark, active_watermarks, total_watermark, without_pressure
from watchd.cleanup.plan.simulation import Cascade, Simulation
from watchd.config import Cleanup, Mode, Policy
from watchd.model import EngineView, Key, Listing, Observations, Subject
from watchd.units import format_time


@dataclass(frozen=True, slots=True)
class Trigger:
    """Reason for planning: due policies, policies under pressure, quiet hours, the daemon or somebody by hand."""

    due: Collection[str] | None = None  # names of the policies to apply; None: all
    acting: Collection[str] = ()  # policies that an earlier run under pressure left above their low mark
    quiet_until: float | None = None  # end of the quiet hours, in which nothing is removed; None: outside of them
    by_hand: bool = True  # from the command line; else by the daemon


MANUAL = Trigger()


def plan(  # noqa: PLR0913 - what a plan is made from, and a place to wait
    view: EngineView,
    cleanup: Cleanup,
    observations: Observations,
    now: float,
    trigger: Trigger = MANUAL,
    *,
    between: Callable[[], None] = lambda: None,
) -> Plan:
    """Decide about every object in `view`. `observations` include those of this look.

    `between` is called between one object and the next, so that a long plan can wait there.

    First the conditions of all policies, then policies under pressure until their low marks; after these the conditions
    again, since an image may no longer be needed. Enforced removals count as done for later decisions; reported ones
    change nothing.
    """
    policies = [policy for policy in cleanup.policies if trigger.due is None or policy.name in trigger.due]
    draft = _Draft(Host.index(view, cleanup, observations, now), policies, trigger, between)
    draft.apply_conditions()
    while draft.free_space("enforce"):
        draft.apply_conditions()
    items = draft.items(reported=draft.free_space("report"))
    needed = {listing for policy in policies for listing in NEEDED_LISTS[policy.kind]}
    incomplete: dict[Listing, str] = {listing: error for listing, error in view.failures.items() if listing in needed}
    return Plan(
        plan_id=_plan_id(view, items, now),
        created_at=now,
        engine=view.engine,
        items=tuple(items),
        incomplete=incomplete,
        without_pressure=without_pressure(policies, view.unmeasured),
    )


class _Draft:
    """A plan being made. Only `_simulation`, `_decisions` and `_watermarks` change."""

    def __init__(self, host: Host, policies: Sequence[Policy], trigger: Trigger, between: Callable[[], None]) -> None:
        self._host = host
        self._trigger = trigger
        self._between = between
        by_kind = {
            kind: _enforcing_first([policy for policy in policies if policy.kind == kind], host.cleanup)
            for kind in KINDS
        }
        self._with_pressure = [policy for kind in KINDS for policy in by_kind[kind] if policy.pressure is not None]
        takers = [policy for policy in by_kind["container"] if policy.name in host.volume_takers]
        by_kind["volume"] = _enforcing_first([*by_kind["volume"], *takers], host.cleanup)
        protections = possible_protections(host)
        self._rules = {kind: Rules(protections[kind], by_kind[kind]) for kind in KINDS}
        self._simulation = Simulation(host)
        self._decisions: dict[Key, Decision] = {}
        # By policy, as the disk is before the plan: what other policies free must not leave one above its low mark.
        self._watermarks = {policy.name: self._active_watermarks(policy) for policy in self._with_pressure}
        self._over_total = {policy.name for policy in self._with_pressure if self._is_over_total(policy)}

    def apply_conditions(self) -> None:
        """Decide about every object left. One pass is enough: users and children come first."""
        simulation = self._simulation
        for subject in self._subjects(self._host.subjects):
            if subject.key not in simulation.removed:
                self._record(self._rules[subject.kind].decide_cascade(subject, simulation))

    def _subjects(self, subjects: Iterable[Subject]) -> Iterator[Subject]:
        for subject in subjects:
            yield subject
            self._between()

    def free_space(self, mode: Mode) -> list[Subject]:
        """Apply the policies under pressure that have this mode, each until its low marks. Return what they remove.

        Those on one disk that have the same order take turns, whatever their kinds: what holds the same layers goes
        together.
        """
        simulation = self._simulation if mode == "enforce" else self._simulation.unlimited()
        evicted: list[Subject] = []
        for policies in self._by_disk_and_order(mode):
            marks = [(policy, self._watermarks[policy.name]) for policy in policies]
            evicted += self._evict(Eviction(marks, self._rules, self._decisions, simulation), simulation, mode)
        for policy in self._with_pressure:
            mark = total_watermark(policy.pressure) if policy.pressure else None
            if mark is not None and policy.name in self._over_total and self._host.cleanup.mode_of(policy) == mode:
                among = simulation.among(selected_by(policy, simulation))
                eviction = Eviction([(policy, [mark])], self._rules, self._decisions, among)
                evicted += self._evict(eviction, simulation, mode)
        return evicted

    def _evict(self, eviction: Eviction, simulation: Simulation, mode: Mode) -> list[Subject]:
        evicted: list[Subject] = []
        for cascade in eviction.cascades():
            if mode == "report":
                simulation.remove(cascade)
            if self._record(cascade) or mode == "report":
                evicted.append(cascade[0][0])
        return evicted

    def _by_disk_and_order(self, mode: Mode) -> Iterable[Sequence[Policy]]:
        """Return the policies that act under pressure, those that share a disk and an order together."""
        groups: dict[tuple[str, str], list[Policy]] = {}
        for policy in self._with_pressure:
            disk = self._simulation.disk(policy.kind)
            if policy.pressure is None or disk is None or self._host.cleanup.mode_of(policy) != mode:
                continue
            if self._watermarks[policy.name]:
                groups.setdefault((disk.path, policy.pressure.order), []).append(policy)
        return groups.values()

    def _active_watermarks(self, policy: Policy) -> tuple[Watermark, ...]:
        disk = self._host.view.disks.get(policy.kind)
        if policy.pressure is None or disk is None:
            return ()
        return active_watermarks(policy.pressure, disk, acting=policy.name in self._trigger.acting)

    def _is_over_total(self, policy: Policy) -> bool:
        mark = total_watermark(policy.pressure) if policy.pressure else None
        if mark is None:
            return False
        total = self._simulation.among(selected_by(policy, self._simulation)).disk(policy.kind)
        return total is not None and mark.above_high(total)

    def items(self, reported: Sequence[Subject]) -> list[Item]:
        """Return the plan's items: enforced removals in their order, then what is reported, then what is kept."""
        removed = self._simulation.removed
        reported_keys = {subject.key for subject in reported}
        by_key: dict[Key, Subject] = {}
        reported_by_conditions: list[Subject] = []
        kept: list[Subject] = []
        for subject in self._host.subjects:
            key = subject.key
            if key in removed:
                by_key[key] = subject
            elif key not in reported_keys:
                (reported_by_conditions if self._decisions[key].removes else kept).append(subject)
        enforced = [by_key[key] for key in removed]
        shown = self._simulation.copy()  # a layer counts once among what is only reported, too
        for subject in (*reported_by_conditions, *reported):
            shown.take(subject.key)
        return [
            item
            for subject in self._subjects((*enforced, *reported_by_conditions, *reported, *kept))
            for item in items_of(subject, self._decisions[subject.key], shown)
        ]

    def _record(self, cascade: Cascade) -> bool:
        """Record the decision about an object. Return whether it is removed: quiet hours and limits may forbid it."""
        subject, decision = cascade[0]
        if decision.removes and decision.mode == "enforce":
            if self._trigger.quiet_until is not None:
                quiet_until = format_time(self._trigger.quiet_until)
                decision = keep_instead(decision, Reason.QUIET_HOURS, quiet_until=quiet_until)
            elif not self._is_blocked(subject) and self._simulation.remove(cascade):
                self._decisions.update((each.key, removal) for each, removal in cascade)
                return True
            else:
                cleanup = self._host.cleanup
                limits = {"max_items": cleanup.max_items, "max_bytes": cleanup.max_bytes}
                given = {name: limit for name, limit in limits.items() if limit is not None}
                decision = keep_instead(decision, Reason.BUDGET_SPENT, **given)
        self._decisions[subject.key] = decision
        return False

    def _is_blocked(self, subject: Subject) -> bool:
        """Return whether the limits of the run leave an object in place that must go before this one."""
        planned, removed = self._decisions, self._simulation.removed
        return any(
            key in planned and planned[key].reason is Reason.BUDGET_SPENT and key not in removed
            for key in self._host.needed_first(subject)
        )


def _enforcing_first(policies: Iterable[Policy], cleanup: Cleanup) -> list[Policy]:
    return sorted(policies, key=lambda policy: cleanup.mode_of(policy) != "enforce")


def _plan_id(view: EngineView, items: Iterable[Item], now: float) -> str:
    """Return an ID that sorts by time and differs between different plans."""
    decisions = (f"{item.kind} {item.id} {item.action} {item.name} {item.mode}" for item in items)
    digest = hashlib.sha256("\n".join((f"{view.engine.id} {now!r}", *decisions)).encode())
    stamp = format_time(now).replace("-", "").replace(":", "")
    return f"{stamp}-{digest.hexdigest()[:8]}"
