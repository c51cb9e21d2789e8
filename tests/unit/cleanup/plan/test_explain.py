"""The search and the answer of `explain`."""

import re
from dataclasses import replace
from typing import Any

import pytest

from tests import ROOT
from tests.unit.cleanup.builders import (
    DAY,
    EXITED,
    HOUR,
    NOW,
    UNUSED,
    cleanup,
    container,
    disk,
    disks,
    image,
    network,
    plan,
    policy,
    running,
    seen_long_ago,
    view,
    volume,
)
from watchd.cleanup import report
from watchd.cleanup.observe.observer import Watched
from watchd.cleanup.plan.explain import Explanation, NoSuchObject, explain, find, find_one
from watchd.cleanup.plan.reasons import Reason
from watchd.cleanup.report.explanations import explanation_as_json
from watchd.cleanup.report.verdict import _STAYS, _WENT, verdict, what_next
from watchd.config import Cleanup
from watchd.model import EngineView, Observation, Observations, Subject
from watchd.units import format_local_time, format_time


def explained(subject: Subject, look: EngineView, settings: Cleanup, known: Observations | None = None) -> Explanation:
    known = seen_long_ago(look) if known is None else known
    return explain(subject, plan(look, settings, known=known), look, settings, known)


def lines_of(told: Explanation) -> str:
    return "\n".join(report.explanation(told))


def wants(duration: str, **further: Any) -> dict[str, Any]:
    return policy("old", "container", when={"finished_for": duration}, **further)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (cleanup(EXITED), "it goes at the next run"),
        (cleanup({**EXITED, "mode": "report"}), "it would go if its policy enforced"),
        (cleanup(wants("1d3h12m")), "it goes in 3h 12m, when finished_for reaches 1d3h12m"),
        (cleanup(wants("2d"), {**wants("25h"), "name": "sooner"}), "it goes in 1h, when finished_for reaches 1d1h"),
        (cleanup(wants("25h"), grace="40d"), "it goes in 10d, when first_seen_for reaches 40d"),
        (
            cleanup(wants("2d", mode="report")),
            "if its policy enforced, it would go in 1d, when finished_for reaches 2d",
        ),
        (cleanup(policy("new", "container", when={"never_started_for": "1h"})), None),
        (cleanup(wants("1h", select={"name": ["other"]})), None),
        (cleanup(UNUSED), None),
        (
            cleanup(EXITED, protect={"containers": ["job"]}),
            "it stays as long as a label or the configuration protects it",
        ),
    ],
)
def test_what_comes_next_is_told(settings: Cleanup, sentence: str | None) -> None:
    job = container("job")
    told = what_next(explained(job, view(job), settings))
    assert told == (sentence or "no policy would remove it, however long it stays as it is")


@pytest.mark.parametrize(
    ("when", "grace", "promise"),
    [
        ({"unused_for": "31d"}, "0s", "it goes when unused_for reaches 31d, but that clock stands still"),
        ({"unused_for": "31d"}, "60d", "it goes when unused_for reaches 31d, but that clock stands still"),
        ({"unused_for": "1d"}, "60d", "it goes when first_seen_for reaches 60d, but that clock stands still"),
        ({"built_for": "2d"}, "0s", "it goes in 1d, when built_for reaches 2d"),
        ({"built_for": "2d", "unused_for": "1d"}, "0s", "it goes in 1d, when built_for reaches 2d"),
        ({"built_for": "2d", "unused_for": "31d"}, "0s", "it goes when unused_for reaches 31d, but that clock stands"),
        (
            {"built_for": "9d"},
            "60d",
            "it goes when built_for reaches 9d and first_seen_for reaches 60d, but the latter stands still",
        ),
    ],
)
def test_a_time_is_only_told_of_clocks_that_run(when: dict[str, str], grace: str, promise: str) -> None:
    app = image("app", created_at=NOW - DAY)
    told = explained(app, view(app), cleanup(policy("old", "image", when=when), grace=grace))
    standing = what_next(replace(told, clocks_run=False))
    assert standing.startswith(promise)
    assert ("watchd run" in standing) == ("stands" in promise)
    assert what_next(told).startswith("it goes in ")


