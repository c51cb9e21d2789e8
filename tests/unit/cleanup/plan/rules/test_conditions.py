"""The `select` and the conditions of policies."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.unit.cleanup.builders import DAY, HOUR, NOW, container, image, policy, running, untagged
from tests.unit.settings import checked
from watchd.cleanup.plan.reasons import Reason
from watchd.cleanup.plan.rules.conditions import STOPPED, check_conditions, clocks
from watchd.cleanup.plan.rules.select import selects
from watchd.config import Clock, ContainerPolicy, ImagePolicy
from watchd.model import Container, Image, Observation
from watchd.model.names.patterns import Name, included_labels, includes

LABELS = {"com.example.team": "core", "tier": "", "version": "1.2=3"}


@pytest.mark.parametrize(
    ("pattern", "text", "holds"),
    [
        ("redis*", "redis:7", True),
        ("redis*", "my-redis", False),
        ("*redis*", "r.example/redis:7", True),
        ("Redis*", "redis:7", False),
        ("app:?", "app:1", True),
        ("app:[12]", "app:3", False),
        ("", "app", False),
    ],
)
def test_globs_match_whole_texts_case_and_all(pattern: str, text: str, *, holds: bool) -> None:
    assert includes([pattern], Name((text,))) is holds
    assert includes(["nothing", pattern], Name(("else", text))) is holds
    assert not includes([], Name((text,)))


@pytest.mark.parametrize(
    ("pattern", "holds"),
    [
        ("tier", True),
        ("tier=", True),
        ("com.example.*", True),
        ("com.example.team=core", True),
        ("com.example.*=c*", True),
        ("com.example.team=other", False),
        ("com.example.team=", False),
        ("version=1.2=3", True),
        ("*", True),
        ("missing", False),
        ("*=core=x", False),
    ],
)
def test_a_label_is_matched_by_its_key_or_by_key_and_value(pattern: str, *, holds: bool) -> None:
    assert bool(included_labels([pattern], LABELS)) is holds
    assert not included_labels([pattern], {})


def containers(when: Mapping[str, str] | None = None, **select: Any) -> ContainerPolicy:
    clock = when or {"finished_for": "1h"}
    return checked(ContainerPolicy, policy("p", "container", when=clock, select=select))


def images(when: Mapping[str, str] | None = None, **select: Any) -> ImagePolicy:
    return checked(ImagePolicy, policy("p", "image", when=when or {"unused_for": "1h"}, select=select))


@pytest.mark.parametrize(
    ("select", "selected"),
    [
        ({}, True),
        ({"status": ["exited", "dead"]}, True),
        ({"status": ["dead"]}, False),
        ({"name": ["job-*"]}, True),
        ({"name": ["web-*"]}, False),
        ({"labels": {"any": ["tier", "missing"]}}, True),
        ({"labels": {"any": ["missing"]}}, False),
        ({"labels": {"all": ["tier", "missing"]}}, False),
        ({"labels": {"all": ["tier", "com.*"]}}, True),
        ({"labels": {"none": ["missing"]}}, True),
        ({"labels": {"none": ["missing", "tier"]}}, False),
        ({"status": ["exited"], "name": ["job-*"], "labels": {"any": ["tier"]}}, True),
        ({"status": ["exited"], "name": ["job-*"], "labels": {"any": ["missing"]}}, False),
    ],
)
def test_all_of_a_select_must_hold(select: dict[str, Any], *, selected: bool) -> None:
    assert selects(containers(**select), container("job-1", labels=LABELS)) is selected


@pytest.mark.parametrize(
    ("classes", "select", "selected"),
    [
        ({"tagged"}, {}, True),
        ({"untagged", "dangling"}, {"class": ["dangling"]}, True),
        ({"untagged", "digest_only"}, {"class": ["dangling"]}, False),
        ({"untagged", "digest_only"}, {"class": ["dangling", "digest_only"]}, True),
        ({"tagged"}, {"class": ["tagged"], "labels": {"none": ["tier"]}}, False),
    ],
)
def test_an_image_is_selected_by_any_of_its_classes(classes: Any, select: dict[str, Any], *, selected: bool) -> None:
    assert selects(images(**select), image("app", labels=LABELS), frozenset(classes)) is selected


@pytest.mark.parametrize(
    ("subject", "finished", "never_started"),
    [
        (container("c", finished_at=NOW - HOUR), HOUR, STOPPED),
        (container("c", status="dead", finished_at=NOW - HOUR), HOUR, STOPPED),
        (container("c", finished_at=NOW + HOUR), 0.0, STOPPED),
        (container("c", finished_at=None), None, STOPPED),
        (container("c", status="created", finished_at=None, created_at=NOW - HOUR), STOPPED, HOUR),
        (container("c", status="created", finished_at=None, created_at=None), STOPPED, None),
        (container("c", status="created", finished_at=NOW - DAY), STOPPED, STOPPED),
        (container("c", status="restarting", finished_at=NOW - HOUR), STOPPED, STOPPED),
        (container("c", status="removing", finished_at=NOW - HOUR), STOPPED, STOPPED),
        (running("c"), STOPPED, STOPPED),
        (container("c", inspected=False), None, None),
    ],
)
def test_a_containers_clocks(subject: Container, finished: float | None, never_started: float | None) -> None:
    assert clocks(subject, None, NOW) == {"finished_for": finished, "never_started_for": never_started}


@pytest.mark.parametrize(
    ("subject", "seen", "unused", "arrived", "dangling"),
    [
        (image("a"), None, None, None, STOPPED),
        (untagged("a"), None, None, None, None),
        (image("a"), Observation(NOW - DAY, NOW - HOUR), HOUR, HOUR, STOPPED),
        (image("a"), Observation(NOW - DAY, NOW - DAY, last_used=NOW - HOUR), HOUR, DAY, STOPPED),
        (image("a"), Observation(NOW - DAY, NOW - HOUR, last_used=NOW - DAY), HOUR, HOUR, STOPPED),
        (untagged("a"), Observation(NOW - DAY, NOW - DAY, dangling_since=NOW - HOUR), DAY, DAY, HOUR),
        (untagged("a"), Observation(NOW - DAY, NOW - DAY), DAY, DAY, None),
        (image("a"), Observation(NOW - DAY, NOW - DAY, dangling_since=NOW - HOUR), DAY, DAY, STOPPED),
        (image("a"), Observation(NOW + HOUR, NOW + HOUR), 0.0, 0.0, STOPPED),
    ],
)
def test_an_images_clocks(
    subject: Image, seen: Observation | None, unused: float | None, arrived: float | None, dangling: float | None
) -> None:
    assert clocks(subject, seen, NOW) == {
        "unused_for": unused,
        "arrived_for": arrived,
        "dangling_for": dangling,
        "built_for": None,
    }


def test_an_image_that_does_not_say_when_it_was_built_has_no_such_clock() -> None:
    assert clocks(image("a", created_at=NOW - DAY), None, NOW)["built_for"] == DAY
    assert clocks(image("a", created_at=None), None, NOW)["built_for"] is None


@pytest.mark.parametrize(
    ("readings", "holds", "reason"),
    [
        ({"unused_for": HOUR, "arrived_for": DAY}, True, Reason.UNUSED_TOO_LONG),
        ({"unused_for": HOUR - 0.001, "arrived_for": DAY}, False, Reason.CONDITION_NOT_MET),
        ({"unused_for": HOUR, "arrived_for": DAY - 0.001}, False, Reason.CONDITION_NOT_MET),
        ({"unused_for": None, "arrived_for": DAY}, False, Reason.UNKNOWN_CLOCK),
        ({"unused_for": None, "arrived_for": 0.0}, False, Reason.CONDITION_NOT_MET),
        ({"unused_for": STOPPED, "arrived_for": None}, False, Reason.CONDITION_NOT_MET),
    ],
)
def test_every_condition_must_hold_and_what_is_unknown_does_not(
    readings: dict[Clock, float | None], *, holds: bool, reason: Reason
) -> None:
    unused_and_old = images(when={"unused_for": "1h", "arrived_for": "1d"})
    result = check_conditions(unused_and_old, image("app"), readings)
    assert (result.holds, result.reason) == (holds, reason)
    assert {clock: facts["needs"] for clock, facts in result.facts.items()} == {"unused_for": HOUR, "arrived_for": DAY}


def test_the_facts_have_what_each_clock_shows_and_nothing_where_it_shows_nothing() -> None:
    policy_ = images(when={"unused_for": "1s", "arrived_for": "1s", "dangling_for": "1s"})
    readings: dict[Clock, float | None] = {"unused_for": 12.34567, "arrived_for": None, "dangling_for": STOPPED}
    facts = check_conditions(policy_, image("app"), readings).facts
    assert [facts[clock]["elapsed"] for clock in policy_.when] == [12.346, None, None]


def test_a_clock_that_does_not_run_is_less_than_no_time_at_all() -> None:
    at_once = containers(when={"finished_for": "0s"})
    assert not check_conditions(at_once, container("job"), {"finished_for": STOPPED}).holds
    assert check_conditions(at_once, container("job"), {"finished_for": 0.0}).holds
