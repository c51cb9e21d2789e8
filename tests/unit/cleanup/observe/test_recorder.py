"""The daemon's record of uses and arrivals, also from past events after a gap."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.unit.cleanup.builders import ENGINE, container, image, network, running, untagged, volume
from tests.unit.engine.fake_engine import FakeEngine, event, refused, unreachable
from tests.unit.entries import entries
from watchd.cleanup.observe.observer import Observer
from watchd.cleanup.observe.recorder import Recorder
from watchd.engine.watch.mirror import Mirror
from watchd.engine.watch.watcher import Watch
from watchd.errors import StateError
from watchd.model import SWARM_SERVICE, Container, Event, Image, Network, Observation, Volume
from watchd.store import Store

if TYPE_CHECKING:
    from watchd.engine.event_stream import EventStream

START = 1_000_000.0
HOUR = 3600.0
APP, NET, DATA = image("app"), network("net"), volume("data")


class Host:
    """An engine, and a daemon that is stopped and started again. `coverage` tells what was watched."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = START
        self.store = store
        self.engine = FakeEngine(APP, NET, DATA)

        def clock() -> float:
            return self.now

        for module in ("watchd.cleanup.observe.recorder", "watchd.engine.watch.coverage"):
            monkeypatch.setattr(f"{module}.time.time", clock)
            monkeypatch.setattr(f"{module}.time.monotonic", clock)
        self.start()

    def start(self) -> None:
        """Start the daemon, which lists all there is."""
        self.mirror = Mirror()
        self.watch = Watch(self.engine.client, self.mirror)
        unwatched = self.watch.coverage.unwatched
        self.observer = Observer(self.store, writable=True, count_unwatched=False, unwatched=unwatched)
        self.recorder = Recorder(self.engine.client, self.observer, self.watch.coverage)
        self.watch.add_listeners(self.recorder)
        self.connect()

    def connect(self) -> None:
        self.watch.coverage.begin()
        self.watch._refresh([], connected=cast("EventStream", object()))
        self.record()

    def happens(self, *events: Event) -> None:
        """Have something happen while the daemon watches."""
        self.engine.past += events
        self.watch._refresh(events, connected=None)
        self.record()

    def tick(self) -> None:
        self.recorder.tick()
        self.record()

    def record(self) -> None:
        """Let the recorder take in what it was told."""
        changes = []
        while not self.recorder._queue.empty():
            changes.append(self.recorder._queue.get())
        self.recorder._take_in([change for change in changes if change])

    def seen(self, subject: Container | Image | Network | Volume = APP) -> Observation:
        return self.store.observations(ENGINE.id)[subject.kind, subject.identity]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    with closing(Store.open(tmp_path)) as store:
        host = Host(store, monkeypatch)
        host.happens(event("container", "die", "c1", START, image="app:1"))
        yield host


class TestPulls:
    PULL = event("image", "pull", "app:1", START + HOUR)

    def test_a_pull_is_recorded_and_a_tag_is_none(self, host: Host) -> None:
        host.happens(event("image", "tag", APP.id, START, name="app:1"))
        assert not host.seen().pulled
        host.happens(self.PULL)
        assert host.seen().pulled
        host.start()
        assert host.seen().pulled, "after a list as well"

    def test_where_another_image_may_have_got_the_name_since_it_is_not_recorded(self, host: Host) -> None:
        host.happens(self.PULL, event("image", "tag", APP.id, START + HOUR, name="app:1"))
        assert not host.seen().pulled

    def test_the_image_that_had_the_name_before_was_not_pulled(self, host: Host) -> None:
        new = image("new", tags=("app:1",))
        host.engine.remove(APP)
        host.engine.add(untagged("app"), new)
        host.happens(self.PULL)
        assert host.seen(new).pulled
        assert not host.seen(APP).pulled