def test_of_two_policies_the_one_whose_clock_runs_is_told() -> None:
    app = image("app", created_at=NOW - DAY)
    slow, soon = policy("slow", "image", when={"built_for": "9d"}), policy("soon", "image", when={"unused_for": "31d"})
    told = explained(app, view(app), cleanup(slow, soon))
    assert what_next(told) == "it goes in 1d, when unused_for reaches 31d"
    assert what_next(replace(told, clocks_run=False)) == "it goes in 8d, when built_for reaches 9d"


@pytest.mark.parametrize(
    ("watched", "settings", "told"),
    [
        (Watched(clocks_run=False, since_last_look=60.0), cleanup(UNUSED), "unwatched for 1m: unused_for stood still"),
        (
            Watched(clocks_run=False, since_last_look=60.0, watched=20.0),
            cleanup(UNUSED),
            "unwatched for 40s: unused_for stood still",
        ),
        (
            Watched(clocks_run=False, since_last_look=60.0),
            cleanup(EXITED, grace="1h"),
            "unwatched for 1m: grace stood still",
        ),
        (Watched(clocks_run=False, since_last_look=60.0), cleanup(EXITED), None),
        (Watched(clocks_run=False), cleanup(UNUSED), None),
        (Watched(since_last_look=60.0, watched=60.0), cleanup(UNUSED), None),
    ],
)
def test_that_clocks_stood_still_is_told_where_it_matters(
    watched: Watched, settings: Cleanup, told: str | None
) -> None:
    notes = list(report.watched_note(watched, settings))
    assert len(notes) == (told is not None)
    for note in notes:
        assert told in note  # type: ignore[operator]
        assert len(f"Note: {note}") <= 100, "one short line"
        document, heading = re.findall(r'\((.*), "(.*)"\)$', note)[0]
        _, _, section = (ROOT / document).read_text().partition(f"\n### {heading}\n")
        assert "`count_unwatched = true`" in section.partition("\n#")[0]


def test_what_runs_is_never_said_to_go() -> None:
    web = running("web")
    settings = cleanup(
        policy("all", "container", when={}, keep={"within": "1s"}, select={"status": ["running"]}), EXITED
    )
    told = explained(web, view(web), settings)
    assert told.item.action == "keep"
    assert " goes " not in what_next(told)


def test_every_protection_and_policy_has_its_say_in_their_order() -> None:
    app = image("app")
    look = view(app, running("web"))
    told = explained(app, look, cleanup(UNUSED, EXITED, {**UNUSED, "name": "other", "select": {"tag": ["9"]}}))
    published = explanation_as_json(told)
    assert [check["reason"] for check in published["protections"]] == [
        "incomplete_view", "self", "protected", "in_use", "swarm", "compose_active", "tag_of_in_use", "has_children",
        "grace", "keep",
    ]  # fmt: skip
    assert [check["reason"] for check in published["protections"] if check["applies"]] == ["in_use"]
    assert [(each["name"], each["selects"], each["holds"]) for each in published["policies"]] == [
        ("unused", True, True),
        ("other", False, False),
    ]
    lines = lines_of(told)
    assert lines.startswith(f"image app:1 ({app.id[7:19]}) stays: a container uses it.\n  decision: keep, in_use\n")
    assert "  next: it stays as long as a container uses it\n" in lines
    assert "these do not apply: incomplete_view, self, protected, swarm, compose_active, tag_of_in_use" in lines
    assert "containers web (running)" in lines
    assert "does not select it" in lines


def test_an_unknown_clock_is_no_promise() -> None:
    odd = image("odd", created_at=None)
    told = explained(odd, view(odd), cleanup(policy("built", "image", when={"built_for": "1d"})))
    assert what_next(told) == "no policy would remove it, however long it stays as it is"
    assert "unknown_clock: built_for is unknown, needs 1d" in lines_of(told)


