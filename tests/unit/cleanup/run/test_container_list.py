"""The list of containers during a run: listed again only when something may have changed."""

import queue
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from tests.harness.waiting import wait_until
from tests.unit.cleanup.builders import NOW, container, image
from watchd.cleanup.run.container_list import MAX_AGE, ContainerList
from watchd.cleanup.run.run_events import RunEvents
from watchd.engine.client import EngineClient
from watchd.errors import EngineRefused, EngineUnreachable
from watchd.model import Container, Event


class Stream(Iterator[Event]):
    """Events that a test says."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self.read = 0

    def say(self, action: str | None, type_: str = "container", id_: str = "a") -> None:
        """Send an event, or the end of the stream, and wait until it was read."""
        read = self.read
        self._queue.put(None if action is None else Event(type_, action, id_, 1))
        wait_until(lambda: self.read > read and self._queue.empty(), seconds=10, what="the event to be read")

    def __next__(self) -> Event:
        event = self._queue.get()
        self.read += 1
        if event is None:
            raise StopIteration
        return event

    def close(self) -> None:
        self._queue.put(None)


class Engine(EngineClient):
    def __init__(self) -> None:
        self.stream = Stream()
        self.lists = 0
        self.old: list[Container] = []

    def container_references(self, *, since: str = "") -> list[Container]:
        self.lists += 1
        if since and since not in {each.id for each in self.old}:
            raise EngineRefused("no such container", 404)
        listed = container(f"c{self.lists}", created_at=time.time())
        return [listed] if since else [listed, *self.old]

    def events(self, since_nano: int | None = None, *, types: Any = (), actions: Any = ()) -> Any:
        assert (since_nano, types, actions) == (NOW * 10**9, ("container", "network", "image"), ())
        return self.stream


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def listing(
    engine: Engine, clock: Clock | None = None, *, follow: bool = True
) -> Iterator[tuple[ContainerList, RunEvents]]:
    with closing(RunEvents(engine, since=NOW, follow=follow)) as events:
        yield ContainerList(engine, events, clock=clock or Clock()), events


def names(containers: ContainerList) -> list[str]:
    return [each.name for each in containers.now()]


def test_one_list_serves_many_objects_for_a_second() -> None:
    engine, clock = Engine(), Clock()
    with listing(engine, clock) as (containers, _):
        assert [names(containers) for _ in range(3)] == [["c1"]] * 3
        clock.now += MAX_AGE
        assert names(containers) == ["c1"]
        clock.now += 0.01
        assert names(containers) == ["c2"]
    assert MAX_AGE <= 1.0


@pytest.mark.parametrize("action", ["create", "start", "connect", "destroy", "rename", "some-new-action"])
def test_an_event_discards_it(action: str) -> None:
    engine = Engine()
    with listing(engine) as (containers, _):
        names(containers)
        engine.stream.say(action)
        wait_until(lambda: names(containers) == ["c2"], seconds=10, what="another list")


def test_for_images_only_new_ones_are_listed_without_an_event() -> None:
    engine, clock = Engine(), Clock()
    engine.old = [container("old", created_at=time.time() - 60)]
    with listing(engine, clock) as (containers, _):

        def later(*, networks: bool) -> list[str]:
            clock.now += MAX_AGE + 0.01
            return [each.name for each in containers.now(networks=networks)]

        assert later(networks=False) == ["c1", "old"]
        assert later(networks=False) == ["c2", "c1", "old"]
        assert later(networks=True) == ["c3", "old"], "what they are attached to is not told by events"
        engine.stream.say("create")
        wait_until(lambda: later(networks=False) == [f"c{engine.lists}", "old"], seconds=10, what="all of them")
        engine.old = []
        assert later(networks=False) == [f"c{engine.lists}"], "the old one has gone, so all are listed"
        assert later(networks=False) == [f"c{engine.lists}"], "a slower creation of an older one may be under way"


def test_an_event_while_it_is_listed_discards_it() -> None:
    engine = Engine()
    listed = engine.container_references

    def list_while_something_starts(*, since: str = "") -> list[Container]:
        found = listed(since=since)
        if engine.lists == 1:
            engine.stream.say("start")
        return found

    engine.container_references = list_while_something_starts  # type: ignore[method-assign]
    with listing(engine) as (containers, _):
        names(containers)
        wait_until(lambda: names(containers) == ["c2"], seconds=10, what="another list")


def test_health_checks_do_not() -> None:
    engine = Engine()
    with listing(engine) as (containers, _):
        names(containers)
        for action in ("exec_create", "exec_start", "exec_die", "health_status"):
            engine.stream.say(action)
        engine.stream.say("health_status")  # the ones before were taken in
        assert names(containers) == ["c1"]


def test_images_that_arrive_are_told_by_any_of_their_names_and_discard_nothing() -> None:
    engine = Engine()
    loaded = image("loaded")
    with listing(engine) as (containers, events):
        names(containers)
        engine.stream.say("pull", "image", "app:1")
        engine.stream.say("load", "image", loaded.id)
        for action in ("untag", "delete"):  # the first was taken in when the second is read
            engine.stream.say(action, "image", image("other").id)
        assert {"docker.io/library/app:1", loaded.id} <= events.arrived
        assert image("other").id not in events.arrived
        assert names(containers) == ["c1"]


def test_without_events_each_object_has_a_list_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine()
    with listing(engine, follow=False) as (containers, _):
        assert [names(containers), names(containers)] == [["c1"], ["c2"]]

    def unreachable(*_: Any, **__: Any) -> Any:
        raise EngineUnreachable("it is away")

    monkeypatch.setattr(engine, "events", unreachable)
    with listing(engine) as (containers, _):
        assert [names(containers), names(containers)] == [["c3"], ["c4"]]


def test_after_the_events_ended_too() -> None:
    engine = Engine()
    with listing(engine) as (containers, events):
        names(containers)
        engine.stream.say(None)
        wait_until(lambda: not events.are_followed(), seconds=10, what="the end to be seen")
        assert [names(containers), names(containers)] == [["c2"], ["c3"]]
