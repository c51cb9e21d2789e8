"""Who holds what in containerd's store, by databases as containerd writes them."""

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.engine.deep.bolt_file import bolt_file
from watchd.engine.deep import containerd, holders
from watchd.engine.deep.bolt import Bucket, File, Torn
from watchd.engine.deep.holders import Held, Listed
from watchd.units import format_time

NOW = 1_800_000_000.0
CONTAINER, RECORD, GONE = "c" * 64, "r" * 25, "g" * 25
SN = "overlayfs"
LISTED = Listed(frozenset({CONTAINER}), frozenset({RECORD}))


def labels(**named: str) -> dict[str, Any]:
    return {"labels": {key.replace("__", "/").replace("_", "."): value.encode() for key, value in named.items()}}


def blob(*needs: str, snapshot: str = "") -> dict[str, Any]:
    refers = {f"containerd.io/gc.ref.content.l.{number}": need.encode() for number, need in enumerate(needs)}
    if snapshot:
        refers[f"containerd.io/gc.ref.snapshot.{SN}"] = snapshot.encode()
    return {"size": b"\x02", "labels": refers} if refers else {"size": b"\x02"}


def snapshot(key: str, parent: str = "") -> dict[str, Any]:
    return {"name": f"moby/1/{key}".encode(), "parent": parent.encode()}


def lease(*, content: str = "", key: str = "", **labelled: str) -> dict[str, Any]:
    about: dict[str, Any] = {"createdat": b"1"}
    if content:
        about["content"] = {content: b""}
    if key:
        about["snapshots"] = {SN: {key: b""}}
    if labelled:
        about.update(labels(**labelled))
    return about


def held(namespaces: dict[str, Any], listed: Listed = LISTED) -> tuple[dict[str, Held], dict[str, Held]]:
    spaces = containerd.namespaces(File.of(bolt_file({"v1": namespaces})).root)
    content, snapshots = holders.held(spaces, listed, NOW)
    return content, {key.removeprefix("moby/1/"): by for (_, key), by in snapshots.items()}


def moby(**parts: Any) -> dict[str, Any]:
    if "snapshots" in parts:
        parts["snapshots"] = {SN: parts["snapshots"]}
    if "content" in parts:
        parts["content"] = {"blob": parts["content"]}
    return {"moby": parts}


def test_an_image_holds_its_manifest_its_layers_and_what_they_are_unpacked_to() -> None:
    content, snapshots = held(
        moby(
            images={"docker.io/library/web:1": {"target": {"digest": b"sha256:index"}}},
            content={
                "sha256:index": blob("sha256:manifest"),
                "sha256:manifest": blob("sha256:config", "sha256:layer"),
                "sha256:config": blob(snapshot="top"),
                "sha256:layer": blob(),
                "sha256:other": blob(),
            },
            snapshots={"base": snapshot("base"), "top": snapshot("top", "base"), "else": snapshot("else", "base")},
        )
    )
    web = Held("image", "docker.io/library/web:1")
    assert content == {
        **dict.fromkeys(("sha256:index", "sha256:manifest", "sha256:config", "sha256:layer"), web),
        "sha256:other": Held("nobody"),
    }
    assert snapshots == {"base": web, "top": web, "else": Held("nobody")}


@pytest.mark.parametrize(
    ("id_", "about", "by"),
    [
        (CONTAINER, {}, ("container", CONTAINER)),
        ("d" * 64, {}, ("lost_container", "d" * 64)),
        (RECORD, {"containerd_io__gc_flat": "x"}, ("build_cache", RECORD)),
        (f"{RECORD}-view", {"buildkit__lease_temporary": "x"}, ("build_cache", RECORD)),
        (GONE, {"containerd_io__gc_flat": "x"}, ("lost_cache", GONE)),
        (f"{GONE}-variants", {}, ("lost_cache", GONE)),
        ("1-ab", {"buildkit__lease_temporary": "x"}, ("build", "1-ab")),
        ("1-ab", {"moby__prune_images": "true"}, ("pull", "1-ab")),
        ("mine", {}, ("lease", "mine")),
    ],
)
def test_leases_are_told_apart(id_: str, about: dict[str, str], by: tuple[holders.Holder, str]) -> None:
    content, snapshots = held(
        moby(
            leases={id_: lease(content="sha256:a", key="top", **about)},
            content={"sha256:a": blob("sha256:b"), "sha256:b": blob()},
            snapshots={"base": snapshot("base"), "top": snapshot("top", "base")},
        )
    )
    assert {*content.values(), *snapshots.values()} == {Held(*by)}


