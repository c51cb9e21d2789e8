"""Regrets: what marks a removed object, what needs it again, and how both are brought together."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cleanup.builders import (
    DAY,
    ENGINE,
    HOUR,
    NOW,
    anonymous,
    cleanup,
    container,
    image,
    image_id,
    network,
    plan,
    policy,
    record,
    running,
    view,
    volume,
)
from tests.unit.engine.fake_engine import event
from watchd.cleanup.evidence.evidence import Evidence
from watchd.cleanup.evidence.journal import Journal
from watchd.cleanup.evidence.needs import marks_of
from watchd.cleanup.evidence.shadow import newly_absent
from watchd.cleanup.observe.follower import Change
from watchd.cleanup.report.notification import of_regrets
from watchd.errors import StateError
from watchd.model import EngineView, Event, Image, Observation, Subject
from watchd.store import Absence, Recorded, Removal, Store, Tally

WINDOW = 30 * DAY
LAYERS = ("base", "app")
APP = image("app", layers=LAYERS, digests=("hub/app@sha256:d1",))
NET, DATA = network("net"), volume("data")


class Host:
    """A record of removals, and a daemon that looks for regrets while things happen."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.told: list[Recorded] = []
        self.evidence = Evidence(store, cleanup(regret_window="30d"), self.told.extend, lambda: self.view)
        self.view = view()

    def remove(
        self, subject: Subject, *, at: float = NOW, mode: str = "enforce", outcome: str | None = "removed"
    ) -> int:
        """Record that a policy removed an object, or in report mode would have."""
        removal = Removal(
            engine=ENGINE.id,
            time=at,
            plan_id="1",
            kind=subject.kind,
            id=subject.id,
            name=subject.name,
            names=subject.names,
            action="remove",
            labels={},
            policy="unused",
            reason="unused_too_long",
            facts={"former_references": [{"reference": "old:1", "until": "2027-01-01T00:00:00Z"}]},
            bytes=5,
            mode=mode,
            marks=marks_of(subject, None, stays=mode == "report"),
        )
        if mode == "report":
            self.store.record_reported([removal])
            return 0
        number = self.store.record(removal)
        if outcome:
            self.store.record_outcome(number, outcome, "")
        return number

    def happens(
        self, *events: Event, now: float = NOW + DAY, then: EngineView | None = None, listed: bool = False
    ) -> None:
        """Have events come, and the view after them."""
        before, self.view = self.view, then or self.view
        self.evidence._take_in([Change(events, before, self.view, listed, now)])

    def tick(self, now: float = NOW + DAY) -> None:
        self.happens(now=now)

    @property
    def found(self) -> list[tuple[str, str]]:
        return [(row.removal.name, row.needed_for) for row in self.told]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with closing(Store.open(tmp_path)) as store:
        yield Host(store)


def at(kind: str, action: str, id_: str, time: float = NOW + DAY, **attributes: str) -> Event:
    return event(kind, action, id_, time, **attributes)


