"""Quirks of engines, by the relevant parts of captured replies."""

from typing import Any

import pytest

from tests.unit.engine import replies
from watchd.engine.decode import images, quirks, system
from watchd.engine.decode.containers import container_from_list
from watchd.engine.decode.images import deleted_image, image_from_inspect, image_usage
from watchd.engine.decode.system import build_cache, disk_usage, engine_info

ID = "85a82e631795522c58afa5bfca74df0e1bfd75426b53f306e5014df4ec2cf300"
PATH = f"/var/lib/docker/volumes/{ID}/_data"
PODMAN = {"Components": [{"Name": "Podman Engine", "Version": "4.3.1"}, {"Name": "Conmon"}], "Version": "4.3.1"}


@pytest.mark.parametrize("version", [{"Components": [{"Name": "Engine"}]}, {"Components": None}, {}, None, [PODMAN]])
def test_docker_is_not_podman(version: Any) -> None:
    assert not quirks.is_podman(version)


def test_podman_tells_of_no_oom_and_takes_parents_along() -> None:
    podman, docker = engine_info(PODMAN, replies.INFO), engine_info(replies.VERSION, replies.INFO)
    assert (podman.tells_oom, podman.honors_noprune) == (False, False)
    assert (docker.tells_oom, docker.honors_noprune) == (True, True)


def test_an_engine_without_cgroups_for_containers_cannot_tell_of_oom_either() -> None:
    """Rootless Docker and Podman; on cgroup v2 both have some where systemd gives them some."""
    podman = {"Rootless": True, "CgroupDriver": "systemd", "CgroupVersion": "2"}
    for info in ({"CgroupDriver": "none"}, {**podman, "CgroupDriver": "cgroupfs"}, {**podman, "CgroupVersion": "1"}):
        rootless = engine_info({}, {**replies.INFO, **info})
        assert (rootless.container_cgroups, rootless.tells_oom) == (False, False)
    for info in ({"CgroupDriver": "systemd"}, podman, {"Rootless": False, "CgroupDriver": "cgroupfs"}, {}):
        other = engine_info({}, {**replies.INFO, **info})
        assert (other.container_cgroups, other.tells_oom) == (True, True)


def test_image_ids_have_their_prefix_wherever_an_engine_leaves_it_out() -> None:
    full = f"sha256:{ID}"
    listed = images.image({**replies.LISTED_IMAGE, "Id": ID, "ParentId": ID})
    assert (listed.id, listed.parent_id) == (full, full)
    assert image_from_inspect({**replies.INSPECTED_IMAGE, "Id": full, "Parent": ID}).parent_id == full
    assert deleted_image([{"Deleted": ID}, {"Untagged": "a:1"}]) == (["a:1"], [full])
    assert system.event({"Type": "image", "Action": "tag", "Actor": {"ID": ID}}).id == full
    assert system.event({"Type": "image", "Action": "pull", "Actor": {"ID": "redis:7"}}).id == "redis:7"
    assert system.event({"Type": "container", "Action": "start", "Actor": {"ID": ID}}).id == ID
    assert images.image({**replies.LISTED_IMAGE, "Id": full}).parent_id is None


def test_an_event_of_a_volume_is_about_the_one_that_it_names() -> None:
    actor = {"ID": "", "Attributes": {"name": "data"}}
    assert system.event({"Type": "volume", "Action": "create", "Actor": actor}).id == "data"
    assert system.event({"Type": "container", "Action": "create", "Actor": actor}).id == ""


@pytest.mark.parametrize(
    ("mount", "name"),
    [
        ({"Name": "data", "Source": "/elsewhere"}, "data"),
        ({"Source": PATH}, ID),  # Docker 28, before its container was started
        ({"Source": "/srv/volumes/data"}, ""),
        ({}, ""),
    ],
)
def test_a_mounted_volume_is_known_by_its_path_too(mount: dict[str, str], name: str) -> None:
    assert quirks.volume_name(mount) == name
    listed = container_from_list({**replies.LISTED_CONTAINER, "Mounts": [{"Type": "volume", **mount}]})
    assert listed.volumes == ((name,) if name else ())


@pytest.mark.parametrize("record", [{"Parents": ["a", "b"]}, {" Parents": ["a", "b"]}])
def test_parents_of_the_build_cache_by_either_word(record: dict[str, Any]) -> None:
    (found,) = build_cache({"BuildCache": [{**replies.CACHE_RECORD, **record}]})
    assert found.parents == ("a", "b")


def test_the_one_parent_that_old_engines_tell() -> None:
    child, parent = (
        {**replies.CACHE_RECORD, **each} for each in ({"ID": "c", "Parent": "a"}, {"ID": "a", "Parent": ""})
    )
    records = build_cache({"BuildCache": [child, parent]})
    assert [record.parents for record in records] == [("a",), ()]


@pytest.mark.parametrize(("told", "digest", "size"), [(-1, False, None), (0, False, 0), (0, True, None), (7, True, 7)])
def test_shared_size_where_it_is_told(told: int, digest: bool, size: int | None) -> None:  # noqa: FBT001
    raw = {**replies.LISTED_IMAGE, "Size": 10, "SharedSize": told, **({"Digest": "sha256:1"} if digest else {})}
    assert images.image(raw).shared_size == size


def test_layers_are_not_told_by_an_engine_that_says_0() -> None:
    told = {"LayersSize": 0, "Images": [replies.LISTED_IMAGE]}
    assert image_usage(told).layers is None
    assert image_usage({"LayersSize": 0, "Images": []}).layers == 0
    assert disk_usage({**told, "Containers": [], "Volumes": [], "BuildCache": []}).layers is None


def test_a_sum_of_interfaces_is_none_of_them() -> None:
    counts = {"rx_bytes": 472}
    assert quirks.interfaces({"network": counts}) == {}
    assert quirks.interfaces({"eth0": counts, "network": counts}).keys() == {"eth0", "network"}


def test_exit_codes_by_either_word() -> None:
    assert [
        quirks.exit_code(each) for each in ({"exitCode": "3"}, {"containerExitCode": "4"}, {"exitCode": "x"}, {})
    ] == [3, 4, None, None]
