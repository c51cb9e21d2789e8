"""One run, from the look to the record of what it removed."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.harness.waiting import wait_until
from tests.unit.cleanup.builders import (
    ENGINE,
    EXITED,
    UNUSED,
    UNUSED_VOLUMES,
    anonymous,
    cleanup,
    container,
    plan,
    policy,
    running,
    view,
)
from tests.unit.cleanup.fake_engine import FakeEngine
from watchd.cleanup.observe.observer import Observer
from watchd.cleanup.plan.plan import Item, Outcome, Outcomes
from watchd.cleanup.plan.planner import Trigger
from watchd.cleanup.run import run as module
from watchd.cleanup.run.control import RunControl
from watchd.cleanup.run.disk_room import DiskRoom
from watchd.cleanup.run.executor import Executor
from watchd.cleanup.run.planning import Prepared, look_and_plan
from watchd.cleanup.run.run import RUN_LOCK, RunContext, RunResult, run_cleanup
from watchd.engine.data import disks
from watchd.engine.watch.mirror import Mirror
from watchd.errors import EngineUnreachable, StateError
from watchd.model import ContainerSize, Disk, EngineView
from watchd.runtime.locks import hold
from watchd.store import Removal, Store

SETTINGS = cleanup(UNUSED_VOLUMES)
USED, FREE = anonymous("a").name, anonymous("b").name
MIRRORED = Mirror().view.kinds


class Control(RunControl):
    """Agree to the plan or not, and keep the outcomes that were reported."""

    def __init__(self, *, executes: bool = True) -> None:
        super().__init__()
        self.executes = executes
        self.shown: list[str] = []
        self.reported: list[str] = []

    def on_plan(self, prepared: Prepared) -> bool:
        self.shown.append(prepared.plan.plan_id)
        return self.executes

    def on_outcome(self, item: Item, outcome: Outcome, detail: str) -> None:
        self.reported.append(f"{outcome} {item.kind}{detail}")


@pytest.fixture
def engine(tmp_path: Path) -> FakeEngine:
    return FakeEngine(tmp_path, anonymous("a"), anonymous("b"))


@pytest.fixture
def context(engine: FakeEngine, tmp_path: Path) -> Iterator[RunContext]:
    with closing(Store.open(tmp_path / "state")) as store:
        yield RunContext(engine, store, Observer(store, writable=True, count_unwatched=False), SETTINGS)


def open_removal(store: Store, name: str, **changes: Any) -> None:
    """Record a removal without an outcome, as a killed run leaves it."""
    fields: dict[str, Any] = {
        "engine": ENGINE.id,
        "time": 1.0,
        "plan_id": "killed",
        "kind": "volume",
        "id": name,
        "name": name,
        "names": (name,),
        "action": "remove",
        "labels": {},
        "policy": "volumes",
        "reason": "unused_too_long",
        "facts": {},
        "bytes": 0,
        **changes,
    }
    store.record(Removal(**fields))


def outcomes_of(store: Store, plan_id: str = "killed") -> Mapping[str, str | None]:
    return {row.removal.name: row.outcome for row in store.removals() if row.removal.plan_id == plan_id}


def test_it_removes_what_is_in_force_and_records_it(context: RunContext, engine: FakeEngine) -> None:
    control = Control()
    result = run_cleanup(context, control)
    assert (len(engine.removed), control.reported) == (2, ["removed volume"] * 2)
    assert set(outcomes_of(context.store, control.shown[0]).values()) == {"removed"}
    assert result.succeeded


def test_a_run_for_volumes_alone_lists_only_these_where_a_watch_follows_the_engine(
    context: RunContext, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for list_ in ("info", "containers", "images", "networks"):
        monkeypatch.setattr(engine, list_, lambda list_=list_: pytest.fail(f"{list_} was asked for"))
    known = view(container("user", volumes=(USED,)), anonymous("a"), failures={"volume": "an old error"})
    followed = replace(known, kinds=MIRRORED)
    result = run_cleanup(replace(context, followed=lambda: followed), Control())
    assert engine.removed == [FREE], "it is listed, and no container of the watch has it"
    assert result.succeeded


def test_a_run_for_containers_and_volumes_measures_those_that_may_go_and_lists_only_volumes(
    context: RunContext, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, others = container("job", volumes=(FREE,)), [running(f"web-{n}") for n in range(5)]
    known = replace(view(job, *others), kinds=MIRRORED)
    for list_ in ("info", "containers", "container_references", "images", "networks"):
        monkeypatch.setattr(engine, list_, lambda list_=list_: pytest.fail(f"{list_} was asked for"))
    measured: list[Sequence[str]] = []

    def sizes(ids: Sequence[str] = ()) -> dict[str, ContainerSize]:
        measured.append(ids)
        return {job.id: ContainerSize(7, 9)}

    monkeypatch.setattr(engine, "container_sizes", sizes)
    settings = cleanup({**EXITED, "anonymous_volumes": True}, UNUSED_VOLUMES)
    prepared = look_and_plan(engine, settings, context.observer, Trigger(due=("exited", "volumes")), followed=known)
    assert measured == [[job.id]]
    assert [(item.name, item.bytes) for item in prepared.plan.in_force if item.kind == "container"] == [("job", 7)]


@pytest.mark.parametrize(
    ("followed", "policies"),
    [
        (None, [UNUSED_VOLUMES]),
        (view(failures={"container": "not listed yet"}), [UNUSED_VOLUMES]),
        (view(), [UNUSED_VOLUMES, UNUSED]),
    ],
    ids=["nobody follows", "no containers yet", "other kinds are due"],
)
def test_else_everything_is_listed(
    context: RunContext,
    engine: FakeEngine,
    monkeypatch: pytest.MonkeyPatch,
    followed: EngineView | None,
    policies: Sequence[Any],
) -> None:
    user = container("user", volumes=(USED,))
    monkeypatch.setattr(engine, "containers", lambda: [user])
    monkeypatch.setattr(type(engine), "lists_types", False)
    run_cleanup(replace(context, cleanup=cleanup(*policies), followed=lambda: followed), Control())
    assert engine.removed == [FREE]


def test_what_disks_got_back_is_on_record_beside_what_the_run_estimated(
    context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = iter([Disk("/data", used=100, available=900), Disk("/data", used=40, available=960)])
    monkeypatch.setattr(disks, "all_again", lambda _: {"volume": next(steps)})
    result = run_cleanup(context, Control())
    assert result.freed == {"/data": 60}
    assert {each.disk_freed["/data"] for each in context.store.removals()} == {60}
    assert context.store.removals()[0].as_json()["disk_freed"] == {"/data": 60}


def test_a_run_tells_that_its_removals_freed_nothing(context: RunContext, monkeypatch: pytest.MonkeyPatch) -> None:
    def execute(_: object, __: object, room: DiskRoom) -> Outcomes:
        room._ended["image"] = "three steps freed nothing"
        return {}

    monkeypatch.setattr(Executor, "execute", execute)
    assert run_cleanup(context, Control()).in_vain == {"image"}


def test_a_plan_that_is_not_agreed_to_is_not_executed(context: RunContext, engine: FakeEngine) -> None:
    result = run_cleanup(context, Control(executes=False))
    assert (engine.removed, result.outcomes, result.succeeded) == ([], None, True)


@pytest.mark.parametrize("executes", [True, False])
def test_what_a_killed_run_left_open_gets_an_outcome(
    context: RunContext, engine: FakeEngine, *, executes: bool
) -> None:
    kept = next(iter(engine.there))
    open_removal(context.store, "gone")
    open_removal(context.store, kept)
    open_removal(context.store, "elsewhere", engine="another")
    run_cleanup(context, Control(executes=executes))
    assert outcomes_of(context.store) == {"gone": "removed", kept: "failed", "elsewhere": None}


def test_what_another_process_may_have_open_stays_open(context: RunContext) -> None:
    open_removal(context.store, "gone")
    with hold(context.store.path.with_name(RUN_LOCK), "plan 1"):
        run_cleanup(context, Control(executes=False))
    assert outcomes_of(context.store) == {"gone": None}


def test_what_the_engine_cannot_tell_stays_open(
    context: RunContext, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(_: str) -> None:
        raise EngineUnreachable("it is away")

    open_removal(context.store, "gone")
    monkeypatch.setattr(engine, "volume", unreachable)
    run_cleanup(context, Control(executes=False))
    assert outcomes_of(context.store) == {"gone": None}


def test_a_run_of_another_process_that_does_not_end_is_an_error_that_names_its_plan(
    context: RunContext, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOCK_WAIT", 0.2)
    with (
        hold(context.store.path.with_name(RUN_LOCK), "plan 20270115T080000Z-1"),
        pytest.raises(StateError, match="plan 20270115T080000Z-1"),
    ):
        run_cleanup(context, Control())
    assert engine.removed == []


def test_a_stop_ends_the_lists_of_what_a_policy_with_a_total_selects(context: RunContext, engine: FakeEngine) -> None:
    engine.there |= {each.name: each for each in map(anonymous, map(str, range(60)))}
    total = policy("total", "volume", pressure={"total_above": "400B", "total_until": "100B"})
    control = Control()
    listed: list[int] = []

    def stop() -> None:
        control.stop.set()
        listed.append(engine.lists)

    engine.on_remove = stop
    result = run_cleanup(replace(context, cleanup=cleanup(total)), control)
    assert engine.lists == listed[-1], "none after the stop"
    assert 0 < len(result.outcomes or {}) < len(result.prepared.plan.in_force)


def test_a_stop_ends_the_wait_for_another_process(context: RunContext, engine: FakeEngine) -> None:
    control = Control()
    results: list[RunResult] = []
    with hold(context.store.path.with_name(RUN_LOCK), "another"):
        thread = threading.Thread(target=lambda: results.append(run_cleanup(context, control)))
        thread.start()
        wait_until(lambda: control.shown != [], seconds=10, what="the plan")
        control.stop.set()
        thread.join(10)
    assert engine.removed == []
    assert [(result.outcomes, result.succeeded) for result in results] == [({}, False)]


@pytest.mark.parametrize(
    ("outcomes", "succeeded"),
    [
        (["removed", "already_gone"], True),
        (["removed", "deferred"], True),
        (["removed", "refused"], False),
        (["drifted", "removed"], False),
        (["failed", "removed"], False),
        (["removed"], False),
    ],
)
def test_a_run_succeeded_if_all_was_acted_on_and_nothing_failed(outcomes: list[str], *, succeeded: bool) -> None:
    look = view(anonymous("a"), anonymous("b"))
    made = plan(look, SETTINGS)
    known = {item.key: Outcome(outcome) for item, outcome in zip(made.in_force, outcomes, strict=False)}
    assert RunResult(Prepared(look, SETTINGS, {}, made), known).succeeded == succeeded
    incomplete = view(failures={"volume": "403"})
    assert not RunResult(Prepared(incomplete, SETTINGS, {}, plan(incomplete, SETTINGS)), None).succeeded