class TestImages:
    @pytest.mark.parametrize("action", ["pull", "load", "import", "tag", "loadfromarchive"])
    def test_one_that_arrives_again_is_regretted_once(self, host: Host, action: str) -> None:
        host.remove(APP)
        for _ in range(2):
            host.happens(at("image", action, "app:1"), then=view(APP))
        assert [name for name, _ in host.found] == ["app:1"]
        (row,) = host.store.removals(regretted=True)
        assert (row.regretted_at, row.needed_at) == (NOW + DAY, NOW + DAY)
        assert host.store.last_regret(ENGINE.id, APP) is not None

    def test_the_same_digest_counts_under_another_id(self, host: Host) -> None:
        host.remove(APP)
        other = replace(image("other"), digests=("x/app@sha256:d1",))
        host.happens(at("image", "pull", "other:1"), then=view(other))
        assert host.found == [("app:1", "it was pulled")]

    def test_a_newer_one_under_the_tag_is_no_regret_also_if_it_begins_with_the_layers_of_the_old_one(
        self, host: Host
    ) -> None:
        host.remove(APP)
        newer = replace(APP, id=image_id("newer"), digests=("hub/app@sha256:d2",), layers=(*LAYERS, "more"))
        host.happens(at("image", "pull", "app:1"), then=view(newer))
        other = replace(newer, id=image_id("newest"), tags=("old:1",), digests=(), layers=LAYERS)
        host.happens(at("image", "tag", other.id), then=view(newer, other))
        assert host.found == []

    def test_one_that_begins_with_its_layers_needs_it_with_an_event_or_without(self, host: Host) -> None:
        for tagged in (True, False):
            host.remove(APP, at=NOW if tagged else NOW + 2 * DAY)
            child = image("child", layers=(*LAYERS, str(tagged)), id=image_id(str(tagged)))
            events = [at("image", "tag", child.id)] if tagged else []
            host.happens(*events, now=NOW + 3 * DAY, then=view(*host.view.images, child))
        assert host.found == [("app:1", "child:1 arrived, which was built on it")] * 2

    def test_one_that_is_first_seen_while_it_goes_has_not_come_again(self, host: Host) -> None:
        host.remove(APP, at=NOW)
        host.happens(at("image", "untag", APP.id, NOW + 1), now=NOW + 1, then=view(APP))
        host.happens(at("image", "delete", APP.id, NOW + 1), now=NOW + 1, then=view())
        assert host.found == []

    def test_layers_that_only_begin_alike_need_nothing(self, host: Host) -> None:
        host.remove(APP)
        host.happens(at("image", "tag", "other:1"), then=view(image("other", layers=("base", "other"))))
        assert host.found == []

    @pytest.mark.parametrize("action", ["create", "start", "restart"])
    def test_in_report_mode_a_container_needs_it(self, host: Host, action: str) -> None:
        host.remove(APP, mode="report")
        user = running("web")
        host.happens(at("container", action, user.id), then=view(APP, user))
        assert host.found == [("app:1", "container web was started")]

    def test_in_report_mode_a_container_that_was_gone_before_it_was_inspected_needs_it(self, host: Host) -> None:
        host.remove(APP, mode="report")
        host.happens(at("container", "start", "gone", image="app:1", name="job"), then=view(APP))
        assert host.found == [("app:1", "container job was started")]

    def test_the_end_of_a_container_needs_nothing(self, host: Host) -> None:
        host.view = view(APP)
        host.remove(APP, mode="report")
        user = container("web")
        for action in ("stop", "kill", "die", "destroy"):
            host.happens(at("container", action, user.id), then=view(APP, user))
        assert host.found == []


class TestOthers:
    @pytest.mark.parametrize("mode", ["enforce", "report"])
    @pytest.mark.parametrize(
        ("subject", "needed"),
        [
            (DATA, at("volume", "create", "data")),
            (DATA, at("volume", "mount", "data")),
            (NET, at("network", "create", "another id", name="net")),
            (NET, at("network", "connect", "another id", name="net")),
        ],
    )
    def test_a_volume_or_a_network_of_the_same_name_is_needed(
        self, host: Host, mode: str, subject: Subject, needed: Event
    ) -> None:
        host.remove(subject, mode=mode)
        host.happens(needed)
        assert [name for name, _ in host.found] == [subject.name]
        again = replace(subject, id="another id") if subject is NET else subject
        assert host.store.last_regret(ENGINE.id, again) is not None

    def test_their_end_needs_nothing(self, host: Host) -> None:
        host.remove(DATA)
        host.remove(NET)
        host.happens(
            at("volume", "destroy", "data"),
            at("volume", "unmount", "data"),
            at("network", "disconnect", NET.id, name="net"),
        )
        assert host.found == []

    def test_a_container_counts_in_report_mode_alone(self, host: Host) -> None:
        job = container("job")
        host.remove(job)
        host.remove(job, mode="report")
        host.happens(at("container", "create", job.id), then=view(job))
        assert host.found == []
        host.happens(at("container", "start", job.id))
        assert [(row.removal.mode, row.needed_for) for row in host.told] == [("report", "it was started")]

    def test_the_build_cache_has_no_marks(self) -> None:
        assert marks_of(record("step"), None, stays=True) == ()


