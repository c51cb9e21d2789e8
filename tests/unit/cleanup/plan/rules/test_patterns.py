"""Pattern lists with exclusions: what they select, protect, and match on a host."""

from typing import Any

import pytest

from tests.unit.cleanup.builders import (
    EXITED,
    UNUSED,
    anonymous,
    cleanup,
    container,
    image,
    image_id,
    network,
    plan,
    policy,
    untagged,
    view,
    volume,
    why,
)
from watchd.cleanup import report
from watchd.cleanup.plan.matched import Selected, selected, unmatched
from watchd.model.names.patterns import Name, includes, matches_label

DIGEST = f"app@sha256:{'d' * 64}"


def goes(thing: Any, *, protect: dict[str, list[str]] | None = None, **select: Any) -> bool:
    """Return whether a policy that selects so removes an object."""
    kind = thing.kind
    when = {"finished_for": "0s"} if kind == "container" else {"unused_for": "0s"}
    settings = cleanup(policy("p", kind, when=when, select=select), protect=protect or {})
    return why(plan(view(thing), settings), thing).startswith("remove")


@pytest.mark.parametrize(
    ("patterns", "goes_"),
    [
        (["*", "!tmp/*"], True),
        (["*", "!app"], False),  # by repository
        (["*", "!app:1"], False),
        (["*", "!docker.io/library/app:1"], False),
        (["*", "!app:*", "app:1"], True),  # the last that matches decides
        (["app:1", "!other:*"], True),
        (["*", f"!{image_id('app')}"], False),
        (["*", f"!{image_id('app')[7:19]}"], False),
        (["*", f"!{image_id('app')[:12]}*"], False),
        (["*", f"!{DIGEST}"], False),  # the digest of its repository
        (["*", f"!{image_id('app')[7:9]}*"], True),  # a glob is about names, not the digits of an ID
        (["*", "!sha*"], True),
    ],
)
def test_an_exclusion_of_references(patterns: list[str], *, goes_: bool) -> None:
    assert goes(image("app", digests=(DIGEST,)), reference=patterns) is goes_


def test_an_exclusion_by_repository_needs_no_digest() -> None:
    assert not goes(image("app"), reference=["*", "!app"])
    assert not goes(image("app"), reference=["app"]), "a pattern that selects is about whole references"


def test_every_reference_has_to_be_included_to_be_selected_and_one_to_be_protected() -> None:
    both = image("app", tags=("app:1", "tmp/app:1"))
    assert goes(both, reference=["*"])
    assert not goes(both, reference=["*", "!tmp/*"])
    assert not goes(both, protect={"images": ["*", "!tmp/*"]})
    assert goes(image("app", tags=("tmp/app:1",)), protect={"images": ["*", "!tmp/*"]})


def test_what_is_excluded_from_a_protection_is_so_in_all_its_spellings() -> None:
    thing = image("app", tags=("app:tmp",), digests=(DIGEST,))
    assert goes(thing, protect={"images": ["*app*", "!app:tmp"]})
    assert not goes(thing, protect={"images": ["*app*", "!app:other"]})
    assert not goes(thing, protect={"images": [thing.id[7:11] + "*", "!other"]}), "by the digits of its ID"
    assert not goes(thing, protect={"images": ["*", f"!{thing.id[7:9]}*"]})
    nameless = untagged("app")
    assert not goes(nameless, protect={"images": ["sha256:*"]})
    assert goes(nameless, protect={"images": ["sha256:*", f"!{nameless.id[7:19]}"]})