def test_a_clock_that_stands_still_is_not_called_unknown() -> None:
    app = image("app")
    told = explained(app, view(app), cleanup(policy("old", "image", when={"dangling_for": "1d"})))
    assert "condition_not_met: dangling_for stands still, needs 1d" in lines_of(told)


def test_what_holds_a_policy_back_is_told_beside_it() -> None:
    data = volume("data", labels={})
    told = explained(data, view(data), cleanup(policy("all", "volume", when={"unused_for": "1d"})))
    assert "would remove it, but for named_volume: unused_for" in lines_of(told)
    assert explanation_as_json(told)["policies"][0]["held_back_by"] == ["named_volume"]


def test_a_policy_that_removes_is_held_back_by_nothing() -> None:
    job = container("job")
    told = explained(job, view(job), cleanup(EXITED))
    assert "would remove it: finished_for" in lines_of(told)
    assert explanation_as_json(told)["policies"][0]["held_back_by"] == []


def test_a_container_that_runs_is_said_to() -> None:
    web = running("web")
    told = explained(web, view(web), cleanup(policy("all", "container", when={"finished_for": "1d"}, select={})))
    assert "container web (" in lines_of(told)
    assert ") stays: it is running.\n" in lines_of(told)
    assert "condition_not_met, since it is running" in lines_of(told)


def test_what_goes_first_is_named_where_it_would_protect() -> None:
    app = image("app")
    job, task = container("job"), container("task")
    child = image("child", parent="app", tags=())
    look = view(app, job, task, child)
    told = explained(app, look, cleanup(EXITED, UNUSED))
    lines = " ".join(lines_of(told).split())
    assert told.item.action == "remove"
    assert "in_use does not apply: job (exited) and 1 more use it, and go first" in lines
    assert f"has_children does not apply: {child.id[7:19]} is made of it, and goes first" in lines


def test_images_that_keep_another_have_short_ids() -> None:
    app = image("app")
    child = image("child", parent="app")
    lines = " ".join(lines_of(explained(app, view(app, child), cleanup())).split())
    assert f"has_children applies: children {child.id[7:19]}" in lines


@pytest.mark.parametrize(
    ("value", "settings", "note"),
    [
        ("2020-01-31", {}, "watchd.keep was until 2020-01-31"),
        ("false", {}, "watchd.keep is false"),
        ("true", {"honor_labels": False}, "watchd.keep is not heeded, since cleanup.honor_labels is false"),
    ],
)
def test_a_keep_label_that_keeps_nothing_is_told(value: str, settings: dict[str, Any], note: str) -> None:
    job = container("job", labels={"watchd.keep": value})
    told = explained(job, view(job), cleanup(EXITED, **settings))
    assert f"does not apply: {note}" in lines_of(told)


def test_quiet_hours_put_off_what_the_daemon_would_remove() -> None:
    job = container("job")
    look, settings = view(job), cleanup(EXITED)
    known = seen_long_ago(look)
    told = explain(job, plan(look, settings, known=known), look, settings, known, quiet_until=NOW + HOUR)
    end = format_local_time(NOW + HOUR)
    assert what_next(told) == (
        f"it goes at the next run by hand, or of the daemon after its quiet hours, which end at {end}"
    )


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (cleanup(EXITED), "goes at the next run: it has ended long enough ago"),
        (
            cleanup({**EXITED, "mode": "report"}),
            "stays: its policy only reports; else it would be removed now, since it has ended long enough ago",
        ),
        (cleanup(EXITED, protect={"containers": ["job"]}), "stays: a label or the configuration protects it"),
        (cleanup(EXITED, grace="40d"), "stays: it is new"),
        (cleanup(), "stays: no policy selects it"),
    ],
)
def test_the_verdict_is_one_sentence(settings: Cleanup, sentence: str) -> None:
    job = container("job")
    told = explained(job, view(job), settings)
    assert verdict(told) == explanation_as_json(told)["verdict"] == sentence
    first, second, *_ = report.explanation(told)
    assert first == f"container job ({job.id[:12]}) {sentence}."
    assert second.startswith(f"  decision: {told.item.action}, {told.item.reason}")