class TestTimeThatNobodyWatched:
    def test_events_that_go_on_from_the_last_one_make_up_for_it(self, host: Host) -> None:
        host.engine.past.append(event("container", "start", "c2", START + HOUR, image="app:1"))
        host.now += 10 * HOUR
        host.start()
        assert host.seen() == Observation(START, START, last_used=START + HOUR)
        assert json.loads(host.observer.cursor(ENGINE.id) or "")["id"] == "c2"

    def test_where_the_last_one_is_forgotten_it_does_not_count(self, host: Host) -> None:
        host.engine.past = [event("container", "start", "c2", START + HOUR, image="app:1")]
        host.now += 10 * HOUR
        host.start()
        assert host.seen() == Observation(host.now, host.now, last_used=host.now)

    def test_an_engine_that_does_not_tell_its_past_is_as_one_that_forgot(self, host: Host) -> None:
        host.engine.failing["past"] = unreachable()
        host.now += 10 * HOUR
        host.start()
        assert host.seen().first_seen == host.now

    @pytest.mark.parametrize(
        "what",
        [
            event("image", "tag", APP.id, START + HOUR, name="app:1"),
            event("container", "die", "c2", START + HOUR, image="gone:1"),
            event("container", "die", "c2", START + HOUR),
        ],
    )
    def test_what_was_renamed_or_used_by_a_name_that_is_gone_could_be_anything(self, host: Host, what: Event) -> None:
        host.engine.past.append(what)
        host.now += 10 * HOUR
        host.start()
        assert host.seen().first_seen == host.now

    def test_volumes_and_networks_are_used_by_what_mounts_and_connects(self, host: Host) -> None:
        host.engine.past += [
            event("volume", "mount", "data", START + HOUR),
            event("network", "connect", NET.id, START + 2 * HOUR, name="net"),
        ]
        host.now += 10 * HOUR
        host.start()
        assert host.seen(DATA) == Observation(START, START, last_used=START + HOUR)
        assert host.seen(NET) == Observation(START, START, last_used=START + 2 * HOUR)

    def test_time_without_answers_counts_where_events_go_on_from_the_last_one(self, host: Host) -> None:
        host.now += 100
        host.tick()
        host.now += 10
        host.watch.coverage.end(lost_from=START + 90)  # a ping found out
        host.connect()
        assert host.seen().first_seen == START

    def test_with_the_stream_open_all_time_counts_however_seldom_it_is_noted(self, host: Host) -> None:
        host.now += 10 * HOUR
        host.tick()
        assert host.seen().first_seen == START

    def test_events_that_were_missed_end_it_back_to_the_last_list(self, host: Host) -> None:
        host.now += HOUR
        host.tick()
        host.watch.coverage.restart(START + HOUR / 2)
        host.now += 60
        host.tick()
        assert host.seen().first_seen == START + HOUR / 2, "half an hour of it does not count"
        host.now += HOUR
        host.tick()
        assert host.seen().first_seen == START + HOUR / 2, "and no more than that"


