"""What the watch makes of events, for any sequence of them: in the end the inventory is what a fresh list says."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from hypothesis import given
from hypothesis import strategies as st

from tests.prune.builders import ENGINE, container, hex_id
from watchd.engine.watch import Watch
from watchd.engine.wire import MalformedReply
from watchd.errors import EngineRefused
from watchd.metrics.inventory import Inventory
from watchd.model import Container, EngineInfo, Event

if TYPE_CHECKING:
    from watchd.engine.client import EngineClient
    from watchd.engine.event_stream import EventStream

NAMES = ["a", "b", "c", "d"]
CHANGES: dict[str, dict[str, Any]] = {
    "start": {"status": "running", "pid": 7},
    "die": {"status": "exited", "pid": 0, "exit_code": 1},
    "rename": {"name": "renamed"},
    "pause": {"status": "paused"},
    "health_status: healthy": {"health": "healthy"},
    "update": {"restart_policy": "always"},
}
Step = tuple[str, str]


class Host:
    """An engine as its events tell it: what changes is told afterwards, and may have changed again by then."""

    host = "a host"

    def __init__(self) -> None:
        self.there: dict[str, Container] = {}
        self.told: list[Event] = []
        self.odd: set[str] = set()

    def do(self, action: str, name: str) -> None:
        id_ = hex_id(name)
        if action == "create":
            self.there[id_] = container(name, status="created")
        elif id_ not in self.there:
            return
        elif action == "destroy":
            del self.there[id_]
        elif action in CHANGES:
            self.there[id_] = replace(self.there[id_], **CHANGES[action])
        self.told.append(Event("container", action, id_, len(self.told) + 1, {}))

    def containers(self) -> list[Container]:
        return list(self.there.values())

    def container(self, id_: str) -> Container:
        if id_ in self.odd:
            raise MalformedReply("not as the API says")
        if id_ not in self.there:
            raise EngineRefused("no such container", 404)
        return self.there[id_]

    def info(self) -> EngineInfo:
        return ENGINE


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["create", "destroy", *CHANGES, "exec_start", "no such action"]), st.sampled_from(NAMES)
        ),
        st.just(("catch up", "")),
        st.just(("lose", "")),
        st.just(("connect", "")),
    ),
    max_size=40,
)


def by_id(inventory: Inventory) -> dict[str, Container]:
    return {each.id: each for each in inventory.current()}


def fold(steps: list[Step]) -> tuple[Host, Inventory, Watch]:
    """Let things happen; the watch is told of them at some moments, loses some, and connects again after that."""
    host, inventory = Host(), Inventory()
    watch = Watch(cast("EngineClient", host), [inventory])
    stream = cast("EventStream", object())
    watch._reconcile(stream)
    lost = False
    for action, name in steps:
        match action:
            case "catch up":
                watch._apply(host.told[:])
                host.told.clear()
            case "lose":
                lost = bool(host.told) or lost
                host.told.clear()
            case "connect":
                watch._reconcile(stream)
                lost = False
            case _:
                host.do(action, name)
    if lost:
        watch._reconcile(stream)
    watch._apply(host.told)
    return host, inventory, watch


@given(STEPS)
def test_in_the_end_the_inventory_is_what_a_fresh_list_says(steps: list[Step]) -> None:
    host, inventory, _ = fold(steps)
    assert by_id(inventory) == host.there


@given(STEPS)
def test_a_list_then_changes_nothing(steps: list[Step]) -> None:
    _, inventory, watch = fold(steps)
    before, drift = by_id(inventory), inventory.drift()
    watch._reconcile(cast("EventStream", object()))
    assert by_id(inventory) == before
    assert inventory.drift() == drift


@given(STEPS, st.sampled_from(NAMES))
def test_one_container_that_cannot_be_understood_costs_the_others_nothing(steps: list[Step], odd: str) -> None:
    host, inventory = Host(), Inventory()
    watch = Watch(cast("EngineClient", host), [inventory])
    host.odd.add(hex_id(odd))
    for action, name in steps:
        host.do(action, name)
    watch._apply(host.told)
    others = {id_: each for id_, each in host.there.items() if id_ != hex_id(odd)}
    assert {id_: each for id_, each in by_id(inventory).items() if id_ != hex_id(odd)} == others
