"""The volumes during a run: one list for many, and an inspect for each that was created since the plan."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

import pytest

from tests.harness.waiting import wait_until
from tests.unit.cleanup.builders import NOW, volume
from tests.unit.cleanup.run.test_container_list import Clock, Stream
from watchd.cleanup.run.run_events import RunEvents
from watchd.cleanup.run.volume_list import MAX_AGE, VolumeList
from watchd.engine.client import EngineClient
from watchd.engine.event_stream import EventStream
from watchd.errors import EngineRefused
from watchd.model import Volume


class Engine(EngineClient):
    def __init__(self, *names: str) -> None:
        self.stream = Stream()
        self.here = {name: volume(name) for name in names}
        self.asked: list[str] = []

    def volumes(self) -> list[Volume]:
        self.asked.append("all")
        return list(self.here.values())

    def volume(self, name: str) -> Volume:
        self.asked.append(name)
        if name not in self.here:
            raise EngineRefused("no such volume", 404)
        return self.here[name]

    def events(
        self, since_nano: int | None = None, *, types: Sequence[str] = (), actions: Sequence[str] = ()
    ) -> EventStream:
        assert (since_nano, types, actions) == (NOW * 10**9, ("volume",), ("create",))
        return self.stream  # type: ignore[return-value]

    def make_again(self, name: str) -> None:
        self.here[name] = replace(self.here[name], created="later")


@pytest.fixture
def engine() -> Engine:
    return Engine("a", "b", "c")


def test_one_list_serves_many_for_a_second(engine: Engine) -> None:
    clock = Clock()
    with closing(RunEvents(engine, since=NOW)) as events:
        volumes = VolumeList(engine, events, clock=clock)
        assert [volumes.now(name) for name in "abc"] == list(engine.here.values())
        clock.now += MAX_AGE
        volumes.now("a")
        assert engine.asked == ["all"]
        engine.make_again("a")
        clock.now += 0.01
        assert volumes.now("a").created == "later"
    assert engine.asked == ["all", "all"]
    assert MAX_AGE <= 1.0


def test_one_that_was_created_since_is_inspected(engine: Engine) -> None:
    with closing(RunEvents(engine, since=NOW)) as events:
        volumes = VolumeList(engine, events, clock=Clock())
        assert volumes.now("a").created == volume("a").created
        engine.make_again("a")
        engine.stream.say("create", "volume", "a")
        wait_until(lambda: volumes.now("a").created == "later", seconds=10, what="the event to be taken in")
        volumes.now("b")
    assert engine.asked[0] == "all"
    assert set(engine.asked[1:]) == {"a"}


def test_one_that_is_not_listed_is_inspected_too(engine: Engine) -> None:
    with closing(RunEvents(engine, since=NOW)) as events:
        volumes = VolumeList(engine, events, clock=Clock())
        with pytest.raises(EngineRefused, match="no such volume"):
            volumes.now("gone")
    assert engine.asked == ["all", "gone"]


def test_without_events_each_is_inspected(engine: Engine) -> None:
    with closing(RunEvents(engine, since=NOW, follow=False)) as events:
        volumes = VolumeList(engine, events, clock=Clock())
        assert [volumes.now("a"), volumes.now("a")] == [engine.here["a"]] * 2
    assert engine.asked == ["a", "a"]


def test_after_the_events_ended_too(engine: Engine) -> None:
    with closing(RunEvents(engine, since=NOW)) as events:
        volumes = VolumeList(engine, events, clock=Clock())
        volumes.now("a")
        engine.stream.say(None)
        wait_until(lambda: not events.new_volumes_are_followed(), seconds=10, what="the end to be seen")
        volumes.now("a")
    assert engine.asked == ["all", "a"]
