"""Replays: removals with their times, needs, and the bytes that objects take."""

import pytest

from tests.unit.cleanup.builders import (
    DAY,
    HOUR,
    cleanup,
    container,
    image,
    image_id,
    network,
    policy,
    untagged,
    volume,
)
from tests.unit.cleanup.past.lives import BEGIN, layered, life, past, regrets, removals, replayed, run
from watchd.model import Image
from watchd.model.history.timeline import DiskMark

UNUSED = policy("unused", "image", when={"unused_for": "3d"}, schedule="1h")
EXITED = policy("exited", "container", when={"finished_for": "1d"}, schedule="1h")
VOLUMES = policy("volumes", "volume", when={"unused_for": "2d"}, select={"name": ["*"], "named": True}, schedule="1h")
NETWORKS = policy("networks", "network", when={"unused_for": "2d"}, schedule="1h")
THIRTY_DAYS = [(0.0, 30 * DAY)]


def test_an_unused_image_goes_at_the_first_run_after_its_time_and_is_fetched_again_when_it_is_run() -> None:
    record = past(
        life(layered("app", 100, 20), 0.5 * HOUR),
        run("app", 5 * DAY + 60, 5 * DAY + 120, left=5 * DAY + 120),
        watched=THIRTY_DAYS,
    )
    (judged,) = replayed(record, cleanup(UNUSED)).policies
    assert removals(judged) == [("app:1", 3 * DAY + HOUR), ("app:1", 8 * DAY + HOUR)]
    assert regrets(judged) == [("app:1", 5 * DAY + 60, 120)]
    assert judged.undecided == 0


def test_images_that_came_after_the_last_look_at_layers_have_what_they_do_not_share_on_containerds_store() -> None:
    def listed(name: str, layers: tuple[str, ...], size: int) -> Image:
        return image(name, layers=layers, size=size, digests=(f"{name}@{image_id(name)}",))

    record = past(
        life(listed("base", ("a",), 100), 0.5 * HOUR),
        life(listed("app", ("a", "b"), 130), 0.5 * HOUR),
        run("app", 5 * DAY, 5 * DAY + 60, left=5 * DAY + 60),
        watched=THIRTY_DAYS,
    )
    assert record.looks.engine.store == "containerd"
    outcome = replayed(record, cleanup(UNUSED))
    assert outcome.without.kinds["image"].peak == 130
    assert ("app:1", 5 * DAY, 30) in regrets(outcome.policies[0])


def test_what_was_removed_so_late_that_it_cannot_be_decided_is_undecided() -> None:
    record = past(life(layered("app", 100), 0.5 * HOUR), watched=[(0.0, 4 * DAY)])
    outcome = replayed(record, cleanup(UNUSED))
    assert outcome.window == pytest.approx(4 * DAY / 3)
    assert (len(outcome.policies[0].removed), outcome.policies[0].undecided) == (1, 1)


def test_a_need_after_the_window_brings_back_but_is_no_regret() -> None:
    record = past(
        life(layered("app", 100), 0.5 * HOUR),
        run("app", 10 * DAY, 10 * DAY + 60, left=11 * DAY),
        watched=THIRTY_DAYS,
    )
    (judged,) = replayed(record, cleanup(UNUSED, regret_window="5d")).policies
    assert [name for name, _ in removals(judged)] == ["app:1", "app:1"]
    assert (regrets(judged), judged.undecided) == ([], 0)


def test_only_missing_layers_are_fetched_and_freed() -> None:
    base = layered("base", 100)
    record = past(
        life(base, 0.5 * HOUR),
        life(layered("app", 7, on=base), 0.5 * HOUR),
        run("base", HOUR, None, name="service"),
        run("app", 5 * DAY, 5 * DAY + 60, left=5 * DAY + 60),
        watched=THIRTY_DAYS,
    )
    (judged,) = replayed(record, cleanup(UNUSED)).policies
    assert {each.bytes for each in judged.removed} == {7}
    assert regrets(judged) == [("app:1", 5 * DAY, 7)]


def test_an_image_that_is_built_on_an_absent_one_needs_it_but_a_newer_version_does_not() -> None:
    base = layered("base", 100)
    newer = layered("newer", 1, on=base, tags=("base:1",))
    built = [life(base, 0.5 * HOUR), life(layered("app", 7, on=base), 5 * DAY, how="build")]
    pulled = [life(base, 0.5 * HOUR), life(newer, 5 * DAY, how="pull")]
    settings = cleanup(UNUSED)
    assert regrets(replayed(past(*built, watched=THIRTY_DAYS), settings).policies[0]) == [("base:1", 5 * DAY, 100)]
    assert regrets(replayed(past(*pulled, watched=THIRTY_DAYS), settings).policies[0]) == []


def test_a_container_that_is_started_again_is_needed_again() -> None:
    app = layered("app", 100)
    again = life(container("job"), HOUR, uses=[(HOUR, 2 * HOUR), (3 * DAY, 3 * DAY + HOUR)], sizes=[(2 * HOUR, 50)])
    (judged,) = replayed(past(life(app, 0), again, watched=THIRTY_DAYS), cleanup(EXITED)).policies
    assert removals(judged) == [("job", DAY + 2 * HOUR), ("job", 4 * DAY + HOUR)]
    assert regrets(judged) == [("job", 3 * DAY, 50)]


