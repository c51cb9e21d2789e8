"""The watch: what it asks of the engine for each event, what it takes for watched, and what it forgets."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from tests.harness.waiting import wait_until
from tests.unit.cleanup.builders import container, image, network, running, untagged, view, volume
from tests.unit.engine.fake_engine import FakeEngine, event, refused, unreachable
from watchd.engine.watch import refresh, watcher
from watchd.engine.watch.drift import IN_FLIGHT
from watchd.engine.watch.mirror import Mirror
from watchd.engine.watch.refresh import Refresher
from watchd.engine.watch.watcher import LIST_INTERVAL, MOST_LATE, Watch, _Connected, _Late
from watchd.errors import EngineError
from watchd.model import Container, EngineView, Event, Subject

if TYPE_CHECKING:
    from watchd.engine.event_stream import EventStream

APP, NET, DATA, JOB = image("app"), network("net"), volume("data"), container("job")
STREAM = cast("EventStream", object())
START = 1_000_000.0


class Host:
    """A watch that is connected to an engine, with a clock that the test sets."""

    def __init__(self) -> None:
        self.now = START
        self.engine = FakeEngine(APP, NET, DATA, JOB)
        self.mirror = Mirror()
        self.watch = Watch(self.engine.client, self.mirror)

    def connect(self) -> None:
        self.watch.coverage.begin()
        self.watch._stream = STREAM
        self.watch._refresh([], connected=STREAM)
        self.engine.asked.clear()

    def happens(self, *events: Event) -> list[str]:
        """Let the watch take in events. Return what it asks of the engine."""
        self.engine.asked.clear()
        self.watch._refresh(events, connected=None)
        self.watch.drift.decide()
        return self.engine.asked

    def unwatched(self) -> float:
        """Return the seconds since the beginning that were not watched."""
        return self.watch.coverage.unwatched(START, self.now)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host()
    monkeypatch.setattr(time, "time", lambda: host.now)
    monkeypatch.setattr(time, "monotonic", lambda: host.now)
    monkeypatch.setattr(Watch, "_disconnect", lambda _: host.engine.asked.append("disconnect"))
    host.connect()
    return host


class TestBatches:
    """Events are taken in at once after quiet, and together while there are many."""

    WEB = running("web").id

    def test_what_follows_soon_is_one_batch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(watcher, "_GATHER", 60.0)
        watch = Watch(FakeEngine().client, Mirror())
        start, die, destroy = (event("container", action, self.WEB) for action in ("start", "die", "destroy"))
        watch._queue.put(start)
        assert watch._take() == [start]
        watch._queue.put(die)

        def follow() -> None:
            for each in (destroy, None):
                watch._queue.put(each)

        later = threading.Timer(0.05, follow)
        later.start()
        assert watch._take() == [die, destroy, None]
        later.join()
        monkeypatch.setattr(watcher, "_GATHER", 0.05)
        watch._queue.put(start)
        assert watch._take() == [start], "nothing follows soon"

    @pytest.mark.parametrize(
        "urgent", [None, _Connected(STREAM), _Late(None, START), event("container", "create", running("web").id)]
    )
    def test_the_end_a_connection_and_a_new_container_do_not_wait(
        self, monkeypatch: pytest.MonkeyPatch, urgent: "Event | _Connected | _Late | None"
    ) -> None:
        monkeypatch.setattr(watcher, "_GATHER", 3600.0)
        watch = Watch(FakeEngine().client, Mirror())
        start = event("container", "start", self.WEB)
        watch._queue.put(start)
        assert watch._take() == [start]
        watch._queue.put(start)
        watch._queue.put(urgent)
        assert watch._take() == [start, urgent]


class TestRequests:
    """An event about one thing costs one request; nothing is listed because one thing changed."""

    def test_of_containers(self, host: Host) -> None:
        host.engine.add(running("web"))
        web = running("web").id
        life = [event("container", action, web) for action in ("create", "start", "exec_start", "top")]
        assert host.happens(*life) == [f"container {web}"]
        assert host.mirror.view.container_by_id[web].is_running
        assert host.happens(event("container", "exec_die", web)) == []
        assert host.happens(event("container", "die", web), event("container", "destroy", web)) == []
        assert web not in host.mirror.view.container_by_id

    def test_of_networks_and_volumes(self, host: Host) -> None:
        host.engine.add(network("new"), volume("new"))
        new = network("new").id
        assert host.happens(event("network", "create", new)) == [f"network {new}"]
        assert host.happens(event("volume", "create", "new"), event("volume", "mount", "new")) == ["volume new"]
        assert [each.name for each in host.mirror.view.networks] == ["net", "new"]
        assert [each.name for each in host.mirror.view.volumes] == ["data", "new"]
        assert host.happens(event("network", "connect", new, container=JOB.id)) == [f"container {JOB.id}"]
        assert host.happens(event("network", "connect", new, container="of nobody")) == []
        assert host.happens(event("network", "destroy", new), event("volume", "destroy", "new")) == []
        assert (host.mirror.view.networks, host.mirror.view.volumes) == ((NET,), (DATA,))

    def test_of_images(self, host: Host) -> None:
        assert host.happens(event("image", "push", "app:1")) == []
        new = image("new", tags=APP.tags)
        host.engine.add(new, untagged("app"))
        assert host.happens(event("image", "pull", "app:1")) == ["image app:1", f"image {APP.id}"]
        assert {each.id: each.tags for each in host.mirror.view.images} == {APP.id: (), new.id: ("app:1",)}
        host.engine.remove(untagged("app"))
        assert host.happens(event("image", "delete", APP.id)) == [f"image {APP.id}"]
        assert host.mirror.view.images == (new,)

    def test_layers_that_an_inspect_told_outlast_lists(self, host: Host) -> None:
        host.engine.add(replace(APP, layers=("a",)))
        host.happens(event("image", "tag", APP.id))
        (before,) = host.mirror.view.images
        assert before.layers == ("a",)
        host.connect()
        assert host.mirror.view.images[0] is before

    def test_the_image_of_a_commit_and_parents_that_were_never_seen(self, host: Host) -> None:
        host.engine.add(untagged("parent"), untagged("child", parent="parent"))
        host.happens(event("container", "commit", JOB.id, imageID=untagged("child").id))
        assert {each.id for each in host.mirror.view.images} == {APP.id, untagged("child").id, untagged("parent").id}

    @pytest.mark.parametrize("kind", ["image", "network", "volume"])
    def test_of_what_no_event_names_the_kind_is_listed(self, host: Host, kind: str) -> None:
        assert host.happens(event(kind, "prune", "")) == [f"{kind}s"]

    def test_two_thousand_images_make_an_event_no_dearer(self, host: Host) -> None:
        host.engine.add(*(image(f"i{number}") for number in range(2_000)))
        host.connect()
        assert host.happens(event("image", "tag", APP.id)) == [f"image {APP.id}"]


class TestWhatCannotBeTold:
    @pytest.mark.parametrize("kind", ["image", "network", "volume"])
    def test_a_list_that_is_refused_costs_its_kind(self, host: Host, kind: str) -> None:
        host.engine.failing[f"{kind}s"] = refused()
        host.connect()
        assert host.watch.ready
        assert host.mirror.view.failures.keys() == {kind, "build_cache"}
        host.engine.failing.clear()
        host.connect()
        assert host.mirror.view.failures.keys() == {"build_cache"}

    def test_one_that_takes_too_long_is_not_asked_for_again_until_the_next_full_list(self, host: Host) -> None:
        """The engine waits for a plugin of volumes: containers are followed all the same."""
        host.engine.failing["volumes"] = host.engine.failing["volume"] = unreachable()
        host.connect()
        assert host.watch.ready
        assert host.mirror.view.volumes == (DATA,), "as it was known"
        assert host.happens(event("volume", "create", "a"), event("volume", "prune", "")) == []
        host.engine.add(replace(JOB, name="renamed"))
        host.happens(event("container", "rename", JOB.id))
        assert host.mirror.view.container_by_id[JOB.id].name == "renamed"

    def test_an_engine_that_is_gone_is_no_matter_of_one_list(self, host: Host) -> None:
        host.engine.failing["volumes"] = host.engine.failing["ping"] = unreachable()
        with pytest.raises(EngineError):
            host.connect()

    def test_an_inspect_that_is_refused_is_made_up_for_by_a_list(self, host: Host) -> None:
        host.engine.add(volume("new"))
        host.engine.failing["volume"] = refused()
        host.happens(event("volume", "create", "new"))
        assert [each.name for each in host.mirror.view.volumes] == ["data", "new"]


class TestProgress:
    """Every answer of the engine counts, and what is known of a slow one is shown before the rest."""

    def test_each_inspect_is_progress(self) -> None:
        beats: list[None] = []
        engine, mirror = FakeEngine(*(container(f"c{number}") for number in range(50))), Mirror()
        Refresher(engine.client, mirror, lambda: beats.append(None)).list_all()
        assert len(beats) > 50

    def test_containers_are_shown_before_all_of_them_are_inspected(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(refresh, "_PUBLISH_INTERVAL", 0.0)
        mirror = Mirror()
        shown: list[tuple[int, int]] = []

        class Slow(FakeEngine):
            def container(self, id_: str) -> Container:
                listed = mirror.view.containers
                shown.append((len(listed), sum(each.name == "inspected" for each in listed)))
                return replace(super().container(id_), name="inspected")

        engine = Slow(*(container(f"c{number}") for number in range(3)))
        Refresher(engine.client, mirror, lambda: None).list_all()
        assert shown == [(3, 0), (3, 1), (3, 2)]


class TestCoverage:
    def test_as_long_as_the_stream_is_open_all_time_is_watched(self, host: Host) -> None:
        host.now += 86_400
        assert host.unwatched() == 0

    def test_without_it_none_is_and_afterwards_only_what_follows(self, host: Host) -> None:
        host.watch.coverage.end()
        host.now += 60
        assert host.unwatched() == 60
        host.watch.coverage.begin()
        host.now += 60
        assert host.unwatched() == 60

    def test_an_engine_that_stops_answering_was_watched_until_its_last_answer(self, host: Host) -> None:
        host.now += 100
        host.watch.coverage.end(lost_from=START + 90)
        host.watch.coverage.begin()
        assert host.watch.coverage.unwatched(START + 98, host.now) == 10, "though it was noted 8 seconds later"
        host.watch.coverage.recorded()
        assert host.watch.coverage.unwatched(host.now, host.now) == 0

    def test_a_clock_that_jumps_is_no_time_that_was_watched(self, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(time, "monotonic", lambda: host.now - 3600)
        host.now += 3600
        assert host.unwatched() == 3600

    def test_a_change_that_no_event_told_ends_it_back_to_the_last_list(self, host: Host) -> None:
        host.now += LIST_INTERVAL
        host.engine.add(running("unseen"))
        host.happens()
        assert running("unseen").id in host.mirror.view.container_by_id
        assert host.unwatched() == 0, "its event may still come"
        host.now += IN_FLIGHT
        asked = host.happens()
        assert "disconnect" in asked, "to list all again"
        assert host.unwatched() == LIST_INTERVAL + IN_FLIGHT
        assert host.watch.drift.counts()["container"] == 1

    def test_one_whose_event_comes_a_moment_later_does_not(self, host: Host) -> None:
        host.now += LIST_INTERVAL
        host.engine.add(running("web"))
        host.happens()
        host.now += 1
        host.happens(event("container", "start", running("web").id))
        host.now += IN_FLIGHT
        host.happens()
        assert host.unwatched() == 0
        assert not any(host.watch.drift.counts().values())

    def test_networks_that_the_engine_never_tells_of_do_not(self, host: Host) -> None:
        host.engine.engine = replace(host.engine.engine, tells_networks=False)
        host.connect()
        host.now += LIST_INTERVAL
        host.engine.add(network("new"))
        host.happens()
        host.now += IN_FLIGHT
        host.happens()
        assert len(host.mirror.view.networks) == 2
        assert host.unwatched() == 0


class Stream:
    """A stream of events that is open until somebody closes it."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[Event]:
        self.closed.wait(30)
        yield from ()

    def close(self) -> None:
        self.closed.set()