class TestWhileWatched:
    def test_use_is_recorded_by_what_the_container_has(self, host: Host) -> None:
        web = running("web", volumes=("data",), networks=("net",), image_mounts=("app:1",), of="other")
        host.engine.add(web)
        host.now += 10
        host.happens(event("container", "start", web.id, host.now, image="other:1"))
        for used in (APP, DATA, NET):
            assert host.seen(used).last_used == START + 10, "an image that is mounted is used as well"
        host.now += 10
        host.tick()
        assert host.seen().last_used == START + 20

    def test_a_container_that_is_gone_again_used_what_it_had(self, host: Host) -> None:
        web = running("web", volumes=("data",))
        host.engine.add(web)
        host.happens(event("container", "start", web.id, host.now, image="app:1"))
        host.engine.remove(web)
        host.now += 10
        host.happens(event("container", "destroy", web.id, host.now, image="app:1"))
        assert host.seen(DATA).last_used == START + 10
        assert web.key not in host.store.observations(ENGINE.id)

    def test_a_container_that_is_removed_long_after_its_end_did_not_use_anything_then(self, host: Host) -> None:
        host.engine.add(running("web"))
        host.happens(event("container", "start", running("web").id, host.now, image="app:1"))
        host.now += 10
        ended = container("web", finished_at=host.now)
        host.engine.remove(running("web"))
        host.engine.add(ended)
        host.happens(event("container", "die", ended.id, host.now, image="app:1"))
        host.engine.remove(ended)
        host.now += 10
        host.happens(event("container", "destroy", ended.id, host.now, image="app:1"))
        assert host.seen().last_used == START + 10

    def test_what_comes_has_just_arrived_and_what_goes_is_forgotten(self, host: Host) -> None:
        new: list[Container | Image | Network | Volume]
        new = [untagged("new"), network("new"), volume("new"), container("new")]
        host.engine.add(*new)
        host.now += 10
        kinds = {"image": "import"}
        host.happens(*(event(each.kind, kinds.get(each.kind, "create"), each.id, host.now) for each in new))
        for each in new:
            assert host.seen(each).first_seen == START + 10
        assert host.seen(new[0]).dangling_since == START + 10
        host.engine.remove(*new)
        kinds = {"image": "delete"}
        host.happens(*(event(each.kind, kinds.get(each.kind, "destroy"), each.id, host.now) for each in new))
        assert host.store.observations(ENGINE.id).keys() == {APP.key, NET.key, ("volume", DATA.identity)}

    def test_a_volume_made_again_under_its_name_is_another_one(self, host: Host) -> None:
        again = volume("data", created="2026-02-01T00:00:00Z")
        host.engine.add(again)
        host.now += 10
        host.happens(event("volume", "destroy", "data", host.now), event("volume", "create", "data", host.now))
        assert host.seen(again).first_seen == START + 10
        assert ("volume", DATA.identity) not in host.store.observations(ENGINE.id)

    def test_an_image_that_was_deleted_and_pulled_at_once_is_a_new_arrival(self, host: Host) -> None:
        host.now += 10
        host.happens(event("image", "delete", APP.id, host.now), event("image", "pull", "app:1", host.now))
        assert host.seen() == Observation(START + 10, START + 10, pulled=True)

    def test_an_image_that_loses_its_tag_dangles_since_then(self, host: Host) -> None:
        new = image("new", tags=APP.tags)
        host.engine.add(new, untagged("app"))
        host.now += 10
        host.happens(event("image", "tag", new.id, host.now, name="app:1"))
        assert host.seen().dangling_since == START + 10
        assert host.seen(new).dangling_since is None

    def test_a_task_that_came_and_went_between_two_looks_is_on_record(self, host: Host) -> None:
        task = running("web.1", labels={SWARM_SERVICE: "web"})
        host.engine.add(task)
        host.happens(event("container", "start", task.id, host.now))
        assert [(each.service, each.image) for each in host.store.task_generations(ENGINE.id)] == [("web", APP.id)]

    def test_an_engine_without_an_id_has_no_record(self, host: Host, caplog: pytest.LogCaptureFixture) -> None:
        host.engine.failing["info"] = refused()
        host.connect()
        host.now += 10
        host.happens(event("container", "start", "c9", host.now, image="app:1"))
        assert "does not report its ID" in caplog.text
        assert host.seen().last_used == START


