"""Runs under disk pressure: their begin and end. `tests/engine/cleanup/test_pressure.py` has a real disk."""

import logging
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest

from tests.unit.cleanup.builders import cleanup, disk, disks, policy
from watchd.cleanup.daemon.disk_watch import (
    FILLS_AT,
    IN_VAIN_MOST,
    INTERVAL,
    LOCATE_AGAIN,
    SHORTEST_INTERVAL,
    TRY_AGAIN,
    TRY_AGAIN_MOST,
    DiskWatch,
    Removed,
)
from watchd.engine.data.disks import Measured
from watchd.model import Disk, Event, Kind

MARKS = {"high": "80%", "low": "50%"}
LRU = policy("lru", "image", pressure=MARKS)


class Host:
    """A disk that fills, and a cleaner that takes some of it at each run."""

    def __init__(
        self,
        *policies: Mapping[str, Any],
        used: int = 10,
        of: int = 100,
        frees: int | None = 20,
        found: bool = True,
        takes: float = 0.0,
    ) -> None:
        self.now = 0.0
        self.takes = takes
        self.used = used
        self.of = of
        self.frees = frees
        self.found = found
        self.in_vain: frozenset[Kind] = frozenset()
        self.ran: list[set[str]] = []
        self.looked_for = 0
        self.told: Mapping[str, bool] = {}
        self.told_while_running: list[Mapping[str, bool]] = []
        self.quiet = False
        self.watch = DiskWatch(
            cleanup(*policies),
            self._locate,
            self._measure,
            self._run,
            self._report,
            is_quiet=lambda: self.quiet,
            clock=lambda: self.now,
        )

    def _locate(self) -> Measured:
        self.looked_for += 1
        return Measured(disks(disk(self.used, self.of))) if self.found else Measured({}, {"image": "it is elsewhere"})

    def _measure(self, _: Disk) -> Disk:
        return disk(self.used, self.of)

    def _run(self, due: frozenset[str]) -> Removed | None:
        self.ran.append(set(due))
        self.told_while_running.append(self.told)
        self.now += self.takes
        if self.frees is None:
            return None
        self.used -= self.frees
        return Removed(1 if self.frees or self.in_vain else 0, self.in_vain)

    def look(self, at: float) -> None:
        self.now = at
        self.watch.look()

    def _report(self, acting: Mapping[str, bool]) -> None:
        self.told = acting


def test_it_acts_from_the_high_mark_until_the_low_one_over_several_runs() -> None:
    host = Host(LRU, used=79)
    host.look(0)
    assert host.ran == []
    host.used = 95
    for moment in (5, 10, 15, 20):
        host.look(moment)
    assert host.ran == [{"lru"}] * 3, "95, 75, 55, 35"
    assert host.told == {}
    host.used = 70
    host.look(25)
    assert len(host.ran) == 3, "between the marks it does not begin"


def test_a_policy_acts_from_before_its_first_run_until_after_the_last() -> None:
    host = Host(LRU, used=95, frees=60)
    host.look(0)
    assert host.told_while_running == [{"lru": False}]
    assert host.told == {}


def test_it_acts_as_soon_as_quiet_hours_have_ended() -> None:
    host = Host(LRU, used=95, frees=60)
    host.quiet = True
    for moment in range(0, 3600, 60):
        host.look(moment)
    assert (host.ran, host.told) == ([], {"lru": False})
    host.quiet = False
    host.look(3600)
    assert host.ran == [{"lru"}]