def test_a_network_of_the_engine_is_not_said_to_be_protected_by_a_label() -> None:
    bridge = network("bridge")
    assert verdict(explained(bridge, view(bridge), cleanup())) == "stays: the engine made it itself"


def test_every_reason_has_words_for_a_verdict() -> None:
    assert {*_WENT, *_STAYS} == set(Reason)
    assert not set(_WENT) & set(_STAYS)


def test_names_and_references_come_before_the_beginnings_of_ids() -> None:
    digits = container("c").id[:6]
    one, other, third = container("c"), container(digits), image("redis", tags=("redis:latest",))
    look = view(one, other, third)
    assert find(look, digits) == [other]
    assert find(look, one.id[:12]) == [one]
    assert find(look, "redis") == find(look, "docker.io/library/redis:latest") == find(look, third.id) == [third]
    assert find(look, third.id[7:19]) == [third]
    assert find(look, "nothing") == find(look, "") == []


@pytest.mark.parametrize("reference", ["{:.3}", "sha256:{:.1}"])
def test_of_too_short_a_beginning_of_an_id_is_said_what_it_needs(reference: str) -> None:
    job = container("job")
    short = reference.format(job.id)
    with pytest.raises(NoSuchObject, match=f"volume '{short}'; an ID prefix needs 4 digits"):
        find_one(view(job), short)
    with pytest.raises(NoSuchObject, match=r"'job-1'; did you mean job\?$"):
        find_one(view(job), "job-1")


@pytest.mark.parametrize(
    ("mistyped", "meant"),
    [
        ("wbe-1", "web-1"),
        ("web", "web-2 or web-1"),
        ("rdis", "redis:latest"),
        ("redis:lastest", "redis:latest"),
        ("nginx", "nginx:1.25"),
        ("ngnix", "nginx:1.25"),
    ],
)
def test_of_an_unknown_name_the_nearest_are_told(mistyped: str, meant: str) -> None:
    images = [image(tag, tags=(tag,)) for tag in ("redis:latest", "nginx:1.25")]
    look = view(container("web-1"), container("web-2"), *images, volume("data"))
    with pytest.raises(NoSuchObject, match=f"; did you mean {re.escape(meant)}\\?$"):
        find_one(look, mistyped)
    with pytest.raises(NoSuchObject) as raised:
        find_one(look, "no-such-thing")
    assert "did you mean" not in str(raised.value)


def test_a_containers_name_comes_before_an_images() -> None:
    named, made_from = container("redis"), image("redis", tags=("redis:latest",))
    look = view(named, made_from)
    assert find(look, "redis") == [named]
    assert find(look, "redis:latest") == [made_from]


def test_what_could_mean_several_is_all_found() -> None:
    look = view(container("a", id="abcd" + "0" * 60), container("b", id="abcd" + "1" * 60))
    assert len(find(look, "abcd")) == 2


def test_the_decision_is_the_plans() -> None:
    job = container("job", finished_at=NOW - HOUR)
    settings = cleanup(wants("1h"))
    assert explained(job, view(job), settings).item == plan(view(job), settings).items[0]


def test_what_has_the_same_name_is_told_apart_by_its_kind() -> None:
    look = view(container("same"), network("same"), volume("same"))
    assert [each.kind for each in find(look, "same")] == ["container"]
    assert [each.kind for each in find(look, "same", "volume")] == ["volume"]
    assert find(look, "same", "image") == []


