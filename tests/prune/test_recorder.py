"""What the daemon records of use, and whether past events make up for time that nobody watched."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.harness.waiting import wait_until
from tests.prune.builders import ENGINE, image, network, running, volume
from watchd.errors import EngineUnreachable
from watchd.model import SWARM_SERVICE, Event, Image, Observation
from watchd.prune.recorder import Lists, Recorder
from watchd.prune.usage import Usage
from watchd.store import Store

START = 1_000_000.0
HOUR = 3600.0
SECOND = 10**9
APP = image("app")


def event(type_: str, action: str, id_: str, at: float, **attributes: str) -> Event:
    return Event(type_, action, id_, int(at * SECOND), attributes)


class Host:
    """An engine that remembers events, and a daemon that is stopped and started again."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = START
        self.store = store
        self.past: list[Event] = []
        self.images: Sequence[Image] = [APP]
        self.reachable = True
        monkeypatch.setattr("watchd.prune.recorder.time.time", lambda: self.now)
        self.usage = Usage(store, writable=True, count_unwatched=False)
        self.recorder = self._new()

    def _new(self) -> Recorder:
        lists = Lists(lambda: self.images, lambda: [network("net")], lambda: [volume("data")], self._past_events)
        return Recorder(lists, self.usage)

    def _past_events(self, since: int, until: float) -> list[Event]:
        if not self.reachable:
            raise EngineUnreachable("no answer")
        return [each for each in self.past if since <= each.time_nano <= until * SECOND]

    def start(self) -> None:
        """Start the daemon, which lists all there is."""
        self.recorder = self._new()
        self.do(lambda: self.recorder.reconciled(ENGINE, []))

    def happens(self, *events: Event) -> None:
        """Have something happen while the daemon watches."""
        self.past += events
        self.do(lambda: self.recorder.happened(events))

    def do(self, step: Callable[[], Any]) -> None:
        """Do something to the recorder, and let it take that in."""
        step()
        while not self.recorder._queue.empty():
            taken = self.recorder._queue.get()
            assert taken is not None
            taken()

    def seen(self, key: Any = None) -> Observation:
        return self.store.observations(ENGINE.id)[key or APP.key]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    with closing(Store.open(tmp_path)) as store:
        host = Host(store, monkeypatch)
        host.start()
        host.happens(event("container", "die", "c1", START, image="app:1"))
        yield host


def test_events_that_go_on_from_the_last_one_make_up_for_the_time_without_anyone(host: Host) -> None:
    host.past.append(event("container", "start", "c2", START + HOUR, image="app:1"))
    host.now += 10 * HOUR
    host.start()
    assert host.seen() == Observation(START, START, last_used=START + HOUR)
    assert json.loads(host.usage.cursor(ENGINE.id) or "")["id"] == "c2"


def test_where_the_last_one_is_forgotten_the_time_does_not_count(host: Host) -> None:
    host.past = [event("container", "start", "c2", START + HOUR, image="app:1")]
    host.now += 10 * HOUR
    host.start()
    assert host.seen() == Observation(START + 10 * HOUR, START + 10 * HOUR, last_used=START + 10 * HOUR)


def test_an_engine_that_does_not_tell_its_past_is_as_one_that_forgot(host: Host) -> None:
    host.reachable = False
    host.now += 10 * HOUR
    host.start()
    assert host.seen().first_seen == START + 10 * HOUR


@pytest.mark.parametrize(
    "what",
    [
        event("image", "tag", APP.id, START + HOUR, name="app:1"),
        event("container", "die", "c2", START + HOUR, image="gone:1"),
        event("container", "die", "c2", START + HOUR),
    ],
)
def test_what_was_renamed_or_used_by_a_name_that_is_gone_could_be_anything(host: Host, what: Event) -> None:
    host.past.append(what)
    host.now += 10 * HOUR
    host.start()
    assert host.seen().first_seen == START + 10 * HOUR


def test_volumes_and_networks_are_used_by_what_mounts_and_connects(host: Host) -> None:
    data, net = volume("data"), network("net")
    host.past += [
        event("volume", "mount", "data", START + HOUR),
        event("network", "connect", net.id, START + 2 * HOUR, name="net"),
    ]
    host.now += 10 * HOUR
    host.start()
    assert host.seen(("volume", data.identity)) == Observation(START, START, last_used=START + HOUR)
    assert host.seen(("network", net.id)) == Observation(START, START, last_used=START + 2 * HOUR)


def test_while_watched_use_is_recorded_by_what_the_container_has(host: Host) -> None:
    web = running("web", volumes=("data",), networks=("net",), image_mounts=("app:1",), of="other")
    host.do(lambda: host.recorder.changed(web))
    host.now += 10
    host.happens(event("container", "start", web.id, host.now, image="other:1"))
    for key in (APP.key, ("volume", volume("data").identity), ("network", network("net").id)):
        assert host.seen(key).last_used == START + 10, "an image that is mounted is used as well"
    host.now += 10
    host.do(host.recorder.tick)
    assert host.seen().last_used == START + 20


def test_a_list_that_fails_costs_only_its_own_kind(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    def refuse() -> list[Any]:
        raise EngineUnreachable("no answer")

    other = image("other")
    host.images = [APP, other]
    host.recorder = Recorder(Lists(lambda: host.images, refuse, refuse, host._past_events), host.usage)
    host.recorder.start()
    host.recorder.reconciled(ENGINE, [])
    wait_until(lambda: "networks: no answer" in caplog.text, seconds=5, what="the complaint")
    host.recorder.stop()
    known = host.store.observations(ENGINE.id)
    assert other.key in known
    assert ("network", network("net").id) in known, "what was known of it stays"


def test_a_task_that_came_and_went_between_two_looks_is_on_record(host: Host) -> None:
    host.start()
    host.do(lambda: host.recorder.changed(running("web.1", of="app", labels={SWARM_SERVICE: "web"})))
    assert [(each.service, each.image) for each in host.store.task_generations(ENGINE.id)] == [("web", APP.id)]
