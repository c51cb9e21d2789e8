"""After any sequence of events the mirror equals a fresh list."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cleanup.builders import container, hex_id
from tests.unit.engine.fake_engine import FakeEngine
from watchd.engine.decode.fields import MalformedReply
from watchd.engine.watch.mirror import Mirror
from watchd.engine.watch.watcher import Watch
from watchd.metrics.containers.event_counts import EventCounts
from watchd.model import Container, Event

if TYPE_CHECKING:
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
STREAM = cast("EventStream", object())


class Host(FakeEngine):
    """An engine as its events tell it: what changes is told afterwards, and may have changed again by then."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Event] = []
        self.odd: set[str] = set()
        self.mirror, self.counts = Mirror(), EventCounts()
        self.watch = Watch(self.client, self.mirror, [self.counts])

    def do(self, action: str, name: str) -> None:
        id_ = hex_id(name)
        if action == "create":
            self.add(container(name, status="created"))
        elif ("container", id_) not in self.subjects:
            return
        elif action == "destroy":
            self.remove(self.there[id_])
        elif action in CHANGES:
            self.add(replace(self.there[id_], **CHANGES[action]))
        self.told.append(Event("container", action, id_, len(self.told) + 1, {}))

    @property
    def there(self) -> dict[str, Container]:
        return {each.id: each for each in self._objects(Container)}

    def container(self, id_: str) -> Container:
        if id_ in self.odd:
            raise MalformedReply("not as the API says")
        return super().container(id_)

    def connect(self) -> None:
        self.watch._refresh([], connected=STREAM)

    def catch_up(self) -> None:
        self.watch._refresh(self.told[:], connected=None)
        self.told.clear()


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


def fold(steps: list[Step]) -> Host:
    """Let things happen; the watch is told of them at some moments, loses some, and connects again after that."""
    host = Host()
    host.connect()
    lost = False
    for action, name in steps:
        match action:
            case "catch up":
                host.catch_up()
            case "lose":
                lost = bool(host.told) or lost
                host.told.clear()
            case "connect":
                host.connect()
                lost = False
            case _:
                host.do(action, name)
    if lost:
        host.connect()
    host.catch_up()
    return host


@given(STEPS)
def test_in_the_end_the_mirror_is_what_a_fresh_list_says(steps: list[Step]) -> None:
    host = fold(steps)
    assert host.mirror.view.container_by_id == host.there


@given(STEPS)
def test_a_list_then_changes_nothing(steps: list[Step]) -> None:
    host = fold(steps)
    before, drift = host.mirror.view.containers, host.counts.drift()
    host.connect()
    assert host.mirror.view.containers == before
    assert host.counts.drift() == drift


@given(STEPS, st.sampled_from(NAMES))
def test_one_container_that_cannot_be_understood_costs_the_others_nothing(steps: list[Step], odd: str) -> None:
    host = Host()
    host.connect()
    host.odd.add(hex_id(odd))
    for action, name in steps:
        host.do(action, name)
    host.catch_up()
    others = {id_: each for id_, each in host.there.items() if id_ != hex_id(odd)}
    seen = host.mirror.view.container_by_id
    assert {id_: each for id_, each in seen.items() if id_ != hex_id(odd)} == others
