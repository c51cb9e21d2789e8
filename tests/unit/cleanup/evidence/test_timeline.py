"""The timeline: what it tells of lives and uses, after events, looks, restarts and faults."""

import random
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from tests import ROOT
from tests.unit.cleanup.builders import (
    DAY,
    ENGINE,
    HOUR,
    NOW,
    anonymous,
    cleanup,
    container,
    hex_id,
    image,
    network,
    policy,
    record,
    running,
    untagged,
    view,
    volume,
)
from tests.unit.engine.fake_engine import FakeEngine, event
from watchd.cleanup.evidence.appearance import DERIVED, KEPT, as_text, from_text
from watchd.cleanup.evidence.evidence import Evidence, longest_pause
from watchd.cleanup.observe.follower import Change
from watchd.engine.watch.mirror import Mirror
from watchd.engine.watch.watcher import Watch
from watchd.errors import StateError
from watchd.model import (
    Container,
    Disk,
    DiskUsage,
    EngineView,
    Exit,
    Image,
    Kind,
    Layer,
    Network,
    Observation,
    Subject,
    Volume,
)
from watchd.model.history.timeline import FOUND, DiskMark, Life, Use
from watchd.store import Removal, Store

if TYPE_CHECKING:
    from watchd.engine.event_stream import EventStream

MINUTE = 60.0
APP, NET, DATA = image("app"), network("net", created_at=NOW - DAY), volume("data")
DISK = Disk("/var/lib/docker", used=60, available=40)


class Host:
    """An engine and a daemon. Time goes on by one second with each thing that happens."""

    def __init__(self, store: Store) -> None:
        self.now = NOW
        self.store = store
        self.engine = FakeEngine(APP, NET, DATA)
        self.settings = cleanup(policy("exited", "container", when={"finished_for": "7d"}), grace="2h")
        self.start()

    def start(self) -> None:
        """Start the daemon, or start it again after a kill."""
        self.mirror = Mirror()
        self.watch = Watch(self.engine.client, self.mirror)
        self.evidence = Evidence(self.store, self.settings, lambda _: None, self.look)
        self.watch.add_listeners(self.evidence)
        self.watch._refresh([], connected=cast("EventStream", object()))
        self.take_in()

    def look(self) -> EngineView:
        disks = dict.fromkeys(("container", "image"), DISK)
        return replace(self.mirror.view.sized(), disks=cast("dict[Kind, Disk]", disks), taken_at=self.now)

    def take_in(self) -> None:
        changes = []
        while not self.evidence._queue.empty():
            change = self.evidence._queue.get()
            assert change is not None
            changes.append(replace(change, now=self.now))
        self.evidence._take_in(changes)

    def happens(self, *events: tuple[str, str, str], **attributes: str) -> None:
        """Have the engine tell of these together, a second apart, and the daemon look."""
        told = []
        for kind, action, id_ in events:
            self.now += 1
            told.append(event(kind, action, id_, self.now, **attributes))
        self.watch._refresh(told, connected=None)
        self.take_in()

    def tick(self) -> None:
        self.evidence.tick()
        self.take_in()

    def lives(self, kind: str) -> list[Life]:
        return [life for life in self.store.lives(ENGINE.id) if life.key[0] == kind]

    def life(self, kind: str) -> Life:
        (life,) = self.lives(kind)
        return life

    def run(self, name: str = "job") -> Container:
        """Create and start a container; the daemon sees both."""
        made = container(name, status="created", created_at=self.now, started_at=None, finished_at=None, exit_code=None)
        self.engine.add(made)
        self.happens(("container", "create", made.id))
        self.engine.add(replace(made, status="running", pid=1, started_at=self.now + 1))
        self.happens(("container", "start", made.id))
        return made

    def ends(self, made: Container) -> None:
        known = cast("Container", self.engine.subjects[made.key])
        self.engine.add(replace(known, status="exited", pid=0, finished_at=self.now + 1, exit_code=3))
        self.happens(("container", "die", made.id), exitCode="3")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with closing(Store.open(tmp_path)) as store:
        yield Host(store)