class TestTime:
    def test_what_was_needed_before_the_removal_is_no_regret(self, host: Host) -> None:
        host.remove(APP)
        host.happens(at("image", "pull", "app:1", NOW - 1), then=view(APP))
        assert host.found == []

    def test_a_need_after_the_window_ends_the_absence_and_is_no_regret(self, host: Host) -> None:
        host.remove(APP, mode="report")
        late = NOW + WINDOW + 1
        host.happens(at("image", "pull", "app:1", late), now=late, then=view(APP))
        assert host.found == []
        assert host.store.absences(ENGINE.id, [APP.key, ("image", "other")]) == {APP.key: Absence(NOW, late)}

    def test_each_removal_of_an_object_has_a_regret_of_its_own(self, host: Host) -> None:
        for day in (0, 2):
            host.remove(APP, at=NOW + day * DAY)
            late = NOW + (day + 1) * DAY
            host.happens(at("image", "pull", "app:1", late), now=late, then=view(APP))
        assert [row.regretted_at for row in host.store.removals()] == [NOW + DAY, NOW + 3 * DAY]

    def test_a_removal_under_way_is_waited_for(self, host: Host) -> None:
        """A container that comes in between makes the engine refuse it, and then there is nothing to regret."""
        for outcome, count in (("refused", 0), ("removed", 1)):
            number = host.remove(DATA, outcome=None)
            host.happens(at("volume", "create", "data", NOW + 1), now=NOW + 1)
            assert len(host.found) == 0
            host.store.record_outcome(number, outcome, "")
            host.tick(NOW + 2)
            assert len(host.found) == count
        host.tick(NOW + 3)
        assert len(host.found) == 1

    @pytest.mark.parametrize("outcome", ["refused", "failed", "drifted", "already_gone"])
    def test_what_watchd_did_not_remove_is_not_regretted(self, host: Host, outcome: str) -> None:
        host.remove(DATA, outcome=outcome)
        host.happens(at("volume", "create", "data"))
        assert host.found == []

    def test_another_engine_needs_nothing_of_this_one(self, host: Host) -> None:
        host.remove(DATA)
        host.view = replace(view(), engine=replace(ENGINE, id="another"))
        host.happens(at("volume", "create", "data"))
        assert host.found == []


class TestLists:
    def test_what_containers_use_that_were_started_meanwhile_is_needed(self, host: Host) -> None:
        host.remove(APP, mode="report", at=NOW - 3 * DAY)
        host.remove(DATA, mode="report", at=NOW - 3 * DAY)
        host.remove(NET, mode="report", at=NOW - DAY)
        user = container("web", volumes=("data",), networks=("net",))  # started two days ago
        host.happens(then=view(APP, DATA, NET, user), listed=True)
        assert {name for name, _ in host.found} == {"app:1", "data"}
        assert {row.regretted_at for row in host.told} == {user.started_at}

    def test_an_image_that_is_here_again_is_found_once_the_recorder_has_seen_it(self, host: Host) -> None:
        host.remove(APP)
        host.happens(then=view(APP), listed=True)
        host.tick()
        assert host.found == []
        host.store.observe(
            ENGINE.id, NOW + DAY, shift=lambda _: 0.0, fold=lambda _: {APP.key: Observation(NOW + DAY, NOW + DAY)}
        )
        host.happens(then=view(APP), listed=True)
        host.tick()
        assert host.found == [("app:1", "it is here again")]

    def test_an_image_that_only_seems_to_be_here_is_not(self, host: Host) -> None:
        """The list may be older than the removal, and in report mode the image never went."""
        seen = {APP.key: Observation(NOW - DAY, NOW - DAY)}
        host.store.observe(ENGINE.id, NOW, shift=lambda _: 0.0, fold=lambda _: seen)
        host.remove(APP)
        host.remove(APP, mode="report", at=NOW - 2 * DAY)
        host.happens(then=view(APP), listed=True)
        host.tick()
        assert host.found == []


