"""The database: it is read back as it was written, whole, by those who may read it."""

import os
import resource
import shutil
import sqlite3
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from watchd.errors import StateError
from watchd.model import Exit, Key, Kind, Observation, Observations
from watchd.store import DATABASE, LastRun, Notes, Removal, Store, trimming
from watchd.store.database import migrations as schema
from watchd.store.database.migrations import VERSION

ENGINE = "engine-1"
KEY: tuple[Kind, str] = ("image", "sha256:a")
SEEN = Observation(first_seen=100.0, arrived_at=200.5, last_used=None, dangling_since=300.25)


def no_shift(_watched_until: float | None) -> float:
    return 0.0


def put(store: Store, observations: Observations, *, engine: str = ENGINE, now: float = 1000.0) -> None:
    """Make these all that was observed of an engine."""
    store.observe(engine, now, shift=no_shift, fold=lambda _: dict(observations))


def removal(name: str = "app:1") -> Removal:
    return Removal(
        engine=ENGINE,
        time=1000.0,
        plan_id="20260131T040000Z-1",
        kind="image",
        id="sha256:a",
        name=name,
        names=("app:1", "app:2"),
        action="untag",
        labels={"é": "ü"},
        policy="unused",
        reason="unused_too_long",
        facts={"clocks": {"unused_for": {"elapsed": 1.5, "needs": 1.0}}},
        bytes=5,
        at_least=True,
        trigger="pressure",
    )


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def store(directory: Path) -> Iterator[Store]:
    with closing(Store.open(directory)) as opened:
        yield opened