def test_a_policy_that_a_protection_holds_back_promises_nothing() -> None:
    member = {"com.docker.compose.project": "shop"}
    job, web = container("job", labels=member), running("web", labels=member)
    settings = cleanup(wants("1h"), {**wants("31d", compose_active="ignore"), "name": "slow"})
    told = explained(job, view(job, web), settings)
    assert told.item.reason == "compose_active"
    assert what_next(told) == "it goes in 30d, when finished_for reaches 31d"


class TestWhatWasBuiltOnAnImage:
    BASE = image("base", created_at=NOW - 9 * DAY)

    def told(self, *others: tuple[str, float, float, tuple[str, ...]]) -> Explanation:
        """Explain the base to others: name, first sight and last arrival in seconds ago, layers."""
        known = {self.BASE.key: Observation(NOW - DAY, NOW - HOUR, layers=("a", "b"))}
        images = [image(name, created_at=NOW - 8 * DAY) for name, *_ in others]
        for each, (_, first, last, layers) in zip(images, others, strict=True):
            known[each.key] = Observation(NOW - first, NOW - last, layers=layers)
        return explained(self.BASE, view(self.BASE, *images), cleanup(UNUSED), known)

    def test_they_are_counted_with_the_last_arrival(self) -> None:
        told = self.told(
            ("app", 0.9 * DAY, 2 * HOUR, ("a", "b", "c")),
            ("twin", 3 * HOUR, 3 * HOUR, ("a", "b")),
            ("rebuilt", 2 * DAY, 4 * HOUR, ("a", "b", "d")),
            ("other", HOUR, HOUR, ("a", "c")),
            ("below", HOUR, HOUR, ("a",)),
        )
        assert "  3 images were built on it, the last 2h ago" in lines_of(told).splitlines()
        assert explanation_as_json(told)["builds"] == {
            "count": 3,
            "names": ["app:1", "twin:1", "rebuilt:1"],
            "last_arrived": format_time(NOW - 2 * HOUR),
            "summary": "3 images were built on it, the last 2h ago",
        }

    def test_of_two_seen_first_in_one_look_the_later_build_was_built_on_the_other(self) -> None:
        assert "1 image was built on it" in lines_of(self.told(("twin", DAY, DAY, ("a", "b"))))

    @pytest.mark.parametrize(
        "other",
        [
            ("older", 2 * DAY, 2 * DAY, ("a", "b", "c")),
            ("twin with a new tag", 2 * DAY, HOUR, ("a", "b")),
        ],
    )
    def test_what_was_here_before_was_not(self, other: tuple[str, float, float, tuple[str, ...]]) -> None:
        told = self.told(other)
        assert "built on it" not in lines_of(told)
        assert explanation_as_json(told)["builds"] is None


PRESSED = policy("room", "image", pressure={"high": "80%", "low": "60%"})


@pytest.mark.parametrize(("used", "told"), [(90, "would remove it, but for in_use"), (70, "below_watermark")])
def test_under_pressure_a_policy_that_a_protection_holds_back_would_remove(used: int, told: str) -> None:
    app = image("app", size=20)
    look = view(app, running("web", image=app.tags[0], image_id=app.id), disks=disks(disk(used)))
    assert f"room (enforce)  {told}" in lines_of(explained(app, look, cleanup(PRESSED)))


def test_under_pressure_what_is_new_goes_when_grace_ends() -> None:
    app = image("app", size=20)
    look = view(app, disks=disks(disk(90)))
    known = {app.key: Observation(NOW - HOUR, NOW - HOUR)}
    told = explained(app, look, cleanup(PRESSED, grace="2h"), known)
    assert what_next(told) == "it goes in 1h, when first_seen_for reaches 2h"


def test_the_policy_that_removes_under_pressure_says_so_among_the_policies() -> None:
    app, empty = image("app", size=20), image("empty", size=0)
    look, settings = view(app, empty, disks=disks(disk(90))), cleanup(PRESSED)
    assert "room (enforce)  would remove it" in lines_of(explained(app, look, settings))
    assert "room (enforce)  frees_nothing" in lines_of(explained(empty, look, settings))
