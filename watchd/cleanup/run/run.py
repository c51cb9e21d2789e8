"""One run: look, observe, plan, report, remove. The daemon and `watchd prune` both call `run_cleanup`."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from watchd.cleanup.observe.observer import Observer
from watchd.cleanup.plan.eviction import selected_by
from watchd.cleanup.plan.host import Host
from watchd.cleanup.plan.plan import Outcome, Outcomes
from watchd.cleanup.plan.planner import MANUAL, Trigger
from watchd.cleanup.plan.simulation import Simulation
from watchd.cleanup.run.control import RunControl
from watchd.cleanup.run.disk_room import DiskRoom
from watchd.cleanup.run.executor import Executor
from watchd.cleanup.run.planning import Prepared, look_and_plan
from watchd.cleanup.run.recovery import recover
from watchd.config import Cleanup, Policy
from watchd.engine import fresh_view
from watchd.engine.client import EngineClient
from watchd.engine.data import disks
from watchd.errors import EngineError, StateError
from watchd.model import EngineView, Kind
from watchd.runtime.locks import Locked, hold
from watchd.store import Store

logger = logging.getLogger(__name__)

RUN_LOCK = "run.lock"
LOCK_WAIT = 30.0  # seconds to wait for the run of another process
FAILURES = frozenset((Outcome.REFUSED, Outcome.FAILED, Outcome.DRIFTED))


@dataclass(frozen=True, slots=True)
class RunContext:
    """The engine, the state and the settings of a run.

    `followed` returns the view of a watch that follows the engine; None: nobody does now. `in_vain` counts over runs
    the steps in a row under pressure that freed nothing, by kind.
    """

    client: EngineClient
    store: Store
    observer: Observer
    cleanup: Cleanup
    followed: Callable[[], EngineView | None] = lambda: None
    in_vain: Counter[Kind] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class RunResult:
    """Plan and outcomes of a run. `outcomes` is None if the plan was not executed."""

    prepared: Prepared
    outcomes: Outcomes | None
    freed: Mapping[str, int] = field(default_factory=dict)  # bytes by disk, as measured before and after
    in_vain: frozenset[Kind] = frozenset()  # ended early under pressure, since their removals freed nothing

    @property
    def succeeded(self) -> bool:
        """Return whether all could be judged, and every item in force was acted on without a failure.

        A deferred item is no failure: the one it waits for counts itself, or the disk has space enough without it.
        """
        outcomes = self.outcomes
        return not self.failed and (outcomes is None or len(outcomes) == len(self.prepared.plan.in_force))

    @property
    def failed(self) -> bool:
        """Return whether something could not be judged or acted on; a run that ended early did not fail."""
        return bool(self.prepared.plan.incomplete) or not FAILURES.isdisjoint((self.outcomes or {}).values())


def run_cleanup(context: RunContext, control: RunControl, trigger: Trigger = MANUAL) -> RunResult:
    """Look, observe, plan, report, and remove as enforced. Raise `EngineError` or `StateError`.

    Removals that a killed run left without an outcome get one.
    """
    client, cleanup, observer, followed = context.client, context.cleanup, context.observer, context.followed()
    prepared = look_and_plan(client, cleanup, observer, trigger, control.on_fresh_view, followed=followed)
    if control.on_plan(prepared) and prepared.plan.in_force:
        before = disks.all_again(prepared.view.disks)
        room = room_for(prepared, context)
        outcomes = execute(prepared, context, control, room)
        after = {disk.path: disk for disk in disks.all_again(before).values()}
        freed = {disk.path: disk.used - after[disk.path].used for disk in before.values() if disk.path in after}
        if Outcome.REMOVED in outcomes.values():
            _record_freed(context.store, prepared.plan.plan_id, freed)
        return RunResult(prepared, outcomes, freed, room.in_vain)
    _recover_unless_locked(context, prepared.plan.engine.id)
    return RunResult(prepared, None)


def room_for(prepared: Prepared, context: RunContext) -> DiskRoom:
    """Return the measurement of disks and policies' totals during the execution of a plan."""
    total = partial(_total, context.client, prepared)
    return DiskRoom(prepared.view.disks, prepared.cleanup, disks.again, total, context.in_vain)


def execute(prepared: Prepared, context: RunContext, control: RunControl, room: DiskRoom) -> Outcomes:
    """Execute a plan while no other process that uses this state directory executes one.

    Raise `StateError` if another run takes longer than `LOCK_WAIT`; the message names its plan.
    """
    plan, store = prepared.plan, context.store
    try:
        with hold(store.path.with_name(RUN_LOCK), f"plan {plan.plan_id}", wait=LOCK_WAIT, stop=control.stop):
            recover(context.client, store, plan.engine.id)
            executor = Executor(context.client, store, prepared.view, control, prepared.observations)
            return executor.execute(plan, room)
    except Locked as error:
        if control.stop.is_set():
            return {}
        holder = error.holder or f"something else holds {RUN_LOCK}"
        raise StateError(
            f"another run is under way ({holder}) and did not end within {LOCK_WAIT:.0f} s: try again later"
        ) from None


def _total(client: EngineClient, prepared: Prepared, policy: Policy) -> int | None:
    """List the objects that a policy selects again. Return their bytes; None: the list failed."""
    try:
        view = fresh_view.take(client, prepared.view.own, {policy.kind})
    except EngineError:
        return None
    if policy.kind in view.failures:
        return None
    host = Host.index(view, prepared.cleanup, prepared.observations, view.taken_at)
    return host.space.only(selected_by(policy, Simulation(host))).total()


def _record_freed(store: Store, plan_id: str, freed: Mapping[str, int]) -> None:
    try:
        store.record_freed(plan_id, time.time(), freed)
    except StateError as error:
        logger.warning("cannot record what the disks got back: %s", error)


def _recover_unless_locked(context: RunContext, engine: str) -> None:
    """Recover, unless another process executes a plan: open removals may be its own."""
    if context.store.unsettled(engine):
        with suppress(Locked), hold(context.store.path.with_name(RUN_LOCK), "recovery"):
            recover(context.client, context.store, engine)
