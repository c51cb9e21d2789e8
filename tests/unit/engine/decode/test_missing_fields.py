"""Replies with fields missing: an error, and never taken for empty."""

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.unit.engine import replies
from tests.unit.engine.http_engine import serving
from tests.unit.engine.replies import ID, IMAGE_ID
from watchd.config.schema.config import Engine as EngineConfig
from watchd.engine.client import EngineClient
from watchd.engine.connection.transport import NEWEST_API
from watchd.engine.decode import images, objects, quirks, system
from watchd.engine.decode.containers import container_from_inspect, container_from_list
from watchd.engine.decode.fields import MalformedReply
from watchd.engine.decode.images import image_from_inspect
from watchd.engine.decode.system import engine_info
from watchd.errors import EngineRefused

INSPECTED = json.loads(Path(__file__).with_name("fixtures").joinpath("inspect-26.1-oomkilled.json").read_text())
NEEDED: dict[str, tuple[Callable[[Any], object], dict[str, Any], str]] = {
    "a container": (
        container_from_inspect,
        INSPECTED,
        "Id Created Image State Config HostConfig Mounts NetworkSettings",
    ),
    "its state": (
        lambda raw: container_from_inspect({**INSPECTED, "State": raw}),
        INSPECTED["State"],
        "Status StartedAt FinishedAt ExitCode",
    ),
    "its configuration": (
        lambda raw: container_from_inspect({**INSPECTED, "Config": raw}),
        INSPECTED["Config"],
        "Image Labels",
    ),
    "its host's configuration": (
        lambda raw: container_from_inspect({**INSPECTED, "HostConfig": raw}),
        INSPECTED["HostConfig"],
        "RestartPolicy NetworkMode",
    ),
    "a listed container": (
        container_from_list,
        replies.LISTED_CONTAINER,
        "Id Image ImageID State Created Labels Mounts NetworkSettings",
    ),
    "its networks": (
        lambda raw: container_from_list({**replies.LISTED_CONTAINER, "NetworkSettings": raw}),
        replies.LISTED_CONTAINER["NetworkSettings"],
        "Networks",
    ),
    "a listed image": (images.image, replies.LISTED_IMAGE, "Id RepoTags RepoDigests Created Size Labels"),
    "an image": (image_from_inspect, replies.INSPECTED_IMAGE, "Id RepoTags RepoDigests Config"),
    "the volumes": (objects.volumes, {"Volumes": None}, "Volumes"),
    "a volume": (objects.volume, replies.VOLUME, "Name Driver Labels Options"),
    "a network": (objects.network, replies.NETWORK, "Id Name Driver Scope Created Labels ConfigOnly"),
    "a service": (objects.service, replies.SERVICE, "ID Spec"),
    "its specification": (
        lambda raw: objects.service({**replies.SERVICE, "Spec": raw}),
        replies.SERVICE["Spec"],
        "Name TaskTemplate",
    ),
    "a record of the build cache": (
        lambda raw: system.build_cache({"BuildCache": [raw]}),
        replies.CACHE_RECORD,
        "ID Type InUse Shared Size CreatedAt LastUsedAt",
    ),
    "the engine": (
        lambda raw: engine_info(replies.VERSION, raw),
        replies.INFO,
        "Driver DriverStatus DockerRootDir Swarm",
    ),
    "its part in a Swarm": (
        lambda raw: engine_info(replies.VERSION, {**replies.INFO, "Swarm": raw}),
        replies.INFO["Swarm"],
        "LocalNodeState ControlAvailable",
    ),
}


@pytest.mark.parametrize("of", NEEDED)
def test_what_a_decision_rests_on_is_never_taken_for_empty_where_it_is_missing(of: str) -> None:
    decode, whole, needed = NEEDED[of]
    decode(whole)
    decode({**whole, "OfTheFuture": {"a": 1}})
    for field in needed.split():
        with pytest.raises(MalformedReply, match=r"\b(missing|expected)\b"):
            decode({name: value for name, value in whole.items() if name != field})