class TestContainers:
    def test_runs_with_short_pauses_are_one_use(self, host: Host) -> None:
        made = host.run()
        first = host.now
        for pause in (5 * MINUTE, 9 * MINUTE, 11 * MINUTE):
            host.ends(made)
            ended = host.now
            host.now += pause
            known = cast("Container", host.engine.subjects[made.key])
            host.engine.add(replace(known, status="running", pid=1, started_at=host.now + 1))
            host.happens(("container", "start", made.id))
        uses = host.life("container").uses
        assert uses == (Use(first, ended, 3, 9 * MINUTE + 1, 3), Use(host.now, None))

    def test_a_start_that_a_look_showed_before_its_event_is_no_second_run(self, host: Host) -> None:
        host.settings = cleanup(grace="0s")
        host.start()
        made = container("job", status="created", created_at=NOW, started_at=None, finished_at=None, exit_code=None)
        host.engine.add(made)
        host.happens(("container", "create", made.id))
        ran = replace(made, status="exited", started_at=host.now + 0.5, finished_at=host.now + 0.6, exit_code=0)
        host.engine.add(ran)
        host.happens(("container", "attach", made.id), ("network", "connect", NET.id), container=made.id)
        host.now = ran.started_at or 0.0
        host.happens(("container", "start", made.id), ("container", "die", made.id), exitCode="0")
        assert [(use.first, use.last) for use in host.life("container").uses] == [(ran.started_at, ran.finished_at)]

    def test_lives_are_never_merged(self, host: Host) -> None:
        for name in ("a", "b"):
            made = host.run(name)
            host.engine.remove(made)
            host.happens(("container", "die", made.id), ("container", "destroy", made.id))
        a, b = host.lives("container")
        assert (a.left, a.by, a.how) == (a.uses[0].last + 1 if a.uses[0].last else None, "", "create")
        assert b.arrived >= (a.left or 0)

    def test_one_that_ran_and_went_between_two_looks_has_run(self, host: Host) -> None:
        made = container("job", status="created", created_at=NOW, started_at=None, finished_at=None, exit_code=None)
        host.engine.add(made)
        host.happens(("container", "create", made.id))
        host.engine.remove(made)
        happened = ("start", "die", "destroy")
        host.happens(*[("container", action, made.id) for action in happened])
        life = host.life("container")
        assert life.uses == (Use(host.now - 2, host.now - 1),)
        assert life.left == host.now

    def test_one_that_was_never_seen_is_known_by_its_events(self, host: Host) -> None:
        id_ = hex_id("unseen")
        host.happens(
            *[("container", action, id_) for action in ("create", "start", "die", "destroy")],
            image="app:1",
            name="unseen",
            job="7",
        )
        life = host.life("container")
        seen = cast(
            "Container", from_text(Container, life.appearances[0].text, id=id_, name="", status="", created_at=0.0)
        )
        assert (life.appearances[0].name, seen.image_id, seen.labels) == ("unseen", APP.id, {"job": "7"})
        assert (life.uses[0].first, life.uses[0].last, life.left) == (NOW + 2, NOW + 3, NOW + 4)

    def test_what_ended_while_nobody_watched_is_known_from_the_next_list(self, host: Host) -> None:
        stays, goes = host.run("stays"), host.run("goes")
        known = cast("Container", host.engine.subjects[stays.key])
        host.engine.add(replace(known, status="exited", pid=0, finished_at=host.now + HOUR, exit_code=0))
        host.engine.remove(goes)
        ended, host.now = host.now + HOUR, host.now + 2 * HOUR
        host.start()
        lives = {life.key[1]: life for life in host.lives("container")}
        assert lives[stays.id].uses[0].last == ended
        assert (lives[goes.id].left, lives[goes.id].uses[0].last) == (host.now, host.now)