@pytest.mark.parametrize(("offset", "holder"), [(60, "pull"), (-60, "expired")])
def test_a_lease_holds_until_it_ends(offset: int, holder: str) -> None:
    until = NOW + offset
    about = {"moby__prune_images": "true", "containerd_io__gc_expire": format_time(until)}
    content, _ = held(moby(leases={"1-ab": lease(content="sha256:a", **about)}, content={"sha256:a": blob()}))
    assert (content["sha256:a"].holder, content["sha256:a"].until) == (holder, until)


def test_the_history_of_builds_is_a_namespace_and_content_of_both_is_dockers() -> None:
    spaces = moby(images={"web": {"target": {"digest": b"sha256:both"}}}, content={"sha256:both": blob()}) | {
        "moby_history": {
            "content": {"blob": {"sha256:both": blob(), "sha256:log": blob()}},
            "leases": {"ref_x": lease(content="sha256:log")},
        },
        "k8s.io": {"content": {"blob": {"sha256:pod": blob()}}},
    }
    content, _ = held(spaces)
    assert {digest: by.holder for digest, by in content.items()} == {
        "sha256:both": "image",
        "sha256:log": "build_history",
        "sha256:pod": "elsewhere",
    }
    assert content["sha256:pod"].name == "k8s.io"


def test_containers_of_containerd_and_labels_hold_too() -> None:
    rooted = {**snapshot("rooted"), **labels(containerd_io__gc_root="x")}
    _, snapshots = held(
        moby(
            containers={
                CONTAINER: {"snapshotter": SN.encode(), "snapshotKey": b"one"},
                "other": {"snapshotter": SN.encode(), "snapshotKey": b"two"},
            },
            snapshots={"one": snapshot("one"), "two": snapshot("two"), "rooted": rooted},
        )
    )
    assert {key: by.holder for key, by in snapshots.items()} == {
        "one": "container",
        "two": "lost_container",
        "rooted": "label",
    }


def test_an_image_comes_before_a_record_of_the_cache_and_that_before_a_lease() -> None:
    content, _ = held(
        moby(
            images={"web": {"target": {"digest": b"sha256:a"}}},
            leases={
                RECORD: lease(content="sha256:a"),
                "1-ab": lease(content="sha256:b", moby__prune_images="true"),
                f"{RECORD}-variants": lease(content="sha256:b"),
            },
            content={"sha256:a": blob(), "sha256:b": blob()},
        )
    )
    assert {digest: by.holder for digest, by in content.items()} == {"sha256:a": "image", "sha256:b": "build_cache"}


def test_where_the_build_cache_is_not_listed_none_of_it_is_lost() -> None:
    content, _ = held(
        moby(leases={GONE: lease(content="sha256:a")}, content={"sha256:a": blob()}),
        Listed(frozenset({CONTAINER}), None),
    )
    assert content["sha256:a"].holder == "build_cache"


def test_images_of_a_store_that_is_switched_off_are_told_apart() -> None:
    content, _ = held(
        moby(images={"web": {"target": {"digest": b"sha256:a"}}}, content={"sha256:a": blob()}),
        replace(LISTED, in_containerd=False),
    )
    assert content["sha256:a"] == Held("other_store", "web")


def test_what_was_listed_before_or_after_counts_and_an_unknown_cache_stays_unknown() -> None:
    later = Listed(frozenset({"new"}), frozenset({GONE}), frozenset({"data"}))
    both = LISTED.with_(later)
    assert both == Listed(frozenset({CONTAINER, "new"}), frozenset({RECORD, GONE}), frozenset({"data"}))
    assert LISTED.with_(replace(later, build_cache=None)).build_cache is None


def test_references_that_lead_in_a_circle_or_nowhere_end() -> None:
    content, _ = held(
        moby(
            images={"web": {"target": {"digest": b"sha256:a"}}, "none": {"target": {"digest": b"sha256:gone"}}},
            content={"sha256:a": blob("sha256:b", "sha256:gone"), "sha256:b": blob("sha256:a")},
        )
    )
    assert {by.holder for by in content.values()} == {"image"}


def test_folders_of_snapshots_are_numbers() -> None:
    tree = {
        "v1": {"snapshots": {"moby/1/a": {"id": b"\x0c"}, "moby/2/b": {"id": b"\xac\x02"}}, "parents": {b"\x0c": b"a"}}
    }
    assert containerd.folders(File.of(bolt_file(tree)).root) == {"moby/1/a": "12", "moby/2/b": "300"}


def test_another_layout_is_refused() -> None:
    root: Bucket = File.of(bolt_file({"v2": {"moby": {}}})).root
    with pytest.raises(Torn):
        list(containerd.namespaces(root))