class Streaming(FakeEngine):
    """An engine whose stream of events is open, and cannot be opened where `failing` has "events"."""

    def __init__(self) -> None:
        super().__init__(JOB)
        self.stream = Stream()

    def close(self) -> None:
        pass

    def events(self, _since: int | None = None) -> Stream:
        self._ask("events")
        self.stream = Stream()
        return self.stream


class TestThreads:
    """Watched time follows the stream and the pings."""

    @pytest.fixture
    def engine(self) -> Streaming:
        return Streaming()

    @pytest.fixture
    def watch(self, engine: Streaming, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
        monkeypatch.setattr(watcher, "PING_INTERVAL", 0.02)
        watch = Watch(engine.client, Mirror())
        watch.start()
        try:
            wait_until(lambda: watch.ready, seconds=10, what="the first list")
            yield watch
        finally:
            watch.stop(10)

    def unwatched(self, watch: Watch) -> float:
        now = time.time()
        return watch.coverage.unwatched(now - 1000, now)

    def counts_from(self, watch: Watch) -> float:
        """Return the second before which nothing counts as watched."""
        now = time.time()
        return now - 1000 + watch.coverage.unwatched(now - 1000, now)

    def test_time_counts_from_the_connection_on(self, watch: Watch) -> None:
        began = self.counts_from(watch)
        assert time.time() - 10 < began <= time.time()
        time.sleep(0.2)
        assert self.counts_from(watch) < began + 0.1, "and goes on counting"

    @pytest.mark.parametrize("fails", ["events", "ping"])
    def test_without_a_stream_or_an_answer_none_counts(self, engine: Streaming, watch: Watch, fails: str) -> None:
        engine.failing["events"] = unreachable()
        if fails == "ping":
            engine.failing["ping"] = unreachable()
        else:
            engine.stream.close()
        wait_until(lambda: self.unwatched(watch) >= 1000, seconds=10, what="the end of what is watched")
        lost = time.time()
        engine.failing.clear()
        wait_until(lambda: watch.ready, seconds=10, what="the next list")
        assert self.counts_from(watch) >= lost, "and what follows alone does later"

    def test_an_engine_that_stops_answering_was_watched_until_then(self, engine: Streaming, watch: Watch) -> None:
        """The stream of a frozen engine stays open, and recorded time goes on until a ping finds out."""
        wait_until(lambda: engine.asked.count("ping") > 1, seconds=10, what="answers")
        engine.failing["ping"] = engine.failing["events"] = unreachable()
        wait_until(lambda: not watch.ready, seconds=10, what="the ping that finds out")
        recorded = time.time() + 100  # by a tick that came later than the last answer
        missed = wait_until(lambda: watch.coverage.unwatched(recorded, recorded), seconds=10, what="the end")
        assert missed > 99, "all since the last answer"

    def test_events_that_the_engine_dropped_reach_listeners(self, engine: Streaming, watch: Watch) -> None:
        told: list[Event] = []

        class Listener:
            def on_events(self, events: Sequence[Event], *_: EngineView, listed: bool) -> None:
                assert not listed
                told.extend(events)

        watch.add_listeners(Listener())
        now = time.time()
        first, dropped, last = (event("image", "push", name, now - 3 + at) for at, name in enumerate("abc"))
        watch._received += [watcher._identity(each) for each in (first, last)]
        engine.past = [first, dropped, last]
        watch._queue.put(_Late(first, now))
        wait_until(lambda: told, seconds=10, what="what was dropped")
        assert told == [dropped]


class TestEventsThatAreReadLate:
    """The engine drops events for who reads too slowly. Past events tell which, as long as it has them."""

    def read(self, host: Host, *events: Event) -> Sequence[object]:
        """Have a stream tell of events now. Return what the watch is to take in."""

        class Stream:
            def __iter__(self) -> Iterator[Event]:
                return iter(events)

            def close(self) -> None:
                pass

        host.watch._follow(cast("EventStream", Stream()))
        queued = []
        while not host.watch._queue.empty():
            queued.append(host.watch._queue.get())
        return queued

    def test_those_that_come_in_time_are_taken_as_they_are(self, host: Host) -> None:
        told = [event("container", "start", "a", START), event("container", "die", "a", START)]
        assert self.read(host, *told) == told

    def test_what_was_dropped_meanwhile_is_made_up_for(self, host: Host) -> None:
        first, second, dropped, last = (event("container", "start", name, START + at) for at, name in enumerate("abcd"))
        self.read(host, first, second, last)
        host.engine.past = [first, second, dropped, last]
        host.now += 10
        assert host.watch._made_up(_Late(first, START)) == [dropped]
        assert host.unwatched() == 0

    def test_what_the_engine_has_forgotten_ends_what_is_watched(self, host: Host) -> None:
        host.now += 10
        assert host.watch._made_up(_Late(event("container", "start", "a", START), START)) == []
        assert host.unwatched() == 10

    def test_a_reader_that_was_blocked_marks_it(self, host: Host) -> None:
        before = event("container", "start", "a", START + 1)
        after = event("container", "start", "b", START + 2)

        def told() -> Iterator[Event]:
            host.now = START + 1
            yield before
            host.now = START + 2 + MOST_LATE + 0.1
            yield after

        class Stream:
            __iter__ = staticmethod(told)

            def close(self) -> None:
                pass

        host.watch._follow(cast("EventStream", Stream()))
        queued = [host.watch._queue.get(timeout=1) for _ in range(3)]
        assert queued == [before, after, _Late(before, START + 1)]


class TestFreshLooks:
    def test_what_differs_is_counted_but_for_what_events_told(self, host: Host) -> None:
        fresh = view(APP, NET, replace(JOB, status="running"), image("other"), volume("new"))
        host.engine.add(volume("new"))
        host.watch.compare(fresh)
        host.happens(event("volume", "create", "new"))
        host.now += IN_FLIGHT
        host.happens()
        assert host.watch.drift.counts() == {"container": 1, "image": 1, "network": 0, "volume": 1}

    def test_one_that_agrees_counts_nothing(self, host: Host) -> None:
        host.watch.compare(view(APP, NET, DATA, JOB))
        host.now += IN_FLIGHT
        host.happens()
        assert not any(host.watch.drift.counts().values())


def test_nothing_stays_of_thousands_of_objects_of_every_kind(host: Host) -> None:
    for number in range(2_000):
        host.now += 1
        name = f"n{number}"
        subjects: list[Subject] = [running(name), image(name), network(name), volume(name)]
        host.engine.add(*subjects)
        host.happens(*(event(each.kind, "tag" if each.kind == "image" else "create", each.id) for each in subjects))
        host.engine.remove(*subjects)
        host.happens(*(event(each.kind, "delete" if each.kind == "image" else "destroy", each.id) for each in subjects))
    kept = host.mirror.view
    assert (kept.containers, kept.images, kept.networks, kept.volumes) == ((JOB,), (APP,), (NET,), (DATA,))
    assert len(host.watch.drift._touched) <= 4 * 302, "those of the last five minutes"
    host.now += 301
    host.happens(event("container", "rename", JOB.id))
    assert host.watch.drift._touched.keys() == {JOB.key}


def test_a_listener_that_fails_costs_the_others_nothing(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    told: list[Sequence[Event]] = []

    class Faulty:
        def on_events(self, *_: object, listed: bool) -> None:
            raise KeyError(listed)

    class Listener:
        def on_events(self, events: Sequence[Event], *_: EngineView, listed: bool) -> None:  # noqa: ARG002 - the watch's
            told.append(events)

    host.watch.add_listeners(Faulty(), Listener())
    host.connect()
    died = event("container", "die", JOB.id)
    host.happens(died)
    assert told == [[], (died,)]
    assert host.watch.ready
    assert "Faulty failed" in caplog.text
