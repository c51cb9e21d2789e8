"""The clocks: what was seen, when it counts from, and which time does not count."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cleanup.builders import DAY, ENGINE, HOUR, NOW, container, image, running, untagged, view
from watchd.cleanup.observe.observations import CLOCK_TOLERANCE, observe, shift_of, shifted, since_then
from watchd.cleanup.observe.observer import Observer, Watched
from watchd.model import Container, EngineView, Kind, Observation, Observations
from watchd.store import Notes, Store

APP: tuple[Kind, str] = ("image", image("app").id)
JOB: tuple[Kind, str] = ("container", container("job").id)


def seen_image(look: EngineView, known: Observations | None = None) -> Observation:
    """Return what is known of the one image after a look now."""
    ((_, observation),) = [entry for entry in observe(known or {}, look, NOW).items() if entry[0][0] == "image"]
    return observation


class TestObserve:
    def test_what_is_seen_for_the_first_time_has_only_just_come(self) -> None:
        known = observe({}, view(running("job"), image("app", created_at=1.0), untagged("old")), NOW)
        assert known[JOB] == Observation(NOW, NOW)
        assert known[APP] == Observation(NOW, NOW, last_used=NOW)
        assert known["image", untagged("old").id] == Observation(NOW, NOW, dangling_since=NOW)

    def test_what_was_seen_before_keeps_its_times(self) -> None:
        before = Observation(NOW - DAY, NOW - HOUR, last_used=NOW - HOUR)
        assert seen_image(view(image("app")), {APP: before}) == before

    def test_what_a_complete_list_no_longer_has_is_forgotten(self) -> None:
        """Under the same ID it would be a new arrival."""
        old = Observation(NOW - DAY, NOW - DAY)
        assert observe({APP: old, JOB: old}, view(), NOW) == {}

    @pytest.mark.parametrize("failed", ["container", "image"])
    def test_what_a_failed_list_does_not_have_stays_as_it_was(self, failed: Kind) -> None:
        old = Observation(NOW - DAY, NOW - DAY)
        kept = observe({APP: old, JOB: old}, view(failures={failed: "500"}), NOW)
        assert kept == {key: old for key in (APP, JOB) if key[0] == failed}

    def test_an_image_dangles_since_it_was_first_seen_without_a_tag(self) -> None:
        tagged = seen_image(view(image("app")))
        assert tagged.dangling_since is None
        dangling = seen_image(view(untagged("app")), {APP: Observation(NOW - DAY, NOW - DAY)})
        assert dangling == Observation(NOW - DAY, NOW - DAY, dangling_since=NOW)
        later = observe({APP: dangling}, view(untagged("app")), NOW + HOUR)
        assert later[APP].dangling_since == NOW

    def test_an_image_that_got_a_tag_again_dangles_anew_when_it_loses_it(self) -> None:
        before = Observation(NOW - DAY, NOW - DAY, dangling_since=NOW - DAY)
        assert seen_image(view(image("app")), {APP: before}).dangling_since is None

    @pytest.mark.parametrize(
        ("user", "last_used"),
        [
            (running("c"), NOW),
            (running("c", status="paused"), NOW),
            (container("c", finished_at=NOW - HOUR), NOW - HOUR),
            (container("c", status="created", finished_at=None, created_at=NOW - DAY), NOW - DAY),
            (container("c", finished_at=NOW + HOUR), NOW),
            (container("c", status="created", finished_at=None, created_at=None), None),
            (container("c", inspected=False, finished_at=None, created_at=NOW - DAY), NOW),
        ],
    )
    def test_an_image_was_last_used_when_the_last_run_of_a_container_of_it_ended(
        self, user: Container, last_used: float | None
    ) -> None:
        """A container that lies stopped does not renew the clock; one that cannot be described may be running."""
        assert seen_image(view(user, image("app"))).last_used == last_used

    def test_the_last_of_several_containers_counts(self) -> None:
        users = [container(f"c{days}", finished_at=NOW - days * DAY) for days in (3, 1, 2)]
        assert seen_image(view(*users, image("app"))).last_used == NOW - DAY

    def test_one_that_vanished_unseen_counts_until_it_was_last_seen(self) -> None:
        while_running = observe({}, view(running("c"), image("app")), NOW - HOUR)
        assert seen_image(view(image("app")), while_running).last_used == NOW - HOUR

    def test_last_use_never_moves_back(self) -> None:
        before = Observation(NOW - DAY, NOW - DAY, last_used=NOW - HOUR)
        old = container("c", finished_at=NOW - 2 * HOUR)
        assert seen_image(view(old, image("app")), {APP: before}).last_used == NOW - HOUR


class TestUnwatchedTime:
    @pytest.mark.parametrize(
        ("watched_until", "count_unwatched", "by"),
        [
            (None, False, 0.0),
            (NOW, False, 0.0),
            (NOW - 1, False, 1.0),
            (NOW - DAY, False, DAY),
            (NOW - DAY, True, 0.0),
            (NOW + CLOCK_TOLERANCE, False, 0.0),
            (NOW + DAY, False, -DAY),
            (NOW + DAY, True, -DAY),
        ],
    )
    def test_clocks_move_by_the_time_that_nobody_watched_and_by_what_the_clock_was_set_back(
        self, watched_until: float | None, by: float, *, count_unwatched: bool
    ) -> None:
        assert shift_of(watched_until, NOW, since_then, count_unwatched=count_unwatched) == by

    def test_of_a_time_with_events_only_the_rest_is_unwatched(self) -> None:
        assert shift_of(NOW - DAY, NOW, lambda _, now: now - (NOW - HOUR), count_unwatched=False) == HOUR

    def test_every_time_moves_and_what_is_unknown_stays_so(self) -> None:
        known = {APP: Observation(1.0, 2.0, 3.0, 4.0), JOB: Observation(1.0, 2.0)}
        assert shifted(known, 10.0, NOW) == {APP: Observation(11.0, 12.0, 13.0, 14.0), JOB: Observation(11.0, 12.0)}

    def test_nothing_moves_beyond_now(self) -> None:
        assert shifted({APP: Observation(1.0, 2.0, 3.0, 4.0)}, 10.0, 12.0) == {APP: Observation(11.0, 12.0, 12.0, 12.0)}


class TestUsage:
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        with closing(Store.open(tmp_path)) as opened:
            yield opened

    def test_clocks_go_on_after_a_restart_but_for_the_time_in_between(self, store: Store) -> None:
        """Seen for an hour, down for a day, seen again: an hour counts."""
        look = view(untagged("app"))
        first = Observer(store, writable=True, count_unwatched=False, unwatched=lambda *_: 0.0)
        first.look(look, NOW)
        first.note(ENGINE.id, Notes(), NOW + HOUR)
        again = NOW + HOUR + DAY
        known = Observer(store, writable=True, count_unwatched=False).look(look, again)
        assert known[APP] == Observation(again - HOUR, again - HOUR, dangling_since=again - HOUR)
        assert store.observations(ENGINE.id) == known

    def test_all_time_counts_for_those_who_only_run_it_from_cron(self, store: Store) -> None:
        observer = Observer(store, writable=True, count_unwatched=True)
        observer.look(view(untagged("app")), NOW)
        assert observer.look(view(untagged("app")), NOW + DAY)[APP].dangling_since == NOW

    def test_looks_from_cron_once_a_minute_watch_nothing(self, store: Store) -> None:
        """Between two of them `docker run --rm` may have used the image."""
        for minute in range(60):
            known = Observer(store, writable=True, count_unwatched=False).look(view(untagged("app")), NOW + minute * 60)
            assert known[APP].dangling_since == NOW + minute * 60

    def test_looks_from_cron_tell_that_nothing_was_watched(self, store: Store) -> None:
        observer, look = Observer(store, writable=True, count_unwatched=False), view(image("app"))
        assert observer.watched(look, NOW) == Watched(clocks_run=False)
        observer.look(look, NOW)
        assert observer.watched(look, NOW + 60) == Watched(clocks_run=False, since_last_look=60.0, watched=0.0)
        counting = Observer(store, writable=True, count_unwatched=True)
        assert counting.watched(look, NOW + 60).clocks_run

    def test_beside_a_daemon_that_watches_looks_are_not_recorded_and_clocks_run(self, store: Store) -> None:
        """Else the seconds since the daemon's last record would be unwatched, at each look."""
        look = view(image("app"))
        daemon = Observer(store, writable=True, count_unwatched=False, unwatched=lambda *_: 0.0)
        daemon.look(look, NOW - DAY)
        daemon.note(ENGINE.id, Notes(), NOW)
        command = Observer(store, writable=True, count_unwatched=False, beside_daemon=True)
        for second in range(1, 20):
            assert command.watched(look, NOW + second).clocks_run
            command.look(look, NOW + second)
        daemon.note(ENGINE.id, Notes(), NOW + 20)
        assert store.observations(ENGINE.id)[APP].first_seen == NOW - DAY
        assert not command.watched(look, NOW + HOUR).clocks_run, "it watches another engine, or is stuck"
        command.look(look, NOW + HOUR)
        assert store.watched_until(ENGINE.id) == NOW + HOUR

    def test_a_clock_set_back_sets_all_times_back_with_it(self, store: Store) -> None:
        observer = Observer(store, writable=True, count_unwatched=False)
        observer.look(view(image("app")), NOW)
        observer.note(ENGINE.id, Notes(), NOW + 50)
        assert observer.look(view(image("app")), NOW + 50 - DAY)[APP].first_seen == NOW + 50 - DAY

    def test_what_runs_while_watched_is_used_until_then(self, store: Store) -> None:
        observer = Observer(store, writable=True, count_unwatched=False, unwatched=lambda *_: 0.0)
        observer.look(view(image("app"), image("other")), NOW)
        used = {APP: NOW + 20, image("other").key: NOW + 21}
        observer.note(ENGINE.id, Notes(used=used, arrived={APP: NOW + 22}), NOW + 25)
        known = observer.look(view(image("app"), image("other")), NOW + 30)
        assert known[APP] == Observation(NOW, NOW + 22, last_used=NOW + 20)
        assert known["image", image("other").id] == Observation(NOW, NOW, last_used=NOW + 21)

    def test_another_engine_behind_the_same_directory_has_clocks_of_its_own(self, store: Store) -> None:
        observer = Observer(store, writable=True, count_unwatched=False)
        observer.look(view(image("app")), NOW - HOUR)
        observer.note("engine-2", Notes(), NOW)
        known = Observer(store, writable=True, count_unwatched=True).look(view(image("app")), NOW)
        assert known[APP].first_seen == NOW - HOUR

    def test_without_a_store_everything_has_only_just_come(self) -> None:
        observer = Observer(None, writable=True, count_unwatched=False)
        assert not observer.writable
        observer.note(ENGINE.id, Notes(used={APP: NOW}), NOW)
        assert observer.look(view(image("app")), NOW) == {APP: Observation(NOW, NOW)}

    def test_one_that_must_not_write_reads_what_there_is_and_records_nothing(
        self, tmp_path: Path, store: Store
    ) -> None:
        Observer(store, writable=True, count_unwatched=False).look(view(image("app")), NOW)
        reader = Store.open_read_only(tmp_path)
        assert reader is not None
        with closing(reader):
            observer = Observer(reader, writable=False, count_unwatched=False)
            later = NOW + DAY
            assert observer.look(view(image("app"), container("job")), later) == {
                APP: Observation(later, later, last_used=NOW - DAY),
                JOB: Observation(later, later),
            }
            observer.note(ENGINE.id, Notes(used={APP: later}, arrived={APP: later}), later)
        assert store.observations(ENGINE.id) == {APP: Observation(NOW, NOW)}
        assert store.watched_until(ENGINE.id) == NOW

    @given(st.lists(st.tuples(st.floats(min_value=0, max_value=1000), st.floats(min_value=0, max_value=1)), max_size=8))
    def test_whatever_the_gaps_no_more_time_counts_than_was_watched(self, gaps: list[tuple[float, float]]) -> None:
        """The same arithmetic as the store's, on a dictionary."""
        known: Observations = {APP: Observation(NOW, NOW, dangling_since=NOW)}
        moment, watched = NOW, 0.0
        for gap, share in gaps:
            before, moment = moment, moment + gap
            watched += gap * share
            unwatched = gap * (1 - share)
            by = shift_of(before, moment, lambda *_, unwatched=unwatched: unwatched, count_unwatched=False)
            known = observe(shifted(known, by, moment), view(untagged("app")), moment)
        assert moment - known[APP].first_seen == pytest.approx(watched, abs=1e-3)
        assert known[APP].dangling_since == known[APP].first_seen