@pytest.mark.parametrize(
    ("select", "goes_"),
    [
        ({"name": ["web*", "!web-tmp"]}, True),
        ({"name": ["web*", "!web-1"]}, False),
        ({"compose_project": ["*", "!shop"]}, False),
        ({"compose_project": ["*", "!other"]}, True),
        ({"labels": {"any": ["team=*", "!team=core"]}}, False),
        ({"labels": {"any": ["*", "!team=core"]}}, True),  # its other label is included
        ({"labels": {"all": ["team=*", "!team=tmp"]}}, True),
        ({"labels": {"all": ["team=*", "!team=core"]}}, False),
        ({"labels": {"none": ["team=*", "!team=core"]}}, True),
        ({"labels": {"none": ["team=*", "!team=tmp"]}}, False),
    ],
)
def test_exclusions_of_names_and_labels(select: dict[str, Any], *, goes_: bool) -> None:
    labels = {"team": "core", "com.docker.compose.project": "shop"}
    assert goes(container("web-1", labels=labels), **select) is goes_


@pytest.mark.parametrize(
    ("thing", "key"), [(container("db"), "containers"), (network("db"), "networks"), (anonymous("db"), "volumes")]
)
def test_exclusions_of_protections(thing: Any, key: str) -> None:
    assert not goes(thing, protect={key: ["*"]})
    assert goes(thing, protect={key: ["*", f"!{thing.name}"]})
    assert not goes(thing, protect={key: ["*", f"!{thing.name}", "*[a-z]*"]})


def test_an_id_releases_a_container_only_where_it_is_written_out() -> None:
    thing = container("web")
    assert not goes(thing, protect={"containers": ["*", f"!{thing.id[:4]}*"]})
    assert goes(thing, protect={"containers": ["*", f"!{thing.id[:12]}"]})


def test_exclusions_of_protecting_labels_are_about_each_label() -> None:
    protect = {"labels": ["team=*", "!team=tmp"]}
    assert goes(container("a", labels={"team": "tmp"}), protect=protect)
    assert not goes(container("a", labels={"team": "core"}), protect=protect)


def test_the_last_pattern_that_matches_decides() -> None:
    assert includes(["a*", "!ab*", "abc"], Name(("abc",)))
    assert not includes(["a*", "!ab*"], Name(("abc",)))
    assert not includes(["!x"], Name(("abc",)))
    assert matches_label("!team=c*", "team", "core")


def test_what_matches_nothing_is_told_with_its_place() -> None:
    look = view(container("web", labels={"team": "core"}), image("app"), image("b"), volume("data"), network("n"))
    settings = cleanup(
        {**EXITED, "select": {"name": ["web", "wbe", "!nothing"], "labels": {"none": ["tem"]}}},
        {**UNUSED, "select": {"repository": ["ap"]}},
        protect={"images": ["app", "pap*"], "volumes": ["dta", "data"], "labels": ["team", "stage=*"]},
    )
    assert list(report.void_patterns(look, settings)) == [
        'cleanup.protect.images: "pap*" matches no image',
        'cleanup.protect.volumes: "dta" matches no volume',
        'cleanup.protect.labels: "stage=*" matches no object',
        'cleanup.policies[0].select.name (exited): "wbe" matches no container',
        'cleanup.policies[0].select.name (exited): "!nothing" matches no container',
        'cleanup.policies[0].select.labels.none (exited): "tem" matches no container',
        'cleanup.policies[1].select.repository (unused): "ap" matches no image',
    ]
    assert list(report.selections(look, settings)) == [
        "policy exited selects 1 of 1 container",
        "policy unused selects 0 of 2 images",
    ]
    assert list(report.void_selections(look, settings)) == ["policy unused selects 0 of 2 images"]
    assert list(report.void_selections(look, settings, ["exited"])) == []


def test_nothing_is_said_of_a_list_that_failed_or_is_empty() -> None:
    settings = cleanup({**UNUSED, "select": {"repository": ["ap"]}}, protect={"images": ["x"], "labels": ["y"]})
    failed = view(container("web"), failures={"image": "refused"})
    assert list(unmatched(failed, settings)) == []
    assert list(selected(failed, settings)) == []
    assert list(unmatched(view(), settings)) == []
    assert list(selected(view(), settings)) == [Selected("unused", "image", 0, 0)]
    assert list(report.void_selections(view(), settings)) == []
