"""The record of removals and ends: how long it is kept, how large it may be, and what a full disk does to it."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.harness.small_disk import fill_up, small_disk
from tests.unit.store.test_store import EXIT, KEY, SEEN, put, removal
from watchd.errors import StateError
from watchd.store import DATABASE, Generation, Notes, Store, trimming
from watchd.store.database.connection import RESERVE


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store.open(tmp_path / "state")) as opened:
        yield opened


def record(store: Store, *times: float, outcome: str | None = "removed") -> None:
    for time in times:
        number = store.record(replace(removal(f"app:{time:g}"), time=time))
        if outcome:
            store.record_outcome(number, outcome, "")


def kept(store: Store) -> list[str]:
    return [row.removal.name for row in store.removals()]


def test_what_is_old_goes_and_what_is_not_settled_stays_whatever_its_age(store: Store) -> None:
    put(store, {KEY: SEEN})
    record(store, 1, 3)
    record(store, 2, outcome=None)
    store.record_exits("engine", [replace(EXIT, ended=1.0), replace(EXIT, ended=3.0)])
    assert store.trim(before=3.0, most=10**9) == 2
    assert kept(store) == ["app:3", "app:2"]
    assert [exit_.ended for exit_ in store.exits("engine")] == [3.0]
    assert store.observations("engine-1") == {KEY: SEEN}


def test_the_oldest_go_until_the_files_are_small_enough(store: Store) -> None:
    put(store, {KEY: SEEN})
    record(store, 0, outcome=None)
    big = {"filler": "x" * 20_000}
    for time in range(1, 201):
        number = store.record(replace(removal(f"app:{time}"), time=float(time), labels=big))
        store.record_outcome(number, "removed", "")
    before = store.size()
    assert before > 4_000_000
    assert store.trim(before=0.0, most=2_000_000) > 0
    assert store.size() <= 2_000_000
    names = kept(store)
    assert names[0] == "app:0"
    assert 10 < len(names) < 150
    assert names[1:] == [f"app:{time}" for time in range(202 - len(names), 201)], "the last ones, without a gap"
    assert store.observations("engine-1") == {KEY: SEEN}


def test_where_all_that_is_left_is_larger_it_ends(store: Store) -> None:
    put(store, {KEY: SEEN})
    record(store, 1, 2, 3)
    store.trim(before=0.0, most=1)
    assert kept(store) == []
    assert store.trim(before=0.0, most=1) == 0


MANY = 3000
NAMES = [f"{number:05}{'x' * 100}" for number in range(MANY)]
FILL: dict[str, tuple[str, Callable[[int, str], tuple[object, ...]]]] = {
    "engine": ("INSERT INTO engine VALUES (?, ?, NULL)", lambda number, name: (name, 100.0 + number)),
    "observation": (
        "INSERT INTO observation VALUES ('engine', 'image', ?, ?, 0, NULL, NULL, NULL, 0)",
        lambda number, name: (name, float(number)),
    ),
    "observation of engines that are gone": (
        "INSERT INTO observation VALUES (?, 'image', '1', 0, 0, NULL, NULL, NULL, 0)",
        lambda _number, name: (name,),
    ),
    "image_reference": (
        "INSERT INTO image_reference VALUES ('engine', 'sha256:a', ?, ?)",
        lambda number, name: (name, float(number)),
    ),
    "image_reference of images that are gone": (
        "INSERT INTO image_reference VALUES ('engine', ?, 'app:1', ?)",
        lambda number, name: (name, float(number)),
    ),
    "task_generation": (
        "INSERT INTO task_generation VALUES ('engine', 'web', ?, ?)",
        lambda number, name: (name, float(number)),
    ),
    "task_generation of many services": (
        "INSERT INTO task_generation VALUES ('engine', ?, '1', ?)",
        lambda number, name: (name, float(number)),
    ),
    "task_generation of engines that are gone": (
        "INSERT INTO task_generation VALUES (?, 'web', '1', ?)",
        lambda number, name: (name, float(number)),
    ),
    "policy_run": ("INSERT INTO policy_run VALUES (?, ?, NULL)", lambda number, name: (name, float(number))),
    "policy_scheduled": ("INSERT INTO policy_scheduled VALUES (?, ?)", lambda number, name: (name, float(number))),
    "exit": (
        (
            "INSERT INTO exit (engine, container_id, name, image, project, service, ended)"
            " VALUES ('engine', '1', ?, '', '', '', ?)"
        ),
        lambda number, name: (name, 100.0 + number),
    ),
}


class TestBounds:
    """Every table has a bound of its own, so that none of them costs history."""

    @pytest.mark.parametrize("what", FILL)
    def test_what_is_beyond_the_bound_of_a_table_goes_and_history_stays(
        self, store: Store, what: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bounds = ("EXITS", "ENGINES", "OBSERVATIONS", "REFERENCES", "GENERATIONS", "POLICIES")
        for name in (*bounds, "GENERATIONS_OF_A_SERVICE"):
            monkeypatch.setattr(trimming, f"MOST_{name}", 20)
        put(store, {KEY: SEEN}, engine="engine", now=1e6)
        record(store, *range(100, 150))
        statement, values = FILL[what]
        with store._transaction(write=True) as connection:
            connection.executemany(statement, [values(*each) for each in enumerate(NAMES)])
        assert store.size() > 250_000
        assert store.trim(before=50.0, most=250_000) >= MANY - 20
        assert store.size() <= 250_000
        assert len(kept(store)) == 50
        table = what.partition(" ")[0]
        left = [row[0] for row in store._connection.execute(f"SELECT * FROM {table}")]  # noqa: S608 - ours
        assert len(left) == (20 if " gone" not in what else 1 if table == "observation" else 0)
        assert store.watched_until("engine") == 1e6
        if table != "observation":
            assert store.observations("engine") == {KEY: SEEN}

    def test_of_a_service_the_last_images_stay(self, store: Store) -> None:
        put(store, {KEY: SEEN}, engine="engine")
        for service in ("old", "new"):
            first = 0 if service == "old" else 1000
            store.tasks_ran("engine", [Generation(service, f"{number}", first + number) for number in range(15)])
        store.trim(before=0.0, most=10**9)
        assert {(each.service, each.image) for each in store.task_generations("engine")} == {
            (service, f"{number}") for service in ("old", "new") for number in range(5, 15)
        }

    def test_the_ends_of_containers_go_before_the_history(self, store: Store) -> None:
        record(store, *range(100))
        store.record_exits("engine", [replace(EXIT, name="x" * 1000, ended=float(1000 + n)) for n in range(1000)])
        store.trim(before=0.0, most=500_000)
        assert len(kept(store)) == 100
        assert 0 < len(store.exits("engine")) < 500

    def test_the_engine_that_was_watched_last_stays_when_the_clock_is_ahead(self, store: Store) -> None:
        put(store, {KEY: SEEN}, engine="engine", now=100.0)
        put(store, {KEY: SEEN}, engine="other", now=99.0)
        store.trim(before=10**9, most=10**9)
        assert store.observations("engine") == {KEY: SEEN}
        assert store.observations("other") == {}


def test_a_database_from_before_gives_its_room_back_too(tmp_path: Path) -> None:
    with closing(Store.open(tmp_path)) as store:
        store._connection.execute("PRAGMA auto_vacuum = NONE")
        store._connection.execute("VACUUM")
        for time in range(200):
            number = store.record(replace(removal(), time=float(time), labels={"filler": "x" * 20_000}))
            store.record_outcome(number, "removed", "")
        store.trim(before=1000.0, most=10**9)
        assert store.size() < 500_000


def test_references_of_images_are_remembered_by_engine(store: Store) -> None:
    first: dict[str, dict[str, float | None]] = {"sha256:a": {"app:1": None, "app:0": 5.0}, "sha256:b": {"web:1": None}}
    store.replace_references("engine", lambda known: {**known, **first})
    store.replace_references("other", lambda _: {"sha256:a": {"x:1": None}})
    assert store.references("engine") == first
    store.note("engine", 10.0, Notes(references={"sha256:a": {"app:1": 9.0}, "sha256:b": {}}), shift=lambda _: 0.0)
    assert store.references("engine") == {"sha256:a": {"app:1": 9.0}}
    store.replace_references("engine", lambda _: {})
    assert store.references("engine") == {}
    assert store.references("other") == {"sha256:a": {"x:1": None}}


def test_tasks_of_services_are_remembered_by_engine(store: Store) -> None:
    old, new = Generation("web", "sha256:1", 1.0), Generation("web", "sha256:2", 2.0)
    store.tasks_ran("engine", [old, new])
    store.tasks_ran("engine", [replace(old, created=3.0), replace(new, created=1.0)])
    store.tasks_ran("other", [old])
    assert set(store.task_generations("engine")) == {replace(old, created=3.0), new}


class TestReserve:
    """On a file system that is really full."""

    @pytest.fixture
    def disk(self, tmp_path: Path) -> Iterator[Path]:
        if os.geteuid() != 0:
            pytest.skip("only root can mount a file system to fill")
        disk = tmp_path / "disk"
        disk.mkdir()
        with small_disk(disk, "80m"):
            yield disk

    @staticmethod
    def record_until_it_fails(store: Store) -> int:
        big = replace(removal(), labels={"filler": "x" * 50_000})
        for recorded in range(1000):
            try:
                store.record_outcome(store.record(big), "removed", "")
            except StateError as error:
                assert "full" in str(error)  # noqa: PT017 - which of them fails is what is counted
                return recorded
        return 1000

    def test_removals_can_be_recorded_when_the_disk_is_full_and_once_that_room_is_used_no_more(
        self, disk: Path
    ) -> None:
        with closing(Store.open(disk)) as store:
            assert (disk / RESERVE).stat().st_blocks * 512 >= 4 * 1024 * 1024, "it is really taken"
            fill_up(disk)
            # Beyond what the journal has room for already.
            recorded = self.record_until_it_fails(store)
            assert not (disk / RESERVE).exists()
            assert recorded >= 20, "four mebibytes' worth"
            assert len(store.removals()) >= recorded

            (disk / "filler").unlink()
            store.trim(before=0.0, most=10**9)
            store.record(removal())

    def test_without_room_to_spare_none_is_set_aside(self, disk: Path) -> None:
        (disk / "filler").write_bytes(b"x" * 70 * 1024 * 1024)
        with closing(Store.open(disk)) as store:
            assert not (disk / RESERVE).exists()
            (disk / "filler").unlink()
            store.trim(before=0.0, most=10**9)
            assert (disk / RESERVE).exists(), "made once there is"
            assert (disk / DATABASE).exists()