def test_what_has_nothing_left_to_remove_says_so_and_tries_again_later(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    host = Host(LRU, used=95, frees=0)
    for moment in (0, 1, TRY_AGAIN - 1):
        host.look(moment)
    assert (len(host.ran), host.told) == (1, {"lru": True})
    host.look(TRY_AGAIN)
    assert len(host.ran) == 2
    assert caplog.text.count("can make no more room") == 1
    host.frees = 60
    host.look(3 * TRY_AGAIN)
    assert host.told == {}
    assert "policy lru is done" in caplog.text


def test_the_wait_until_the_next_try_doubles_up_to_five_minutes() -> None:
    host = Host(LRU, used=95, frees=0)
    tries = []
    for moment in range(3000):
        before = len(host.ran)
        host.look(moment)
        if len(host.ran) > before:
            tries.append(moment)
    waits = [after - before for before, after in pairwise(tries)]
    assert waits[:8] == [5, 10, 20, 40, 80, 160, TRY_AGAIN_MOST, TRY_AGAIN_MOST]


@pytest.mark.parametrize(
    ("event", "tries"),
    [
        (("container", "destroy"), 2),
        (("container", "remove"), 2),  # as Podman says
        (("image", "pull"), 2),
        (("image", "untag"), 2),
        (("container", "die"), 0),
        (("container", "exec_start"), 0),
        (("volume", "create"), 0),
    ],
)
def test_an_event_by_which_something_may_go_ends_the_wait(event: tuple[str, str], tries: int) -> None:
    host = Host(LRU, used=95, frees=0)
    for moment in (0, 5, 15, 35, 75):
        host.look(moment)
    assert len(host.ran) == 5
    host.watch.on_events([Event(*event, id="a", time_nano=0)])
    host.look(81)
    host.look(86)
    assert len(host.ran) - 5 == tries


def test_removals_in_vain_are_tried_ever_more_rarely_whatever_happens() -> None:
    host = Host(LRU, used=95, frees=0)
    host.in_vain = frozenset(("image",))
    tries = []
    for moment in range(1, 500_000, 5):
        host.watch.on_events([Event("image", "pull", id="a", time_nano=0)])
        before = len(host.ran)
        host.look(moment)
        if len(host.ran) > before:
            tries.append(moment)
    waits = [after - before for before, after in pairwise(tries)]
    assert waits == [15 * 2**number for number in range(13)] + [IN_VAIN_MOST] * 4
    host.in_vain, host.frees = frozenset(), 10
    host.look(600_000)
    host.in_vain, host.frees = frozenset(("image",)), 0
    host.look(600_001)
    before = len(host.ran)
    host.look(600_016)
    assert len(host.ran) == before + 1, "it freed something meanwhile"


def test_policies_of_other_kinds_go_on_at_the_next_look(caplog: pytest.LogCaptureFixture) -> None:
    host = Host(LRU, policy("volumes", "volume", pressure=MARKS), used=95, frees=0)
    host.in_vain = frozenset(("image",))
    host.look(0)
    host.in_vain, host.frees = frozenset(), 20
    for moment in range(1, 4):
        host.look(moment)
    assert host.ran == [{"lru", "volumes"}, {"volumes"}, {"volumes"}, {"volumes"}]
    assert host.told == {}
    assert caplog.text.count("can make no more room") == 1


def test_many_events_do_not_make_it_look_all_the_time() -> None:
    host = Host(LRU, used=95, frees=0, takes=4.0)
    moment = 0.0
    while moment < 240:
        host.watch.on_events([Event("container", "destroy", id="a", time_nano=0)])
        host.look(moment)
        moment = host.now + SHORTEST_INTERVAL
    assert len(host.ran) == 10, "a run of 4 s, then at least 20 s without one"


@pytest.mark.parametrize("frees", [0, None])
def test_the_wait_until_the_next_try_counts_from_the_end_of_a_run(frees: int | None) -> None:
    host = Host(LRU, used=95, frees=frees, takes=2)
    host.look(0)
    host.look(2 + 10 - 1)
    assert len(host.ran) == 1, "five times as long as it took"
    host.look(2 + 10)
    assert len(host.ran) == 2


def test_a_run_that_freed_something_goes_on_at_the_next_look_however_long_it_took() -> None:
    host = Host(LRU, used=95, takes=2 * TRY_AGAIN)
    host.look(0)
    host.look(2 * TRY_AGAIN + 5)
    assert len(host.ran) == 2


def test_a_run_that_did_not_take_place_says_nothing_of_what_is_left() -> None:
    host = Host(LRU, used=95, frees=None)
    host.look(0)
    assert host.told == {"lru": False}


def test_a_policy_that_only_reports_is_never_said_to_have_nothing_left() -> None:
    host = Host({**LRU, "mode": "report"}, used=95, frees=0)
    host.look(0)
    assert (host.ran, host.told) == ([{"lru"}], {"lru": False})


def test_only_the_policies_whose_mark_is_passed_act() -> None:
    later = policy("later", "image", pressure={"high": "96%", "low": "50%"})
    free = policy("free", "volume", pressure={"free_below": "10B", "free_until": "60B"})
    host = Host(LRU, later, free, used=95)
    host.look(0)
    assert host.ran == [{"lru", "free"}]


def test_a_disk_that_is_not_found_is_looked_for_again_ever_more_rarely(caplog: pytest.LogCaptureFixture) -> None:
    host = Host(LRU, used=95, found=False)
    for moment in range(0, int(8 * LOCATE_AGAIN), 5):
        host.look(moment)
    assert (host.looked_for, host.ran) == (4, [])
    assert caplog.text.count("disk pressure is not watched for lru: it is elsewhere") == 1
    host.found = True
    host.look(16 * LOCATE_AGAIN)
    assert host.ran == [{"lru"}]


def test_a_container_that_starts_may_prove_where_the_disk_is() -> None:
    host = Host(LRU, used=95, found=False)
    for moment in (0, LOCATE_AGAIN, 3 * LOCATE_AGAIN):
        host.look(moment)
    host.found = True
    host.look(3 * LOCATE_AGAIN + 5)
    assert host.ran == []
    host.watch.on_events([Event("container", "start", id="a", time_nano=0)])
    host.look(3 * LOCATE_AGAIN + 10)
    assert host.ran == [{"lru"}]


MEGABYTE = 1_000_000


class TestInterval:
    """How soon a disk of 10 GB is looked at again, whose mark is at 8 GB."""

    def look(self, *used: int) -> float:
        host = Host(LRU, of=10_000 * MEGABYTE, frees=0)
        for number, each in enumerate(used):
            host.used = each * MEGABYTE
            host.look(number)
        return host.watch.interval

    def test_far_from_its_mark_it_is_seldom(self) -> None:
        assert self.look(1000) == INTERVAL

    def test_near_its_mark_it_is_often_since_it_may_begin_to_fill_at_once(self) -> None:
        assert self.look(7900) == pytest.approx(100 * MEGABYTE / FILLS_AT / 2)
        assert self.look(7999) == SHORTEST_INTERVAL

    def test_the_faster_it_fills_the_more_often(self) -> None:
        assert self.look(6000, 7000) == SHORTEST_INTERVAL, "a gigabyte a second"
        assert self.look(7100, 7200) == pytest.approx(800 / 100 / 2)
        assert self.look(7200, 7100) == INTERVAL, "it empties"

    def test_while_it_is_too_full_it_is_as_often_as_can_be(self) -> None:
        assert self.look(8100) == SHORTEST_INTERVAL

    def test_free_space_and_inodes_count_as_well(self) -> None:
        free = policy("free", "image", pressure={"free_below": "1GB", "free_until": "2GB"})
        host = Host(free, of=10_000 * MEGABYTE, used=8900 * MEGABYTE)
        host.look(0)
        assert host.watch.interval == pytest.approx(1.0)
        inodes = policy("inodes", "image", pressure={"inodes_high": "90%", "inodes_low": "80%"})
        host = Host(inodes)
        host.look(0)
        assert host.watch.interval == INTERVAL


def test_without_such_a_policy_nothing_is_watched() -> None:
    host = Host(policy("old", "image", when={"unused_for": "1d"}), used=99)
    host.watch.start()
    host.watch.stop()
    assert not host.watch._thread.is_alive()
    assert host.looked_for == 0