def test_a_fault_is_logged_once_and_ends_nothing(
    host: Host, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    host.remove(DATA)
    for error in (ZeroDivisionError("a bug"), StateError("no space")):
        with monkeypatch.context() as patched:
            patched.setattr(host.store, "gone", lambda *_, error=error: (_ for _ in ()).throw(error))
            for _ in range(2):
                host.happens(at("volume", "create", "data"))
    assert [line.message for line in caplog.records].count("regrets cannot be recorded") == 1
    assert sum("no space" in line.message for line in caplog.records) == 1
    host.tick()
    assert host.found == [("data", "it was created or mounted again")], "what was needed meanwhile is not forgotten"


class TestShadow:
    POLICY: Mapping[str, Any] = policy("unused", "image", mode="report", when={"unused_for": "1d"})

    def absent(self, *absences: tuple[float, float | None], grace: str = "0s", **changes: Any) -> list[str]:
        settings = cleanup({**self.POLICY, **changes}, grace=grace)
        made = plan(view(APP), settings)
        known = {APP.key: Absence(*absences[-1])} if absences else {}
        return [item.name for item in newly_absent(made.items, known, NOW, settings.grace)]

    def test_it_goes_once(self) -> None:
        assert self.absent() == ["app:1"]
        assert self.absent((NOW - DAY, None)) == []

    def test_what_was_needed_again_goes_when_its_clock_has_run_since(self) -> None:
        assert self.absent((NOW - 3 * DAY, NOW - DAY + 1)) == []
        assert self.absent((NOW - 3 * DAY, NOW - DAY)) == ["app:1"]

    def test_grace_is_for_what_came_again_too(self) -> None:
        assert self.absent((NOW - 3 * DAY, NOW - DAY), grace="2d") == []

    def test_what_enforces_has_no_shadow(self) -> None:
        assert self.absent(mode="enforce") == []


def test_the_journal_has_the_marks_of_what_is_removed_and_none_of_its_tags() -> None:
    two = replace(APP, tags=("app:1", "app:2"), layers=None)
    look = view(two, anonymous("data"), container("job", image="other", image_id="x"))
    settings = cleanup(
        policy("unused", "image", mode="enforce", when={"unused_for": "1h"}),
        policy("exited", "container", mode="report", when={"finished_for": "1h"}),
    )
    made = plan(look, settings)
    journal = Journal(look, {APP.key: Observation(0.0, 0.0, layers=LAYERS)})
    going = [item for item in made.items if item.action != "keep"]
    records = {item.key[2:]: journal.removal(item, "1", NOW, "schedule") for item in going}
    image_record = records["remove", "app:1"]
    assert image_record.marks == marks_of(APP, None, stays=False)
    assert records["untag", "app:2"].marks == ()
    assert (records["remove", "job"].mode, len(records["remove", "job"].marks)) == ("report", 1)


def test_in_the_interval_of_an_hour_nothing_is_left_of_what_is_older_than_the_history(host: Host) -> None:
    host.remove(APP)
    host.store.trim(before=NOW + HOUR, most=10**9)
    host.happens(at("image", "pull", "app:1"), then=view(APP))
    assert host.found == []
    with host.store._transaction() as connection:
        assert connection.execute("SELECT count(*) FROM removal_mark").fetchone() == (0,)


def test_the_marks_of_an_image_end_with_its_layers() -> None:
    assert isinstance(APP, Image)
    plain = marks_of(replace(APP, layers=None), None, stays=False)
    known = marks_of(replace(APP, layers=None), Observation(0, 0, layers=LAYERS), stays=False)
    assert set(plain) < set(known)


def test_a_removal_is_undecided_until_it_was_watched_for_the_window(host: Host) -> None:
    """Time that nobody watched decides nothing."""
    subjects: list[Subject] = [DATA, NET, APP, container("job")]
    for day, subject in enumerate(subjects):
        host.remove(subject, at=NOW + day * DAY)
    host.happens(at("volume", "create", "data"))
    store = host.store
    for now, gap in ((NOW, 0.0), (NOW + 12 * DAY, 0.0), (NOW + 22 * DAY, 10 * DAY), (NOW + 41.5 * DAY, 0.0)):
        store.observe(ENGINE.id, now, shift=lambda _: 0.0, unwatched=constant(gap), fold=dict)
    assert store.tally(WINDOW) == Tally(regretted=1, not_regretted=1, undecided=1)
    assert store.tally(WINDOW, kind="network") == Tally(not_regretted=1)
    assert store.tally(WINDOW, since=NOW + 1.5 * DAY) == Tally(undecided=1)


def constant(value: float) -> Callable[[float | None], float]:
    return lambda _: value


def test_a_notification_tells_what_was_removed_and_is_needed_again(host: Host) -> None:
    host.remove(APP)
    host.remove(DATA, mode="report")
    host.happens(at("image", "pull", "app:1"), then=view(APP), now=NOW + 2 * DAY)
    host.happens(at("volume", "create", "data"), now=NOW + 2 * DAY)
    assert [(row.removal.kind, row.removal.mode) for row in host.told] == [("image", "enforce"), ("volume", "report")]
    told = of_regrets(host.told, ENGINE)
    assert told is not None
    assert (told.title, told.is_failure) == ("watchd removed what is needed again on host", False)
    (line,) = told.body.splitlines()
    assert line.startswith("image app:1, was old:1: removed by unused at ")
    assert line.endswith("needed again after 1d: it was pulled")
    assert of_regrets(host.told[1:], ENGINE) is None, "in report mode nothing is gone"


def test_a_notification_names_ten_and_counts_the_others(host: Host) -> None:
    for number in range(12):
        host.remove(volume(f"data-{number}"))
        host.happens(at("volume", "create", f"data-{number}"))
    told = of_regrets(host.told, ENGINE)
    assert told is not None
    *names, more = told.body.splitlines()
    assert (len(names), more) == (10, "and 2 more: watchd history --regretted")