class TestOthers:
    def test_an_image_has_how_it_came_again_and_its_tags_over_time(self, host: Host) -> None:
        host.engine.add(image("new", layers=("a",)))
        host.happens(("image", "pull", "new:1"))
        host.engine.add(image("new", tags=("new:1", "new:2"), layers=("a",)))
        host.happens(("image", "tag", image("new").id))
        host.happens(("image", "pull", "new:2"))
        _, life = host.lives("image")
        assert life.how == "pull"
        assert [(each.since, each.how) for each in life.appearances] == [
            (NOW + 1, ""),
            (NOW + 2, "tag"),
            (NOW + 3, "pull"),
        ]
        tags = [cast("Image", from_text(Image, each.text, id="")).tags for each in life.appearances]
        assert tags == [("new:1",), ("new:1", "new:2"), ("new:1", "new:2")]

    def test_one_that_came_again_some_time_before_the_look_has_one_appearance(self, host: Host) -> None:
        host.engine.add(image("app", tags=("app:1", "app:2")))
        pulled = event("image", "pull", "app:2", host.now + 1)
        host.now += 5
        host.watch._refresh([pulled], connected=None)
        host.take_in()
        first, again = host.life("image").appearances
        assert (again.since, again.how) == (NOW + 1, "pull")
        assert first.text != again.text

    def test_what_a_list_does_not_tell_of_an_image_is_no_change(self, host: Host) -> None:
        """Layers are known from an inspect, and a list has none."""
        host.engine.add(image("new", layers=("a", "b")))
        host.happens(("image", "pull", "new:1"))
        host.start()
        _, life = host.lives("image")
        assert len(life.appearances) == 1
        assert cast("Image", from_text(Image, life.appearances[0].text, id="")).layers == ("a", "b")

    def test_what_was_here_before_is_found(self, host: Host) -> None:
        assert (host.life("image").how, host.life("image").arrived) == (FOUND, NOW)
        assert host.life("network").arrived == NOW - DAY, "the engine tells"

    def test_what_left_has_the_policy_that_removed_it(self, host: Host) -> None:
        for subject, name in ((DATA, "volumes"), (NET, "")):
            if name:
                removed(host.store, subject, name, host.now)
            host.engine.remove(subject)
            host.happens((subject.kind, "destroy", subject.id))
        assert [(host.life(kind).left, host.life(kind).by) for kind in ("volume", "network")] == [
            (NOW + 1, "volumes"),
            (NOW + 2, ""),
        ]

    def test_a_list_that_failed_ends_no_life(self, host: Host) -> None:
        host.engine.failing["volumes"] = StateError("any")  # stands for a refusal
        broken = replace(host.mirror.view, volumes=(), failures={"volume": "refused"})
        host.evidence._take_in([Change((), host.mirror.view, broken, listed=True, now=NOW)])
        assert host.life("volume").left is None
        host.evidence._take_in([Change((), broken, replace(broken, version=9), listed=False, now=NOW)])
        assert host.life("volume").left is None

    def test_sizes_and_disks_are_recorded_when_they_change(self, host: Host) -> None:
        layers = (Layer("l", 5, 1),)
        host.tick()
        look = view(
            replace(DATA, size=7), replace(APP, history=layers), record("step"), taken_at=NOW + 5, disks={"image": DISK}
        )
        for _ in range(2):
            host.evidence.on_fresh_view(look)
            host.tick()
        host.mirror.replace(sizes=DiskUsage({}, volumes={"data": 9}))
        host.now += 2 * HOUR
        host.tick()
        assert host.life("volume").sizes == ((NOW + 5, 7), (host.now, 9))
        last = cast("Image", from_text(Image, host.life("image").appearances[-1].text, id=""))
        assert last.history == layers
        assert host.store.disk_marks(ENGINE.id) == [
            DiskMark(NOW, DISK.path, ("container", "image"), 60, 40),
            DiskMark(NOW + 5, DISK.path, ("image",), 60, 40),
            DiskMark(host.now, DISK.path, ("container", "image"), 60, 40),
        ]


