"""When policies act for room on the disk, and when they are done, without a disk: `tests/test_pressure.py` has one."""

import logging
from collections.abc import Mapping
from typing import Any

import pytest

from tests.prune.builders import cleanup, disk, disks, policy
from watchd.model import Disk, Kind
from watchd.prune.disk_watch import LOCATE_AGAIN, TRY_AGAIN, DiskWatch

MARKS = {"high": "80%", "low": "50%"}
LRU = policy("lru", "image", pressure=MARKS)


class Host:
    """A disk that fills, and a cleaner that takes some of it at each run."""

    def __init__(
        self, *policies: Mapping[str, Any], used: int = 10, frees: int | None = 20, found: bool = True
    ) -> None:
        self.used = used
        self.frees = frees
        self.found = found
        self.ran: list[set[str]] = []
        self.looked_for = 0
        self.told: Mapping[str, bool] = {}
        self.watch = DiskWatch(cleanup(*policies), self._locate, self._measure, self._run, self._tell)

    def _locate(self) -> Mapping[Kind, Disk]:
        self.looked_for += 1
        return disks(disk(self.used)) if self.found else {}

    def _measure(self, _: Disk) -> Disk:
        return disk(self.used)

    def _run(self, due: frozenset[str]) -> int | None:
        self.ran.append(set(due))
        if not self.frees:
            return self.frees
        self.used -= self.frees
        return 1

    def _tell(self, acting: Mapping[str, bool]) -> None:
        self.told = acting


def test_it_acts_from_the_high_mark_until_the_low_one_over_several_runs() -> None:
    host = Host(LRU, used=79)
    host.watch.look(0)
    assert host.ran == []
    host.used = 95
    for moment in (5, 10, 15, 20):
        host.watch.look(moment)
    assert host.ran == [{"lru"}] * 3, "95, 75, 55, 35"
    assert host.told == {}
    host.used = 70
    host.watch.look(25)
    assert len(host.ran) == 3, "between the marks it does not begin"


def test_what_has_nothing_left_to_remove_says_so_and_tries_again_later(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    host = Host(LRU, used=95, frees=0)
    for moment in (0, 5, 10, TRY_AGAIN - 1):
        host.watch.look(moment)
    assert (len(host.ran), host.told) == (1, {"lru": True})
    host.watch.look(TRY_AGAIN)
    assert len(host.ran) == 2
    assert caplog.text.count("nothing left to remove") == 1
    host.frees = 60
    host.watch.look(2 * TRY_AGAIN)
    assert host.told == {}
    assert "policy lru is done" in caplog.text


def test_a_run_that_did_not_take_place_says_nothing_of_what_is_left() -> None:
    host = Host(LRU, used=95, frees=None)
    host.watch.look(0)
    assert host.told == {"lru": False}


def test_a_policy_that_only_reports_is_never_said_to_have_nothing_left() -> None:
    host = Host({**LRU, "mode": "report"}, used=95, frees=0)
    host.watch.look(0)
    assert (host.ran, host.told) == ([{"lru"}], {"lru": False})


def test_only_the_policies_whose_mark_is_passed_act() -> None:
    later = policy("later", "image", pressure={"high": "96%", "low": "50%"})
    free = policy("free", "volume", pressure={"free_below": "10B", "free_until": "60B"})
    host = Host(LRU, later, free, used=95)
    host.watch.look(0)
    assert host.ran == [{"lru", "free"}]


def test_a_disk_that_is_not_found_is_looked_for_again_ever_more_rarely(caplog: pytest.LogCaptureFixture) -> None:
    host = Host(LRU, used=95, found=False)
    for moment in range(0, int(8 * LOCATE_AGAIN), 5):
        host.watch.look(moment)
    assert (host.looked_for, host.ran) == (4, [])
    assert caplog.text.count("disk pressure is not watched") == 1
    host.found = True
    host.watch.look(16 * LOCATE_AGAIN)
    assert host.ran == [{"lru"}]


def test_without_such_a_policy_nothing_is_watched() -> None:
    host = Host(policy("old", "image", when={"unused_for": "1d"}), used=99)
    host.watch.start()
    assert host.watch.stop()
    assert host.looked_for == 0
