"""Removals under disk pressure, their order, and their end."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.cleanup.builders import (
    DAY,
    EXITED,
    HOUR,
    NOW,
    cleanup,
    container,
    disk,
    disks,
    image,
    item_of,
    plan,
    policy,
    record,
    seen_long_ago,
    steps,
    untagged,
    view,
    why,
)
from tests.unit.settings import checked
from watchd.cleanup import report
from watchd.cleanup.plan.explain import explain
from watchd.cleanup.plan.plan import Item, Plan
from watchd.cleanup.plan.rules.watermarks import active_watermarks, disks_as_json
from watchd.cleanup.report.verdict import what_next
from watchd.cleanup.run.disk_room import DiskRoom
from watchd.config.schema.pressure import Pressure
from watchd.model import Disk, EngineView, Image, Kind, Observation

MARKS = {"high": "80%", "low": "50%"}


def lru(**further: Any) -> dict[str, Any]:
    return policy("lru", "image", **{"pressure": MARKS, **further})


def used_ago(*images: Image) -> dict[Any, Observation]:
    """Return what is known when the first image was used last, each one further before."""
    long_ago = NOW - 30 * DAY
    return {
        each.key: Observation(long_ago, long_ago, last_used=NOW - number * HOUR)
        for number, each in enumerate(images, start=1)
    }


def host(used: int, *images: Any, of: int = 100, **further: Any) -> EngineView:
    return view(*images, disks=disks(disk(used, of, **further)))


NEW, MID, OLD = (image(name, size=20) for name in ("new", "mid", "old"))


class TestMarks:
    @pytest.mark.parametrize(("used", "gone"), [(49, []), (50, []), (79, []), (80, []), (81, ["old:1", "mid:1"])])
    def test_below_low_between_above_high(self, used: int, gone: list[str]) -> None:
        """Nothing, nothing, the least recently used until low."""
        made = plan(host(used, NEW, MID, OLD), cleanup(lru()), known=used_ago(NEW, MID, OLD))
        assert [item.name for item in made.in_force] == gone
        assert {item.reason for item in made.in_force} <= {"pressure"}
        assert {item.reason for item in made.items if item.action == "keep"} == {"below_watermark"}

    def test_once_it_acts_it_goes_on_until_the_low_mark(self) -> None:
        look = host(70, NEW, MID, OLD)
        assert steps(plan(look, cleanup(lru()), known=used_ago(NEW, MID, OLD))) == []
        made = plan(look, cleanup(lru()), known=used_ago(NEW, MID, OLD), acting={"lru"})
        assert steps(made) == ["remove image old:1"]

    def test_the_facts_tell_how_full_it_was_and_both_marks(self) -> None:
        made = plan(host(81, OLD), cleanup(lru()), known=used_ago(OLD))
        facts = item_of(made, OLD).facts["pressure"]
        assert facts == {"disk": "/var/lib/docker", "used": "81.0%", "high": "80.0%", "low": "50.0%"}

    def test_free_room_and_inodes_are_marks_too(self) -> None:
        free = checked(Pressure, {"free_below": "20B", "free_until": "40B"})
        assert [mark.name for mark in active_watermarks(free, disk(81))] == ["free_below"]
        assert not active_watermarks(free, disk(80))
        assert active_watermarks(free, disk(61), acting=True)
        assert not active_watermarks(free, disk(60), acting=True)
        inodes = checked(Pressure, {"inodes_high": "90%", "inodes_low": "80%"})
        assert active_watermarks(inodes, disk(1, inodes=100, inodes_used=91))
        assert not active_watermarks(inodes, disk(99, inodes=100, inodes_used=90))
        assert not active_watermarks(inodes, disk(99, inodes=0, inodes_used=0)), "btrfs makes them as it needs them"

    def test_where_inodes_run_out_as_many_go_as_their_share_of_the_bytes_suggests(self) -> None:
        wants = lru(pressure={"inodes_high": "90%", "inodes_low": "70%"})
        look = host(60, NEW, MID, OLD, inodes=100, inodes_used=91)
        assert steps(plan(look, cleanup(wants), known=used_ago(NEW, MID, OLD))) == ["remove image old:1"]

    def test_a_disk_that_cannot_be_measured_has_no_pressure(self) -> None:
        made = plan(view(NEW, OLD), cleanup(lru()))
        assert steps(made) == []
        assert why(made, OLD) == "keep below_watermark"

    def test_where_its_disk_is_not_known_that_is_the_reason(self) -> None:
        look = view(OLD, unmeasured={"image": "it is elsewhere: mount it"})
        made = plan(look, cleanup(lru()))
        assert why(made, OLD) == "keep disk_unknown"
        told = explain(OLD, made, look, cleanup(lru()), used_ago(OLD))
        assert what_next(told) == (
            "it goes under disk pressure only, and its disk is not known: it is elsewhere: mount it"
        )

    def test_a_total_needs_no_disk(self) -> None:
        look = view(OLD, unmeasured={"image": "it is elsewhere"})
        made = plan(look, cleanup(lru(pressure={"total_above": "30B", "total_until": "10B"})))
        assert why(made, OLD) == "keep below_watermark"
        assert made.without_pressure == {}

    def test_what_goes_by_time_does_not_end_it_before_its_low_mark(self) -> None:
        job = container("job", size_rw=15)
        made = plan(host(81, job, NEW, MID, OLD), cleanup(lru(), EXITED), known=used_ago(NEW, MID, OLD) | seen(job))
        assert steps(made) == ["remove container job", "remove image old:1"]

    def test_policies_that_cannot_act_are_told_with_the_reason(self) -> None:
        volumes = policy("volumes", "volume", pressure=MARKS)
        old = policy("old", "image", when={"unused_for": "1d"})
        look = view(OLD, disks={"volume": disk(10)}, unmeasured={"image": "it is elsewhere"})
        made = plan(look, cleanup(lru(), volumes, old))
        assert made.without_pressure == {"lru": "it is elsewhere"}
        assert made.as_json()["without_pressure"] == {"lru": "it is elsewhere"}
        assert "No disk pressure for lru: it is elsewhere" in list(report.plan(made, dry_run=True))
        assert "no disk pressure for lru: it is elsewhere" in report.nothing_removed(made)


class TestOrder:
    def test_of_the_same_age_what_watchd_saw_first_goes_first(self) -> None:
        known = used_ago(NEW, MID, OLD)
        known = {
            key: Observation(NOW - number * DAY, NOW - 9 * DAY, last_used=NOW - 5 * DAY)
            for number, key in enumerate(known, start=6)
        }
        made = plan(host(81, NEW, MID, OLD), cleanup(lru()), known=known)
        assert steps(made) == ["remove image old:1", "remove image mid:1"]

    def test_the_oldest_and_the_largest_can_go_first(self) -> None:
        big = image("big", size=40)
        known = used_ago(NEW, MID, OLD, big) | {("image", MID.id): Observation(NOW - 90 * DAY, NOW - 90 * DAY)}
        look = host(81, NEW, MID, OLD, big)
        oldest = cleanup(lru(pressure={**MARKS, "order": "oldest"}))
        assert steps(plan(look, oldest, known=known))[0] == "remove image mid:1"
        largest = cleanup(lru(pressure={**MARKS, "order": "largest"}))
        assert steps(plan(look, largest, known=known)) == ["remove image big:1"]

    def test_an_image_takes_its_turn_after_those_built_on_it(self) -> None:
        base, child = image("base", size=20), image("child", parent="base", size=40)
        made = plan(host(81, base, child, MID), cleanup(lru()), known=used_ago(child, MID, base))
        assert steps(made) == ["remove image mid:1", "remove image child:1"]

    def test_what_time_alone_removes_counts_first(self) -> None:
        job = container("job", size_rw=40)
        made = plan(host(81, job, NEW, MID, OLD), cleanup(lru(), EXITED), known=used_ago(NEW, MID, OLD) | seen(job))
        assert steps(made) == ["remove container job"]

    def test_what_pressure_removes_may_leave_something_for_time_to_remove(self) -> None:
        jobs = policy("jobs", "container", pressure=MARKS)
        job = container("job", of="app", size_rw=40)
        app = untagged("app", size=7)
        dangling = policy("dangling", "image", when={"dangling_for": "0s"})
        made = plan(host(81, job, app), cleanup(dangling, jobs))
        assert steps(made) == ["remove container job", "remove image <none>"]

    def test_protections_hold_under_pressure_too(self) -> None:
        look = host(99, OLD, MID, container("web", of="old", restart_policy="always"))
        settings = cleanup(lru(), protect={"images": ["mid"]})
        assert steps(plan(look, settings)) == []
        assert why(plan(look, settings), MID) == "keep protected"

    def test_conditions_hold_under_pressure_too(self) -> None:
        wants = lru(when={"unused_for": "150m"})
        made = plan(host(99, NEW, MID, OLD), cleanup(wants), known=used_ago(NEW, MID, OLD))
        assert steps(made) == ["remove image old:1"]
        assert why(made, MID) == "keep condition_not_met"

    def test_a_ceiling_ends_it(self) -> None:
        made = plan(host(81, NEW, MID, OLD), cleanup(lru(), max_items=1), known=used_ago(NEW, MID, OLD))
        assert steps(made) == ["remove image old:1"]
        assert why(made, MID) == "keep budget_spent"

    def test_in_report_mode_it_tells_what_would_go_and_where_it_would_stop(self) -> None:
        made = plan(host(81, NEW, MID, OLD), cleanup(lru(mode="report")), known=used_ago(NEW, MID, OLD))
        assert made.in_force == ()
        assert [item.name for item in made.items if item.action == "remove"] == ["old:1", "mid:1"]
        assert why(made, NEW) == "keep below_watermark"

    def test_the_build_cache_gives_way_as_well(self) -> None:
        step = record("step", size=40)
        made = plan(host(81, step, OLD), cleanup(policy("cache", "build_cache", pressure=MARKS)))
        assert steps(made) == ["remove build_cache step"]


def seen(*subjects: Any) -> dict[Any, Observation]:
    return seen_long_ago(view(*subjects))


class TestQuietHours:
    def test_what_would_go_is_told_and_stays(self) -> None:
        made = plan(view(container("job")), cleanup(EXITED), quiet_until=NOW + HOUR)
        (item,) = made.items
        assert (item.action, item.reason, item.facts["quiet_until"]) == ("keep", "quiet_hours", "2027-01-15T09:00:00Z")


class TestDiskRoom:
    """The disk itself decides while a plan is carried out."""

    def item(self, made: Plan | None = None) -> Item:
        made = made or plan(host(81, OLD), cleanup(lru()), known=used_ago(OLD))
        return made.in_force[0]

    def room(self, *measured: Disk | None) -> DiskRoom:
        answers = list(measured)
        return DiskRoom(disks(disk(81)), cleanup(lru()), lambda _: answers.pop(0))

    def test_it_is_enough_at_the_low_mark(self) -> None:
        room = self.room(disk(81), disk(51), disk(50))
        assert [room.enough(self.item()) for _ in range(3)] == [
            "",
            "",
            "the disk is at its low mark: 50.0% of /var/lib/docker used",
        ]

    def test_three_steps_that_freed_nothing_end_their_kind_and_no_other(self) -> None:
        item, record_ = self.item(), replace(self.item(), kind="build_cache")
        room = self.room(*[disk(81)] * 6)
        for _ in range(3):
            room.begin_step([item])
            room.end_step([item])
        assert room.enough(item).startswith("removals of this kind freed nothing on /var/lib/docker: 19B are available")
        room = self.room(*[disk(81)] * 6, disk(80))
        for _ in range(3):
            room.begin_step([item])
            room.end_step([item])
        assert room.enough(record_) == "", "it goes on with what other kinds hold"

    def test_steps_in_vain_are_counted_over_runs_and_each_later_run_tries_one(self) -> None:
        item, in_vain = self.item(), Counter[Kind]()

        def has_ended_after(*measured: int) -> bool:
            """Return whether images are ended by a run with one step for every two measurements."""
            answers = [disk(used) for used in measured]
            room = DiskRoom(disks(disk(81)), cleanup(lru()), lambda _: answers.pop(0), in_vain=in_vain)
            while answers:
                room.end_step(room.begin_step([item]))
            return room.in_vain == {"image"}

        assert [has_ended_after(81, 81) for _ in range(4)] == [False, False, True, True]
        assert not has_ended_after(81, 71, 71, 71), "it freed something meanwhile"

    def test_a_twentieth_of_what_was_expected_counts_as_nothing(self) -> None:
        item = replace(self.item(), bytes=20)
        room = self.room(disk(81), disk(80), disk(80), disk(79), disk(79), disk(78))
        for _ in range(3):
            room.begin_step([item])
            room.end_step([item])
        assert room.in_vain, "the engine's notes about an image go with it, and its layers do not"

    def test_room_that_was_made_in_between_starts_the_count_anew(self) -> None:
        item = self.item()
        room = self.room(*[disk(81)] * 5, disk(71), *[disk(71)] * 5)
        for _ in range(5):
            room.begin_step([item])
            room.end_step([item])
        assert room.enough(item) == ""

    def test_the_first_step_is_one_object_with_what_shares_its_space(self) -> None:
        nothing, some = replace(self.item(), bytes=0), replace(self.item(), bytes=20)
        assert self.room(disk(81)).begin_step([nothing, some, some]) == [nothing, some]
        assert len(self.room(disk(81)).begin_step([nothing] * 20)) == 10

    def test_what_is_too_small_to_be_measured_goes_with_more_and_tells_nothing(self) -> None:
        context, layer = replace(self.item(), bytes=10_240), replace(self.item(), bytes=21_000_000)
        full = disk(810_000_000, 1_000_000_000)
        assert self.room(full).begin_step([context, context, layer, layer]) == [context, context, layer]
        room = self.room(*[full] * 8)
        for _ in range(3):
            room.end_step(room.begin_step([context] * 3))
        assert not room.in_vain, "other programs may have written as much"
        assert room.enough(layer) == ""

    def test_what_may_be_larger_than_that_does_tell(self) -> None:
        unsure = replace(self.item(), bytes=10_240, at_least=True)
        room = self.room(*[disk(810_000_000, 1_000_000_000)] * 6)
        for _ in range(3):
            room.end_step(room.begin_step([unsure]))
        assert room.in_vain

    def steps(self, used: int, freed: Callable[[Sequence[Item]], int], items: Sequence[Item]) -> list[int]:
        """Return the sizes of the steps until the low mark of 500 of 1,000, where removals free so much."""
        now, sizes = [used], list[int]()
        room = DiskRoom(disks(disk(used, 1000)), cleanup(lru()), lambda _: disk(now[0], 1000))
        while items and not room.enough(items[0]):
            step = room.begin_step(items)
            now[0] -= freed(step)
            room.end_step(step)
            items = items[len(step) :]
            sizes.append(len(step))
        return sizes

    def test_steps_grow_while_they_free_what_was_estimated(self) -> None:
        items = [replace(self.item(), bytes=1)] * 400
        assert self.steps(810, len, items) == [1, 2, 4, 8, 16, 32, 64, 64, 64, 55], "no further than the low mark"
        assert self.steps(510, len, items) == [1, 2, 4, 3]

    def test_they_grow_to_ten_where_that_is_far_from_what_is_freed(self) -> None:
        items = [replace(self.item(), bytes=1)] * 400
        assert self.steps(810, lambda step: 3 * len(step), items) == [1, 2, 4, 8, *[10] * 9]
        assert self.steps(540, lambda step: (len(step) + 1) // 3, items) == [1, 1, 1], "nothing came of three"

    def test_one_that_frees_nothing_makes_the_next_one_careful_again(self) -> None:
        items = [replace(self.item(), bytes=10)] * 100
        freed = iter([10, 20, 40, 0, 10, 20, 40, 80, 90])
        assert self.steps(810, lambda _: next(freed), items) == [1, 2, 4, 8, 1, 2, 4, 8, 9]

    def test_each_kind_begins_with_one(self) -> None:
        item = replace(self.item(), bytes=10)
        items = [*[item] * 8, *[replace(item, kind="build_cache")] * 8]
        assert self.steps(900, lambda step: sum(each.bytes for each in step), items) == [1, 2, 4, 1] * 2

    def test_a_disk_that_cannot_be_measured_any_more_ends_it(self) -> None:
        assert self.room(None).enough(self.item()) == "/var/lib/docker cannot be measured any more"

    def test_other_items_are_none_of_its_business(self) -> None:
        made = plan(host(81, container("job")), cleanup(EXITED))
        assert self.room().enough(self.item(made)) == ""


def test_marks_are_told_in_bytes_used() -> None:
    inodes = {"inodes_high": "80%", "inodes_low": "50%"}
    policies = cleanup(
        lru(),
        policy("room", "volume", pressure={"free_below": "100B", "free_until": "5kB"}),
        policy("inodes", "image", pressure=inodes),
        policy("time", "container", when={"finished_for": "1d"}),
    )
    at = Disk("/data", used=700, available=300)

    assert disks_as_json({"image": at, "volume": at}, policies) == [
        {
            "path": "/data",
            "size_bytes": 1000,
            "used_bytes": 700,
            "marks": [{"policy": "lru", "high": 800, "low": 500}, {"policy": "room", "high": 900, "low": 0}],
        }
    ]
    assert disks_as_json({}, policies) == [], "where the engine keeps its data is not known"