class TestFaults:
    @pytest.mark.parametrize("error", [StateError("disk full"), KeyError("a bug")])
    def test_what_could_not_be_written_is_known_from_what_is_there(
        self, host: Host, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
    ) -> None:
        def fail(*_: object) -> None:
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(host.store, "record_steps", fail)
            made = host.run()
            host.run("other")
        assert len(caplog.records) == 1
        host.happens(("network", "update", NET.id))
        assert host.lives("container") == [], "not at every event"
        host.now += 10
        host.tick()
        lives = {life.key[1]: life for life in host.lives("container")}
        assert lives[made.id].how == FOUND
        assert lives[made.id].uses[0].last is None

    def test_an_object_with_a_field_that_is_not_known_costs_nothing(
        self, host: Host, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kept = {**KEPT, Container: ("labels",)}
        monkeypatch.setattr("watchd.cleanup.evidence.appearance.KEPT", kept)
        host.run()
        assert len(host.lives("container")) == 1


class TestTakingOver:
    def test_what_an_older_record_has_is_in_it(self, tmp_path: Path) -> None:
        directory = tmp_path / "older"
        job, gone = container("job"), container("gone")
        with closing(Store.open(directory)) as store:
            ends = [
                Exit(each.id, each.name, "app:1", "shop", "web", NOW - 3 * HOUR, NOW - 2 * HOUR, 1, None, None)
                for each in (job, gone)
            ]
            store.record_exits(ENGINE.id, ends)
            removed(store, gone, "exited", NOW - HOUR)
            removed(store, image("old"), "unused", NOW - HOUR)
            seen = {APP.key: Observation(NOW - DAY, NOW - DAY, last_used=NOW - HOUR)}
            store.observe(ENGINE.id, NOW, shift=lambda _: 0.0, fold=lambda _: seen)
            host = Host(store)
            host.engine.add(job)
            host.start()
            lives = {life.key: life for life in store.lives(ENGINE.id)}
            assert (lives[APP.key].arrived, lives[APP.key].uses) == (NOW - DAY, (Use(NOW - HOUR, NOW - HOUR),))
            of_gone = lives[gone.key]
            assert (of_gone.left, of_gone.by, of_gone.uses) == (
                NOW - HOUR, "exited", (Use(NOW - 3 * HOUR, NOW - 2 * HOUR, exit_code=1),),
            )  # fmt: skip
            assert (lives[image("old").key].left, lives[image("old").key].by) == (NOW - HOUR, "unused")
            assert len(lives) == 6


class TestWhichTimeWasWatched:
    def test_spans_end_where_nobody_watched(self, tmp_path: Path) -> None:
        with closing(Store.open(tmp_path)) as store:
            for now, gap in ((NOW, 0.0), (NOW + 20, 0.0), (NOW + 40, 0.0), (NOW + 140, 90.0), (NOW + 160, 0.0)):
                store.observe(ENGINE.id, now, shift=lambda _: 0.0, unwatched=constant(gap), fold=dict)
            assert store.watched_spans(ENGINE.id) == [(NOW, NOW + 40), (NOW + 130, NOW + 160)]


class TestBound:
    def test_the_oldest_goes_first_and_what_is_there_keeps_how_it_is(self, host: Host) -> None:
        for day in range(20):
            host.now = NOW + day * DAY
            made = host.run(f"job-{day}")
            host.engine.remove(made)
            host.happens(("container", "die", made.id), ("container", "destroy", made.id))
            host.engine.add(image("app", tags=(f"app:{day}",)))
            host.happens(("image", "tag", APP.id))
            host.store.observe(ENGINE.id, host.now, shift=lambda _: 0.0, fold=dict)
        full = host.store.timeline_size()
        host.store.trim_timeline(before=0.0, most=full // 2)
        assert host.store.timeline_size() <= full / 2
        kept = [life.arrived for life in host.lives("container")]
        assert kept
        assert min(kept) > NOW + 5 * DAY
        newest = host.life("image")
        assert cast("Image", from_text(Image, newest.appearances[-1].text, id="")).tags == ("app:19",)
        host.store.trim(before=host.now + DAY, most=10**9)
        assert host.lives("container") == []
        assert len(host.lives("image")) == 1

    def test_thousands_of_runs_a_day_are_small(self, tmp_path: Path) -> None:
        """5,000 runs a day take at most 1 MiB."""
        with closing(Store.open(tmp_path)) as store:
            host = Host(store)
            host.watch._listeners.clear()
            before = store.size()
            look, number = host.mirror.view, 5000
            for start in range(0, number, 50):
                changes = []
                for each in range(start, start + 50):
                    made = running(f"busy_name_{each}", labels={"com.docker.compose.project": "ci"}, networks=("net",))
                    at = NOW + each * 17
                    now_there = replace(look, containers=(made,), version=look.version + 1)
                    events = [event("container", action, made.id, at) for action in ("create", "start")]
                    changes.append(Change(events, look, now_there, listed=False, now=at))
                    ends = [event("container", action, made.id, at + 9) for action in ("die", "destroy")]
                    changes.append(Change(ends, now_there, look, listed=False, now=at + 9))
                host.evidence._take_in(changes)
            store.trim(before=0.0, most=10**9)
            with store._autocommit() as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            assert len(host.lives("container")) == number
            assert store.size() - before <= 1024 * 1024


@pytest.mark.parametrize("seed", range(30))
def test_whatever_happens_the_record_says_nothing_false(tmp_path: Path, seed: int) -> None:
    """Containers come, run and go; the daemon is killed and started again. The record is compared with the truth."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    truth: dict[str, dict[str, list[float]]] = {}
    with closing(Store.open(tmp_path)) as store:
        host = Host(store)
        for number in range(60):
            host.now += chance.choice((1.0, 30.0, HOUR))
            there = [each for each in host.engine.subjects.values() if isinstance(each, Container)]
            one = chance.choice(there) if there else None
            match chance.randrange(5):
                case 0:
                    made = host.run(f"c{number}")
                    truth[made.id] = {"came": [host.now - 1], "runs": [host.now], "ends": [], "left": []}
                case 1 if one is not None and one.is_running:
                    host.ends(one)
                    truth[one.id]["ends"].append(host.now)
                case 2 if one is not None and not one.is_running:
                    host.engine.add(replace(one, status="running", pid=1, started_at=host.now + 1))
                    host.happens(("container", "start", one.id))
                    truth[one.id]["runs"].append(host.now)
                case 3 if one is not None and not one.is_running:
                    host.engine.remove(one)
                    host.happens(("container", "destroy", one.id))
                    truth[one.id]["left"].append(host.now)
                case 4:
                    host.start()
        lives = {life.key[1]: life for life in host.lives("container")}
        assert lives.keys() == truth.keys()
        for id_, real in truth.items():
            life = lives[id_]
            assert life.left == next(iter(real["left"]), None)
            assert sum(use.count for use in life.uses) == len(real["runs"])
            assert [use.first for use in life.uses] == [at for at in real["runs"] if at in {u.first for u in life.uses}]
            assert (life.uses[-1].last is None) == (len(real["ends"]) < len(real["runs"]))
            assert all(use.last is None or use.last in real["ends"] for use in life.uses)
            assert all(use.longest_gap <= 600 for use in life.uses)


class TestFields:
    READ = "\n".join(file.read_text() for file in (ROOT / "watchd/cleanup/plan").rglob("*.py"))
    PROPERTIES = "\n".join(file.read_text() for file in (ROOT / "watchd/model/objects").glob("*.py"))

    @pytest.mark.parametrize("kind", [Container, Image, Network, Volume])
    def test_every_field_that_a_plan_reads_is_kept_or_follows_from_the_rest(self, kind: type) -> None:
        known = {*KEPT[kind], *DERIVED[kind]}
        names = {field.name for field in fields(kind)}
        assert known <= names
        for name in names - known:
            assert not re.search(rf"\b(subject|container|image|network|volume|each|user)\.{name}\b", self.READ), name
            assert f"self.{name}" not in self.PROPERTIES or name == "pid", name

    @pytest.mark.parametrize(
        "subject",
        [
            container("c", labels={"a": "b"}, volumes=("v",), networks=("n", "id"), image_mounts=("x:1",)),
            image("i", labels={"a": "ü"}, layers=("1", "2"), history=(Layer("l", 1, 2),), digests=("r@sha256:1",)),
            untagged("u"),
            network("n", labels={"a": "b"}, created_at=1.5),
            anonymous("v", options={"device": "x"}),
        ],
    )
    def test_a_text_gives_back_what_is_kept(self, subject: Subject) -> None:
        kind = type(subject)
        assert not isinstance(subject, Container) or subject.inspected
        derived = {name: getattr(subject, name) for name in DERIVED[kind] if name in {f.name for f in fields(kind)}}
        again = from_text(kind, as_text(subject), **derived)  # type: ignore[arg-type] # not of the build cache
        assert again == subject


def test_pauses_are_short_beside_every_duration_of_the_configuration() -> None:
    assert longest_pause(cleanup(policy("a", "image", when={"unused_for": "30s"}), grace="1h")) == 3
    assert longest_pause(cleanup(grace="30d")) == 600


def constant(value: float) -> Callable[[float | None], float]:
    return lambda _: value


def removed(store: Store, subject: Subject, by: str, at: float) -> None:
    """Record that a policy removed an object."""
    removal = Removal(
        ENGINE.id, at, "1", subject.kind, subject.id, subject.name, subject.names, "remove", {}, by, "unused", {}, 1
    )  # fmt: skip
    store.record_outcome(store.record(removal), "removed", "")