@contextmanager
def another_user() -> Iterator[None]:
    """Be someone whom permissions hold back, which they do not do to root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def read_only_directory() -> Iterator[Path]:
    """A state with one observation, in a directory that can be read and not written."""
    with tempfile.TemporaryDirectory() as name:  # pytest's own are closed to other users
        directory = Path(name)
        with closing(Store.open(directory)) as opened:
            put(opened, {KEY: SEEN})
        (directory / DATABASE).chmod(0o444)
        directory.chmod(0o555)
        yield directory
        directory.chmod(0o755)


@pytest.fixture
def unshared_journal(read_only_directory: Path, tmp_path: Path) -> Path:
    """The same, but that the observation is only in the journal, which SQLite cannot share there."""
    with closing(Store.open(tmp_path)) as writer:
        put(writer, {KEY: SEEN})
        for name in (DATABASE, f"{DATABASE}-wal"):
            shutil.copyfile(tmp_path / name, read_only_directory / name)
            (read_only_directory / name).chmod(0o444)
    return read_only_directory


class TestObservations:
    def test_they_are_read_back_after_a_restart(self, directory: Path) -> None:
        with closing(Store.open(directory)) as before:
            put(before, {KEY: SEEN, ("container", "c"): Observation(1.0, 2.0, 3.0, None)})
        with closing(Store.open(directory)) as after:
            assert after.observations(ENGINE) == {KEY: SEEN, ("container", "c"): Observation(1.0, 2.0, 3.0, None)}
            assert after.watched_until(ENGINE) == 1000.0

    def test_what_the_fold_leaves_out_is_forgotten_and_what_it_changes_is_changed(self, store: Store) -> None:
        put(store, {KEY: SEEN, ("image", "sha256:b"): SEEN})
        changed = Observation(100.0, 900.0)

        def fold(known: Observations) -> dict[tuple[Kind, str], Observation]:
            assert set(known) == {KEY, ("image", "sha256:b")}
            return {KEY: changed}

        assert store.observe(ENGINE, 2000.0, shift=no_shift, fold=fold) == {KEY: changed}
        assert store.observations(ENGINE) == {KEY: changed}

    def test_another_engine_has_observations_of_its_own(self, store: Store) -> None:
        put(store, {KEY: SEEN})
        put(store, {}, engine="engine-2", now=5.0)
        assert store.observations(ENGINE) == {KEY: SEEN}
        assert store.observations("engine-2") == {}
        assert (store.watched_until(ENGINE), store.watched_until("engine-2")) == (1000.0, 5.0)
        assert store.watched_until("engine-3") is None

    def test_unwatched_time_moves_every_clock_of_that_engine_and_no_others(self, store: Store) -> None:
        put(store, {KEY: SEEN})
        put(store, {KEY: SEEN}, engine="engine-2")
        asked: list[float | None] = []

        def shift(watched_until: float | None) -> float:
            asked.append(watched_until)
            return 50.0

        store.note(ENGINE, 1500.0, Notes(), shift=shift)
        assert asked == [1000.0]
        assert store.observations(ENGINE) == {KEY: Observation(150.0, 250.5, None, 350.25)}
        assert store.observations("engine-2") == {KEY: SEEN}
        assert store.watched_until(ENGINE) == 1500.0

    def test_a_look_sees_what_was_known_moved_already(self, store: Store) -> None:
        put(store, {KEY: SEEN})
        seen = store.observe(ENGINE, 1500.0, shift=lambda _: -100.0, fold=dict)
        assert seen == {KEY: Observation(0.0, 100.5, None, 200.25)}

    def test_last_use_and_arrival_only_move_forward(self, store: Store) -> None:
        put(store, {KEY: SEEN, ("container", KEY[1]): SEEN})
        unknown: Key = ("image", "sha256:unknown")
        for used, arrived in ((400.0, 500.0), (390.0, 490.0)):
            notes = Notes(used={KEY: used, unknown: used}, arrived={KEY: arrived})
            store.note(ENGINE, 1500.0, notes, shift=no_shift)
        assert store.observations(ENGINE) == {
            KEY: Observation(100.0, 500.0, 400.0, 300.25),
            ("container", KEY[1]): SEEN,
        }

    @pytest.mark.parametrize("layers", [None, (), ("a1", "b2")])
    def test_layers_are_kept_with_their_image_and_may_be_learned_later(
        self, store: Store, layers: tuple[str, ...] | None
    ) -> None:
        put(store, {KEY: replace(SEEN, layers=layers)})
        assert store.observations(ENGINE)[KEY].layers == layers
        new: Key = ("image", "sha256:new")
        came = {new: Observation(1.0, 1.0, layers=layers)}
        store.note(ENGINE, 1500.0, Notes(came=came, layers={KEY: ("c3",)}), shift=no_shift)
        known = store.observations(ENGINE)
        assert (known[KEY].layers, known[new].layers) == (("c3",), layers)

    def test_an_error_while_folding_changes_nothing_and_leaves_it_usable(self, store: Store) -> None:
        put(store, {KEY: SEEN})

        def fold(_known: Observations) -> dict[tuple[Kind, str], Observation]:
            raise KeyError

        with pytest.raises(KeyError):
            store.observe(ENGINE, 2000.0, shift=lambda _: 7.0, fold=fold)
        assert store.observations(ENGINE) == {KEY: SEEN}
        assert store.watched_until(ENGINE) == 1000.0


class TestTwoOfThem:
    def test_what_one_saw_the_other_reads(self, directory: Path) -> None:
        with closing(Store.open(directory)) as one, closing(Store.open(directory)) as other:
            put(one, {KEY: SEEN})
            assert other.observations(ENGINE) == {KEY: SEEN}

    def test_what_one_saw_the_other_does_not_overwrite(self, directory: Path) -> None:
        """Each adds one to a number that it read: were a look no single transaction, some would be lost."""

        def count(_known: Observations) -> dict[tuple[Kind, str], Observation]:
            before = _known.get(KEY, Observation(0.0, 0.0))
            return {KEY: Observation(before.first_seen + 1, 0.0)}

        def look_often(_number: int) -> None:
            with closing(Store.open(directory)) as own:
                for _ in range(10):
                    own.observe(ENGINE, 1.0, shift=no_shift, fold=count)

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(look_often, range(4)))
        with closing(Store.open(directory)) as store:
            assert store.observations(ENGINE)[KEY].first_seen == 40.0

    def test_threads_may_share_one(self, store: Store) -> None:
        barrier = threading.Barrier(4)

        def record(_number: int) -> list[int]:
            barrier.wait()
            return [store.record(removal()) for _ in range(5)]

        with ThreadPoolExecutor(4) as threads:
            numbers = [number for own in threads.map(record, range(4)) for number in own]
        assert sorted(numbers) == list(range(1, 21))


class TestRemovals:
    def test_of_many_the_last_ones_are_told_the_oldest_first(self, store: Store) -> None:
        for number in range(5):
            store.record(replace(removal(f"app:{number}"), time=float(number)))
        assert [row.removal.name for row in store.removals(since=1.0, most=2)] == ["app:3", "app:4"]
        assert store.count_removals(since=1.0) == 4
        assert store.removals()[0].as_json()["outcome"] == "unknown"

    def test_a_removal_is_on_record_before_it_happens_and_its_outcome_after(
        self, directory: Path, store: Store
    ) -> None:
        number = store.record(removal())
        rows = "SELECT name, names, labels, facts, outcome, detail FROM removal"
        with closing(sqlite3.connect(directory / DATABASE)) as reader:
            ((name, names, labels, facts, outcome, detail),) = reader.execute(rows).fetchall()
            assert (name, names, labels) == ("app:1", '["app:1", "app:2"]', '{"\\u00e9": "\\u00fc"}')
            assert facts == '{"clocks": {"unused_for": {"elapsed": 1.5, "needs": 1.0}}}'
            assert (outcome, detail) == (None, "")
            other = store.record(removal("app:2"))
            store.record_outcome(number, "refused", "in use")
            after = reader.execute("SELECT seq, outcome, detail FROM removal ORDER BY seq").fetchall()
            assert after == [(number, "refused", "in use"), (other, None, "")]

    def test_on_a_full_disk_nothing_is_recorded_and_when_there_is_room_again_it_is(
        self, directory: Path, store: Store
    ) -> None:
        """Nothing is removed without a record, so the error is raised, and passes."""
        first = store.record(removal())
        size = (directory / f"{DATABASE}-wal").stat().st_size
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            for _ in range(2):
                with pytest.raises(StateError, match="disk"):
                    store.record(removal())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert store.record(removal()) == first + 1

    def test_an_error_is_told_as_it_is_where_sqlite_has_ended_the_transaction_itself(self, store: Store) -> None:
        store.record(removal())
        (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
        store._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StateError, match="database or disk is full"):
            store.record(removal("x" * 100_000))
        store.record(removal())


class TestOpening:
    def test_the_directory_is_made_and_is_nobody_elses_business(self, tmp_path: Path) -> None:
        directory = tmp_path / "a" / "b"
        with closing(Store.open(directory)) as store:
            put(store, {KEY: SEEN})
            assert stat.S_IMODE(directory.stat().st_mode) == 0o700
            modes = {stat.S_IMODE(file.stat().st_mode) for file in directory.iterdir()}
        assert modes == {0o600}

    def test_a_directory_that_cannot_be_made_is_a_state_error_that_says_how_to_name_another(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(StateError, match=r"cannot be written: Not a directory .*WATCHD_STATE__DIRECTORY"):
            Store.open(tmp_path / "file" / "state")

    @pytest.mark.parametrize("content", [b"not a database" * 500, b"SQLite format 3\0" + b"\xff" * 4000])
    def test_a_corrupt_file_is_a_state_error(self, directory: Path, content: bytes) -> None:
        directory.mkdir()
        (directory / DATABASE).write_bytes(content)
        with pytest.raises(StateError, match=DATABASE):
            Store.open(directory)
        with pytest.raises(StateError, match=DATABASE):
            Store.open_read_only(directory)
        assert (directory / DATABASE).read_bytes() == content

    def test_what_a_newer_watchd_wrote_is_refused_and_left_alone(self, directory: Path) -> None:
        Store.open(directory).close()
        with closing(sqlite3.connect(directory / DATABASE)) as connection:
            connection.execute(f"PRAGMA user_version = {VERSION + 1}")
        for open_ in (Store.open, Store.open_read_only):
            with pytest.raises(
                StateError, match=rf"written by a newer watchd \(schema {VERSION + 1}, this one knows {VERSION}\)"
            ):
                open_(directory)

    def test_a_lost_directory_is_a_new_beginning(self, directory: Path) -> None:
        with closing(Store.open(directory)) as store:
            put(store, {KEY: SEEN})
        for file in directory.iterdir():
            file.unlink()
        directory.rmdir()
        with closing(Store.open(directory)) as store:
            assert store.observations(ENGINE) == {}
            assert store.watched_until(ENGINE) is None

    def test_an_empty_file_is_a_new_beginning(self, directory: Path) -> None:
        """The files of a process that ended while it made the database."""
        directory.mkdir()
        (directory / DATABASE).touch()
        assert Store.open_read_only(directory) is None
        with closing(Store.open(directory)) as store:
            put(store, {KEY: SEEN})
            assert store.observations(ENGINE) == {KEY: SEEN}


class TestReadOnly:
    def test_there_is_none_where_nothing_was_written_yet(self, directory: Path) -> None:
        assert Store.open_read_only(directory) is None
        assert not directory.exists()

    def test_it_reads_beside_one_that_writes(self, directory: Path, store: Store) -> None:
        put(store, {KEY: SEEN})
        reader = Store.open_read_only(directory)
        assert reader is not None
        with closing(reader):
            assert reader.observations(ENGINE) == {KEY: SEEN}
            put(store, {})
            assert reader.observations(ENGINE) == {}

    def test_it_cannot_write(self, directory: Path, store: Store) -> None:
        put(store, {KEY: SEEN})
        reader = Store.open_read_only(directory)
        assert reader is not None
        with closing(reader):
            with pytest.raises(StateError, match="readonly"):
                put(reader, {})
            with pytest.raises(StateError, match="readonly"):
                reader.record(removal())
        assert store.observations(ENGINE) == {KEY: SEEN}

    def test_a_directory_that_cannot_be_written_is_read_all_the_same(self, read_only_directory: Path) -> None:
        with another_user():
            with pytest.raises(StateError, match="cannot be written: Permission denied"):
                Store.open(read_only_directory)
            store = Store.open_read_only(read_only_directory)
            assert store is not None
            with closing(store):
                assert store.observations(ENGINE) == {KEY: SEEN}
        assert [file.name for file in read_only_directory.iterdir() if file.name != "reserve"] == [DATABASE]

    def test_what_is_still_in_the_journal_is_read_too(self, unshared_journal: Path) -> None:
        files = {file.name for file in unshared_journal.iterdir()}
        with another_user():
            store = Store.open_read_only(unshared_journal)
            assert store is not None
            with closing(store):
                assert store.observations(ENGINE) == {KEY: SEEN}
                with pytest.raises(StateError, match="readonly"):
                    store.record(removal())
        assert {file.name for file in unshared_journal.iterdir()} == files
        assert not list(Path(tempfile.gettempdir()).glob("watchd-*")), "the copy is gone"

    def test_a_journal_that_cannot_be_read_is_told_of(
        self, unshared_journal: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(unshared_journal / "missing"))
        with another_user(), pytest.raises(StateError, match="its journal is not empty and cannot be read: No such"):
            Store.open_read_only(unshared_journal)

    def test_a_database_that_is_written_while_it_is_copied_is_not_half_read(
        self, unshared_journal: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        copy = shutil.copyfileobj

        def write_meanwhile(source: BinaryIO, target: BinaryIO) -> None:
            copy(source, target)
            os.utime(source.fileno(), ns=(0, time.monotonic_ns()))

        monkeypatch.setattr(shutil, "copyfileobj", write_meanwhile)
        for file in unshared_journal.iterdir():
            os.chown(file, 65534, 65534)
        os.chown(unshared_journal, 65534, 65534)
        with another_user(), pytest.raises(StateError, match="is being written"):
            Store.open_read_only(unshared_journal)

    def test_a_directory_that_cannot_be_read_is_a_state_error(self, read_only_directory: Path) -> None:
        """Not the same as no state: what is known there is not known to be nothing."""
        read_only_directory.chmod(0o000)
        with another_user(), pytest.raises(StateError, match="cannot be read: Permission denied"):
            Store.open_read_only(read_only_directory)


EXIT = Exit("a" * 64, "job", "ci:1", "shop", "tests", started=1.0, ended=2.0, exit_code=3, cpu=0.5, memory_peak=4096)


def test_ends_of_containers_are_kept_by_engine_and_the_last_ones_come_first(directory: Path) -> None:
    unknown = replace(EXIT, ended=5.0, started=None, exit_code=None, cpu=None, memory_peak=None)
    with closing(Store.open(directory)) as store:
        store.record_exits("engine", [EXIT, unknown])
        store.record_exits("another", [EXIT])

    with closing(Store.open(directory)) as store:
        assert store.exits("engine") == [unknown, EXIT]
        assert store.exits("engine", since=3.0) == [unknown]
        assert store.exits("nobody") == []


def test_not_more_ends_than_the_bound_are_kept(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trimming, "MOST_EXITS", 10)
    with closing(Store.open(directory)) as store:
        for number in range(25):
            store.record_exits("engine", [replace(EXIT, ended=float(number))])
        assert store.trim(before=0.0, most=10**9) == 15
        assert [exit_.ended for exit_ in store.exits("engine")] == [float(number) for number in range(24, 14, -1)]


def write_first_schema(directory: Path) -> None:
    directory.mkdir()
    with closing(sqlite3.connect(directory / DATABASE)) as connection:
        connection.executescript(schema._MIGRATIONS[0])
        connection.execute("INSERT INTO engine VALUES ('engine', 7.0)")
        connection.execute("INSERT INTO observation VALUES ('engine', 'image', 'sha256:1', 1.0, 2.0, 3.0, NULL)")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()


def test_a_state_of_the_first_schema_can_be_read_without_writing(directory: Path) -> None:
    write_first_schema(directory)
    before = (directory / DATABASE).read_bytes()
    store = Store.open_read_only(directory)
    assert store is not None
    with closing(store):
        assert store.observations("engine") == {("image", "sha256:1"): Observation(1.0, 2.0, 3.0)}
        assert store.exits("engine") == []
        with pytest.raises(StateError):
            store.ran(["a"], 100.0, 100.0)
    assert (directory / DATABASE).read_bytes() == before


def test_a_state_of_the_first_schema_is_brought_up_to_date(directory: Path) -> None:
    write_first_schema(directory)
    with closing(Store.open(directory)) as store:
        assert store.watched_until("engine") == 7.0
        assert store.observations("engine") == {("image", "sha256:1"): Observation(1.0, 2.0, 3.0)}
        assert store.last_runs() == {}
        store.record_exits("engine", [EXIT])
        assert store.exits("engine") == [EXIT]


def test_a_policy_is_scheduled_since_its_last_run_or_else_since_it_was_scheduled_first(store: Store) -> None:
    assert store.schedule(["a", "b"], 100.0) == {"a": 100.0, "b": 100.0}
    store.ran(["a"], 200.0, None)
    assert store.schedule(["a", "b", "c"], 300.0) == {"a": 200.0, "b": 100.0, "c": 300.0}
    assert store.last_runs() == {"a": LastRun(200.0, None)}, "what never ran has no last run"


def test_when_policies_ran_last_is_kept_and_a_failure_does_not_forget_the_last_success(store: Store) -> None:
    store.ran(["a", "b"], 100.0, 100.0)
    store.ran(["a"], 200.0, None)
    assert store.last_runs() == {"a": LastRun(200.0, 100.0), "b": LastRun(100.0, 100.0)}