def test_a_network_and_a_volume_are_needed_by_their_names() -> None:
    data, net = volume("data"), network("net")
    record = past(
        life(data, HOUR, sizes=[(HOUR, 10)]),
        life(net, HOUR),
        run("app", 4 * DAY, 4 * DAY + 60, left=5 * DAY, fields={"volumes": ("data",), "networks": ("net",)}),
        watched=THIRTY_DAYS,
    )
    volumes, networks = replayed(record, cleanup(VOLUMES, NETWORKS)).policies
    assert regrets(volumes) == [("data", 4 * DAY, 10)]
    assert regrets(networks) == [("net", 4 * DAY, 0)]


def test_what_watchd_removed_counts_as_still_here_until_it_returned() -> None:
    app = layered("app", 100)
    record = past(
        life(app, 0, left=4 * DAY, by="unused"),
        life(app, 10 * DAY, left=20 * DAY, by="unused"),
        watched=THIRTY_DAYS,
    )
    outcome = replayed(record, cleanup(policy("unused", "image", when={"unused_for": "8d"}, schedule="1h")))
    assert removals(outcome.policies[0]) == [("app:1", 8 * DAY), ("app:1", 18 * DAY)]
    assert outcome.without.total.mean == pytest.approx(100)
    assert outcome.with_policies.total.mean == pytest.approx(100 * 16 / 30)


def test_a_pause_within_a_use_is_no_use() -> None:
    record = past(
        life(layered("app", 100), 0),
        life(container("job"), HOUR, uses=[(HOUR, 11 * HOUR, 2, 4 * HOUR)]),
        watched=[(0.0, 5 * DAY)],
    )
    settings = cleanup(policy("exited", "container", when={"finished_for": "1h"}, schedule="30m"))
    (judged,) = replayed(record, settings).policies
    assert removals(judged) == [("job", 5 * HOUR), ("job", 12 * HOUR)]
    assert regrets(judged) == [("job", 8 * HOUR, 0)]


def test_time_that_nobody_watched_has_no_runs_and_counts_for_no_clock() -> None:
    record = past(life(layered("app", 100), 0), watched=[(0.0, DAY), (4 * DAY, 10 * DAY)])
    outcome = replayed(record, cleanup(UNUSED))
    assert removals(outcome.policies[0]) == [("app:1", 6 * DAY)]
    assert outcome.unwatched == 3 * DAY
    assert outcome.with_policies.total.mean == pytest.approx(100 * 3 / 7)


def test_an_interval_goes_on_over_time_that_nobody_watched() -> None:
    """A laptop that is on for eight hours a day, and a policy that runs once a day."""
    record = past(life(layered("app", 100), 0), watched=[(day * DAY, day * DAY + 8 * HOUR) for day in range(10)])
    daily = {**policy("unused", "image", when={"unused_for": "7h"}), "schedule": "24h"}
    (judged,) = replayed(record, cleanup(daily)).policies
    assert removals(judged) == [("app:1", DAY + 60)], "made up for a minute after the second start"


def test_policies_that_are_not_judged_do_as_configured() -> None:
    app, old = layered("app", 100), untagged("old", size=5)
    record = past(life(app, 0), life(old, 0), watched=THIRTY_DAYS)
    dangling = policy("dangling", "image", when={"dangling_for": "1d"}, select={"class": ["dangling"]}, mode="report")
    outcome = replayed(record, cleanup(UNUSED, dangling), judged=["unused"])
    (judged,) = outcome.policies
    assert {name for name, _ in removals(judged)} == {"app:1", "<none>"}
    everything = replayed(record, cleanup({**UNUSED, "mode": "report"}, dangling))
    assert [(each.name, each.mode, len(each.removed)) for each in everything.policies] == [
        ("unused", "report", 1),
        ("dangling", "report", 1),
    ]


def test_the_budget_of_a_run_holds() -> None:
    images = [layered(name, 10) for name in ("a", "b", "c")]
    record = past(*(life(each, 0) for each in images), watched=THIRTY_DAYS)
    (judged,) = replayed(record, cleanup(UNUSED, max_items=1)).policies
    assert removals(judged) == [("a:1", 3 * DAY), ("b:1", 3 * DAY + HOUR), ("c:1", 3 * DAY + 2 * HOUR)]


def test_what_is_due_in_quiet_hours_goes_when_they_end() -> None:
    record = past(life(layered("app", 10), 0), watched=THIRTY_DAYS)
    daily = {**UNUSED, "schedule": "0 4 * * *"}
    (judged,) = replayed(record, cleanup(daily, quiet_hours=["03:00-12:30"])).policies
    (removed,) = judged.removed
    assert removed.time % DAY == 12.5 * HOUR


def test_marks_are_watched_at_every_event() -> None:
    small, large = layered("small", 10), layered("large", 50)
    mark = DiskMark(BEGIN, "/data", ("image",), used=40, available=60)
    record = past(life(small, 0), life(large, 2 * DAY), watched=THIRTY_DAYS, disks=[mark])
    full = policy("full", "image", pressure={"high": "80%", "low": "50%", "order": "oldest"}, schedule="1h")
    (judged,) = replayed(record, cleanup(full, grace="0s")).policies
    assert removals(judged)[0] == ("small:1", 2 * DAY)
