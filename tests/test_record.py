"""The record of removals and ends: how long it is kept, how large it may be, and what a full disk does to it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.test_store import EXIT, KEY, SEEN, put, removal
from watchd.errors import StateError
from watchd.store import DATABASE, Generation, Store
from watchd.store.database import RESERVE


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


def test_a_database_from_before_gives_its_room_back_too(tmp_path: Path) -> None:
    with closing(Store.open(tmp_path)) as store:
        store._connection.execute("PRAGMA auto_vacuum = NONE")
        store._connection.execute("VACUUM")
        for time in range(200):
            number = store.record(replace(removal(), time=float(time), labels={"filler": "x" * 20_000}))
            store.record_outcome(number, "removed", "")
        store.trim(before=1000.0, most=10**9)
        assert store.size() < 500_000


def test_tasks_of_services_are_remembered_by_engine(store: Store) -> None:
    old, new = Generation("web", "sha256:1", 1.0), Generation("web", "sha256:2", 2.0)
    store.tasks_ran("engine", [old, new])
    store.tasks_ran("engine", [replace(old, created=3.0), replace(new, created=1.0)])
    store.tasks_ran("other", [old])
    assert set(store.task_generations("engine")) == {replace(old, created=3.0), new}


class TestReserve:
    """On a file system that is really full."""

    @pytest.fixture
    def small_disk(self, tmp_path: Path) -> Iterator[Path]:
        if os.geteuid() != 0:
            pytest.skip("only root can mount a file system to fill")
        disk = tmp_path / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m", "watchd-test", disk], check=True)
        try:
            yield disk
        finally:
            subprocess.run(["umount", "--lazy", disk], check=True)

    @staticmethod
    def fill(disk: Path) -> None:
        with suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 4096)

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
        self, small_disk: Path
    ) -> None:
        with closing(Store.open(small_disk)) as store:
            assert (small_disk / RESERVE).stat().st_blocks * 512 >= 4 * 1024 * 1024, "it is really taken"
            self.fill(small_disk)
            # Beyond what the journal has room for already.
            recorded = self.record_until_it_fails(store)
            assert not (small_disk / RESERVE).exists()
            assert recorded >= 20, "four mebibytes' worth"
            assert len(store.removals()) >= recorded

            (small_disk / "filler").unlink()
            store.trim(before=0.0, most=10**9)
            store.record(removal())

    def test_without_room_to_spare_none_is_set_aside(self, small_disk: Path) -> None:
        (small_disk / "filler").write_bytes(b"x" * 70 * 1024 * 1024)
        with closing(Store.open(small_disk)) as store:
            assert not (small_disk / RESERVE).exists()
            (small_disk / "filler").unlink()
            store.trim(before=0.0, most=10**9)
            assert (small_disk / RESERVE).exists(), "made once there is"
            assert (small_disk / DATABASE).exists()
