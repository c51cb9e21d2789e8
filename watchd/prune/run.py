"""One cleaning run: look, plan, and carry out what is in force. The same for the daemon and by hand."""

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from watchd.config import Cleanup
from watchd.cron import quiet_until
from watchd.engine import disk, snapshot
from watchd.engine.client import EngineClient
from watchd.engine.own import find_own
from watchd.errors import StateError
from watchd.locks import Locked, hold
from watchd.model import ImageUsage, Observations, Snapshot, Subject
from watchd.prune.executor import Executor
from watchd.prune.explain import Explanation, explain
from watchd.prune.plan import Item, Outcome, Outcomes, Plan
from watchd.prune.planner import AT_ANY_TIME, Occasion, plan
from watchd.prune.relief import Relief
from watchd.prune.settle import settle
from watchd.prune.usage import Usage
from watchd.store import Store

RUN_LOCK = "run.lock"
LOCK_WAIT = 30.0  # seconds that a run waits for another one to end
_disturbing = threading.Lock()
_undisturbed: list[None] = []  # one for each that wants no cycles to be collected


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan, and what it rests on: a look at the engine, the policies, and what was observed until then."""

    snapshot: Snapshot
    cleanup: Cleanup
    observations: Observations
    plan: Plan

    def explain(self, subject: Subject) -> Explanation:
        """Return what led to the plan's decision about one object, and whether quiet hours put off what it comes to."""
        cleanup = self.cleanup
        quiet = quiet_until(cleanup.quiet_hours, self.plan.created_at, cleanup.timezone)
        return explain(subject, self.plan, self.snapshot, cleanup, self.observations, quiet_until=quiet)


def prepare(
    client: EngineClient,
    cleanup: Cleanup,
    usage: Usage,
    *,
    occasion: Occasion = AT_ANY_TIME,
    at: Callable[[float], float] | None = None,
) -> Prepared:
    """Look at the engine and plan. Raise `EngineError` or `StateError` when that cannot be done.

    Under disk pressure sizes are not asked for, which the engine may take minutes to measure. `at` tells from the time
    of the look for which later time to plan: such a plan is only to be shown.
    """
    due = occasion.due
    kinds = {policy.kind for policy in cleanup.policies if due is None or policy.name in due}
    look = snapshot.take(client, find_own(), kinds, quick=bool(occasion.acting))
    return plan_for(look, cleanup, usage, occasion=occasion, at=at)


def prepare_all(client: EngineClient, cleanup: Cleanup, usage: Usage, images: ImageUsage | None) -> Prepared:
    """Look at everything, with all sizes, also of what there is no policy for, and plan. Raise as `prepare` does."""
    look = snapshot.take(client, find_own())
    if images is not None:  # this the engine has added up, where the list has only guesses
        unique = images.unique
        known = [
            replace(image, shared_size=max(0, image.size - unique[image.id])) if image.id in unique else image
            for image in look.images
        ]
        look = replace(look, images=tuple(known))
    return plan_for(look, cleanup, usage)


def plan_for(
    look: Snapshot,
    cleanup: Cleanup,
    usage: Usage,
    *,
    occasion: Occasion = AT_ANY_TIME,
    at: Callable[[float], float] | None = None,
) -> Prepared:
    """Plan for one look at the engine. Raise `StateError` when what was observed cannot be read."""
    observations = usage.look(look, look.taken_at)
    if look.engine.swarm == "worker":
        look = replace(look, services=usage.services(look))
    now = at(look.taken_at) if at else look.taken_at
    with undisturbed():
        return Prepared(look, cleanup, observations, plan(look, cleanup, observations, now, occasion))


@contextmanager
def undisturbed() -> Iterator[None]:
    """Have Python collect no cycles meanwhile: it would go through a large plan again and again, and find none.

    Threads may do so at the same time: the last one has it collect again.
    """
    with _disturbing:
        _undisturbed.append(None)
        gc.disable()
    try:
        yield
    finally:
        with _disturbing:
            _undisturbed.pop()
            if not _undisturbed:
                gc.enable()


def carry_out(
    prepared: Prepared,
    client: EngineClient,
    store: Store,
    *,
    stop: threading.Event,
    done: Callable[[Item, Outcome, str], None],
) -> Outcomes:
    """Act on what a plan has in force, alone among all watchd processes on this state directory, until `stop`.

    Raise `StateError` when another run is still under way after `LOCK_WAIT`: the message names its plan.
    """
    try:
        with hold(store.path.with_name(RUN_LOCK), f"plan {prepared.plan.plan_id}", wait=LOCK_WAIT, stop=stop):
            settle(client, store, prepared.plan.engine.id)
            relief = Relief(prepared.snapshot.disks, prepared.cleanup, disk.again)
            executor = Executor(client, store, prepared.snapshot, stop=stop, done=done)
            return executor.carry_out(prepared.plan, relief)
    except Locked as error:
        if stop.is_set():
            return {}
        holder = error.holder or f"something else holds {RUN_LOCK}"
        raise StateError(
            f"another run is under way ({holder}) and did not end within {LOCK_WAIT:.0f} s: try again later"
        ) from None


def settle_now(client: EngineClient, store: Store, engine: str) -> None:
    """Settle what an earlier run left open, unless another process carries out a plan right now."""
    if store.unsettled(engine):
        with suppress(Locked), hold(store.path.with_name(RUN_LOCK), "settling an earlier run"):
            settle(client, store, engine)