class TestWhatCannotBeListed:
    """Events are recorded, whatever lists the engine refuses."""

    @pytest.mark.parametrize("refuses", ["volumes", "networks", "images", "image", "volume", "container"])
    @pytest.mark.parametrize("error", [refused(), unreachable()], ids=["refused", "too late"])
    def test_arrival_and_use_are_recorded(self, host: Host, refuses: str, error: Exception) -> None:
        host.engine.failing[refuses] = error
        if isinstance(error, type(refused())) or refuses in ("volumes", "networks"):
            host.connect()
        host.now += 60
        try:
            host.happens(
                event("image", "pull", "app:1", host.now),
                event("volume", "create", "new", host.now),
                event("container", "start", "c2", host.now, image="app:1"),
            )
        except type(error):
            host.record()  # the watch connects again
        assert host.seen().arrived_at == START + 60
        assert host.seen().last_used == START + 60

    def test_what_was_known_of_its_kind_stays(self, host: Host) -> None:
        host.engine.failing["networks"] = refused()
        other = image("other")
        host.engine.add(other)
        host.connect()
        assert {NET.key, other.key} <= host.store.observations(ENGINE.id).keys()
        assert host.mirror.view.failures.keys() == {"network", "build_cache"}

    def test_a_database_that_is_busy_gets_it_later(self, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
        def busy(*_: Any, **__: Any) -> None:
            raise StateError("database is locked")

        with monkeypatch.context() as patched:
            patched.setattr(host.store, "note", busy)
            host.now += 10
            host.happens(event("image", "pull", "app:1", host.now))
        assert host.seen().arrived_at == START
        host.now += 10
        host.happens(event("container", "start", "c2", host.now, image="app:1"))
        assert host.seen() == Observation(START, START + 10, last_used=START + 20, pulled=True)


def test_nothing_stays_of_what_came_and_went(host: Host) -> None:
    def live(name: str) -> None:
        has: list[Container | Image | Network | Volume] = [image(name), network(name), volume(name)]
        web = running(name, of=name, networks=(name,), volumes=(name,))
        host.engine.add(*has, web)
        arrives = {"image": "pull"}
        host.happens(*(event(each.kind, arrives.get(each.kind, "create"), each.id, host.now) for each in has))
        host.happens(event("container", "start", web.id, host.now, image=web.image))
        host.tick()
        host.engine.remove(*has, web)
        goes = {"image": "delete"}
        host.happens(
            *(event("container", action, web.id, host.now, image=web.image) for action in ("die", "destroy")),
            *(event(each.kind, goes.get(each.kind, "destroy"), each.id, host.now) for each in has),
        )
        host.tick()
        host.now += 1
        for memory in (host.engine.asked, host.engine.past):  # the engine's, not watchd's
            memory.clear()

    live("first")
    before = entries(host.recorder, host.observer), host.store.observations(ENGINE.id).keys()
    for number in range(100):
        live(f"n{number}")
    assert (entries(host.recorder, host.observer), host.store.observations(ENGINE.id).keys()) == before


class TestReferences:
    """What an image was called last is recorded from events, and from the first list after a gap."""

    def references(self, host: Host, image_: Image = APP) -> Any:
        return host.store.references(ENGINE.id).get(image_.id)

    def test_a_tag_that_moves_is_remembered(self, host: Host) -> None:
        new = image("new", tags=APP.tags)
        host.engine.add(new, untagged("app"))
        host.now += 10
        host.happens(event("image", "tag", new.id, host.now, name="app:1"))
        assert self.references(host) == {"app:1": START + 10}
        assert self.references(host, new) == {"app:1": None}

    def test_so_is_the_last_tag_that_is_taken_off(self, host: Host) -> None:
        host.engine.add(untagged("app"))
        host.now += 10
        host.happens(event("image", "untag", APP.id, host.now))
        assert self.references(host) == {"app:1": START + 10}

    def test_and_the_tag_that_an_image_had_for_a_moment(self, host: Host) -> None:
        passed, new = untagged("passed"), image("new", tags=APP.tags)
        host.engine.add(passed, new, untagged("app"))
        host.now += 10
        host.happens(*(event("image", "tag", each.id, host.now, name="app:1") for each in (passed, new)))
        assert self.references(host, passed) == self.references(host) == {"app:1": START + 10}

    def test_what_moved_while_nobody_watched_is_remembered_from_then_on(self, host: Host) -> None:
        host.engine.add(image("new", tags=APP.tags), untagged("app"))
        host.now += HOUR
        host.start()
        host.now += HOUR
        host.start()
        assert self.references(host) == {"app:1": START + HOUR}

    def test_it_goes_with_its_image(self, host: Host) -> None:
        host.engine.remove(APP)
        host.happens(event("image", "delete", APP.id, host.now))
        assert host.store.references(ENGINE.id) == {}

    def test_a_list_that_is_refused_forgets_nothing(self, host: Host) -> None:
        host.engine.failing["images"] = refused()
        host.connect()
        host.happens(event("image", "prune", "", host.now))
        assert self.references(host) == {"app:1": None}