def usage(kind: str, entries: list[Any]) -> dict[str, dict[str, Any]]:
    """Return the parts of `GET /system/df` by the form that has them: as before API 1.52, as since, without lists."""
    old = {"Image": "Images", "Container": "Containers", "Volume": "Volumes", "BuildCache": "BuildCache"}[kind]
    totals = {"TotalCount": len(entries), "TotalSize": 1, "ActiveCount": 0}
    told = {name: number for name, number in totals.items() if number}  # Go leaves out what is 0
    return {
        "before": {old: entries},
        "since": {f"{kind}Usage": {**told, **({"Items": entries} if entries else {})}},
        "both": {old: entries, f"{kind}Usage": told},
        "totals": {f"{kind}Usage": told},
    }


NO_OTHERS = {"Images": None, "Volumes": None, "BuildCache": None}
DISK_USAGE: dict[str, tuple[Callable[[Any], Any], dict[str, Any]]] = {
    "Image": (lambda raw: images.image_usage(raw).unique, replies.LISTED_IMAGE),
    "Container": (lambda raw: system.disk_usage({**raw, **NO_OTHERS}).containers, replies.LISTED_CONTAINER),
    "Volume": (system.volume_sizes, {"Name": "data", "UsageData": {"Size": 5}}),
    "BuildCache": (system.build_cache, replies.CACHE_RECORD),
}


@pytest.mark.parametrize("kind", DISK_USAGE)
def test_disk_usage_is_read_in_its_old_form_and_its_new_one_and_never_taken_for_empty(kind: str) -> None:
    decode, entry = DISK_USAGE[kind]
    forms = usage(kind, [entry])
    for form in ("before", "since", "both"):
        assert len(decode(forms[form])) == 1, form
    for form in ("before", "since"):
        assert not decode(usage(kind, [])[form]), form
    for raw in (forms["totals"], {}):  # what API 1.54 tells without being asked for more, and what a proxy left
        with pytest.raises(MalformedReply, match=f"{kind}Usage"):
            decode(raw)


@pytest.mark.parametrize(
    "raw", [{"LayersSize": 7, "Images": []}, {"ImageUsage": {"TotalSize": 7}}, {"ImageUsage": {}, "Images": None}]
)
def test_the_bytes_of_layers_are_in_either_form(raw: dict[str, Any]) -> None:
    assert quirks.layers_size(raw, 0) == (0 if raw.get("ImageUsage") == {} else 7)


@pytest.mark.parametrize(
    ("speaks", "spoken", "verbose"), [("1.41", "1.41", False), ("1.51", "1.51", False), ("1.99", NEWEST_API, True)]
)
def test_the_newest_api_that_is_known_is_the_newest_that_is_spoken(
    tmp_path: Path, speaks: str, spoken: str, *, verbose: bool
) -> None:
    with serving(tmp_path / "s", speaks) as engine:
        client = EngineClient(EngineConfig(host=engine.host), read_only=True)
        with closing(client):
            assert client.info().api_version == speaks, "what the engine says is shown"
            assert len(client.build_cache()) == 1
        assert {path.split("/")[1] for path in engine.asked} == {"version", f"v{spoken}"}
        assert ("verbose=1" in engine.asked[-1]) == verbose


def test_a_container_that_is_not_told_in_full_is_as_listed(tmp_path: Path) -> None:
    """It is not judged, and what it uses is still in use."""
    with serving(tmp_path / "s") as engine:
        engine.replies[f"/containers/{ID}/json"] = {"Id": ID}
        with closing(EngineClient(EngineConfig(host=engine.host), read_only=True)) as client:
            (container,) = client.containers()
    assert (container.inspected, container.image_id) == (False, IMAGE_ID)


def test_disk_usage_is_asked_for_again_where_a_build_ended_meanwhile(tmp_path: Path) -> None:
    with (
        serving(tmp_path / "s") as engine,
        closing(EngineClient(EngineConfig(host=engine.host), read_only=True)) as client,
    ):
        engine.refused_once.add("/system/df")
        assert client.image_usage().layers == 3000
        del engine.replies["/system/df"]
        with pytest.raises(EngineRefused):
            client.image_usage()


def test_images_are_listed_again_where_one_went_meanwhile(tmp_path: Path) -> None:
    """Containerd's store then answers 404 (seen on 28.5.2)."""
    with (
        serving(tmp_path / "s") as engine,
        closing(EngineClient(EngineConfig(host=engine.host), read_only=True)) as client,
    ):
        for ask in (client.images, client.image_references):
            engine.refused_once.add("/images/json")
            assert [image.id for image in ask()] == [IMAGE_ID]
        del engine.replies["/images/json"]
        with pytest.raises(EngineRefused):
            client.images()
