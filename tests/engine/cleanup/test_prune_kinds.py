"""`watchd prune` of networks, volumes and the build cache, on a real engine."""

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from tests.harness import images
from tests.harness.bound import bound
from tests.harness.command import watchd_here
from tests.harness.engine import Engine
from tests.harness.watchd_process import decisions, plan_of, write_config
from watchd.config.schema.config import Engine as EngineConfig
from watchd.engine.client import EngineClient
from watchd.engine.decode.quirks import API_WITH_PRUNE_UNTIL_A_TIME

pytestmark = pytest.mark.newest

CLEANUP = """
mode = "enforce"
grace = "0s"
[cleanup.protect]
images = ["base"]
[[cleanup.policies]]
name = "exited"
kind = "container"
when.finished_for = "0s"
anonymous_volumes = true
[[cleanup.policies]]
name = "networks"
kind = "network"
when.unused_for = "0s"
[[cleanup.policies]]
name = "volumes"
kind = "volume"
select.name = ["cache-*"]
select.named = true
when.unused_for = "0s"
[[cleanup.policies]]
name = "build-cache"
kind = "build_cache"
when.unused_for = "0s"
"""
ANONYMOUS = docker.types.Mount("/data", None)


@pytest.fixture
def config(tmp_path: Path, clean_engine: Engine) -> Path:
    return write_config(tmp_path, clean_engine.host, CLEANUP)


def cached(client: docker.DockerClient) -> set[str]:
    """Return the IDs of the records of the build cache."""
    return {record["ID"] for record in images.cache_records(client)}


def test_networks_and_volumes_go_with_what_used_them_and_in_that_order(
    config: Path, client: docker.DockerClient
) -> None:
    for name in ("app_default", "free", "kept"):
        client.networks.create(name)
    for name in ("cache-pip", "cache-in-use", "data"):
        client.volumes.create(name)
    client.containers.run(
        images.BASE, ["true"], name="job", detach=True, network="app_default", mounts=[ANONYMOUS], labels={"a": ""}
    ).wait()
    (cast_off,) = {volume.name for volume in client.volumes.list()} - {"cache-pip", "cache-in-use", "data"}
    client.containers.create(images.BASE, name="waiting", network="kept", volumes=["cache-in-use:/c"])

    dry = plan_of(watchd_here("prune", "-c", config, "--dry-run", "--json"))
    expected = [
        ("container", "job", "remove", "exited_too_long"),
        ("network", "app_default", "remove", "unused_too_long"),
        ("network", "free", "remove", "unused_too_long"),
        ("volume", cast_off, "remove", "exited_too_long"),
        ("volume", "cache-pip", "remove", "unused_too_long"),
    ]
    assert decisions(dry, "remove") == set(expected)
    kinds = [item["kind"] for item in dry["items"] if item["action"] == "remove"]
    assert kinds == ["container", "network", "network", "volume", "volume"]
    assert decisions(dry, "keep") >= {
        ("container", "waiting", "keep", "condition_not_met"),
        ("network", "kept", "keep", "in_use"),
        ("network", "bridge", "keep", "protected"),
        ("volume", "cache-in-use", "keep", "in_use"),
        ("volume", "data", "keep", "named_volume"),
    }

    result = watchd_here("prune", "-c", config, "--yes", "--json")
    assert result.returncode == 0, result.stderr
    done = plan_of(result)
    assert decisions(done, "remove") == set(expected)
    assert {item["outcome"] for item in done["items"] if "outcome" in item} == {"removed"}
    assert {network.name for network in client.networks.list()} == {"bridge", "host", "none", "kept"}
    assert {volume.name for volume in client.volumes.list()} == {"cache-in-use", "data"}

    again = plan_of(watchd_here("prune", "-c", config, "--yes", "--json"))
    assert decisions(again, "remove") == set()
    rows = json.loads(watchd_here("history", "-c", config, "--json", "--kind", "volume").stdout)
    assert [(row["id"], row["policy"], row["outcome"]) for row in sorted(rows, key=lambda row: row["policy"])] == [
        (cast_off, "exited", "removed"),
        ("cache-pip", "volumes", "removed"),
    ]


OPTIONED = """
[[cleanup.policies]]
name = "binds"
kind = "volume"
select.name = ["bound", "plain"]
select.driver = "local"
when.unused_for = "0s"
"""


def test_a_volume_with_options_goes_only_if_named_with_its_driver_unused_and_unmounted(
    config: Path, client: docker.DockerClient, tmp_path: Path
) -> None:
    """A bound directory keeps its files, and a leftover mount keeps the volume."""
    (source := tmp_path / "bound").mkdir()
    (file := source / "precious").write_text("data")
    options = {"type": "none", "o": "bind", "device": str(source)}
    point = client.volumes.create("bound", driver_opts=options).attrs["Mountpoint"]
    client.volumes.create("plain")
    job = client.containers.run(images.BASE, ["sleep", "600"], volumes=["bound:/b"], detach=True)

    def verdicts() -> dict[str, str]:
        result = watchd_here("prune", "-c", config, "--yes", "--json")
        assert result.returncode == 0, result.stderr
        items = plan_of(result)["items"]
        return {item["name"]: f"{item['action']} {item['reason']}" for item in items if item["kind"] == "volume"}

    kept = {"bound": "keep protected", "plain": "keep named_volume"}
    assert verdicts() == kept, "no policy says its driver"
    config.write_text(config.read_text() + OPTIONED)
    assert verdicts() == kept, "a container has it, and it is mounted"
    job.remove(force=True)
    with bound(source, point):
        assert verdicts() == kept, "left mounted, though nothing uses it"
    assert verdicts() == {"bound": "remove unused_too_long", "plain": "keep named_volume"}
    assert {volume.name for volume in client.volumes.list()} == {"plain"}
    assert file.read_text() == "data"


def test_records_of_the_build_cache_go_children_first_each_by_its_id(
    config: Path, client: docker.DockerClient, clean_engine: Engine
) -> None:
    dockerfile = f"FROM {images.BASE}\nRUN echo {clean_engine.directory.name} > /a\nRUN echo b > /b\n"
    images.build_with_buildkit(clean_engine.host, dockerfile, "--tag", "built:1")
    client.images.remove("built:1")
    before = cached(client)
    assert len(before) >= 2

    result = watchd_here("prune", "-c", config, "--yes", "--json", "--policy", "build-cache")
    assert result.returncode == 0, result.stderr
    items = [item for item in plan_of(result)["items"] if item["kind"] == "build_cache"]
    outcomes = {item["id"]: item.get("outcome") for item in items}
    assert outcomes.keys() == before
    left = cached(client)
    assert {id_ for id_, outcome in outcomes.items() if outcome in ("removed", "already_gone")} == before - left
    assert "removed" in outcomes.values()

    again = plan_of(watchd_here("prune", "-c", config, "--yes", "--json", "--policy", "build-cache"))
    assert decisions(again, "remove") == set()


@pytest.mark.newest(stores="both")
def test_the_engine_leaves_records_that_a_build_has_used_since(
    client: docker.DockerClient, clean_engine: Engine
) -> None:
    """As an engine before Docker 25 cannot: it takes no time."""
    dockerfile = f"FROM {images.BASE}\nRUN echo {clean_engine.directory.name} > /a\nRUN echo b > /b\n"
    images.build_with_buildkit(clean_engine.host, dockerfile, "--tag", "built:1")
    client.images.remove("built:1")
    with closing(EngineClient(EngineConfig(host=clean_engine.host), read_only=False)) as engine:
        now = [each for each in engine.build_cache() if each.last_used_at]
        an_hour_ago = [replace(each, last_used_at=each.last_used_at - 3600) for each in now if each.last_used_at]
        went = set(engine.prune_build_cache(an_hour_ago))
        if tuple(map(int, client.api.version()["ApiVersion"].split("."))) >= API_WITH_PRUNE_UNTIL_A_TIME:
            assert went == set()
            went = set(engine.prune_build_cache(now))
    assert went == {each.id for each in now}
    assert cached(client).isdisjoint(went)


@pytest.mark.parametrize("reference", ["data", "app_default"])
def test_they_can_be_explained_by_name(config: Path, client: docker.DockerClient, reference: str) -> None:
    client.volumes.create("data")
    client.networks.create("app_default")
    result = watchd_here("explain", "-c", config, reference)
    assert result.returncode == 0, result.stderr
    kind, verdict = {"data": ("volume", "keep, named_volume"), "app_default": ("network", "remove")}[reference]
    assert result.stdout.startswith(f"{kind} {reference} ")
    assert f"\n  decision: {verdict}" in result.stdout


@pytest.mark.newest(unless="the sizes of containerd's store overlap")
def test_df_tells_where_the_disk_went(config: Path, client: docker.DockerClient, clean_engine: Engine) -> None:
    """The sums equal those of the engine's own `system df`."""
    fill = f"head -c {3 * 1000 * 1000} /dev/zero > "
    client.containers.run(images.BASE, ["sh", "-c", f"{fill}/f; {fill}/v/f"], name="job", volumes=["cache-x:/v"])
    images.build(client, "child:1", f"FROM {images.BASE}\nRUN {fill}/f\n")
    result = watchd_here("df", "-c", config, "--json")
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    engine = client.df()
    kinds = told["kinds"]
    assert list(kinds) == ["container", "image", "network", "volume", "build_cache", "builder", "log"]
    assert kinds["container"]["total"] == sum(container["SizeRw"] for container in engine["Containers"]) >= 3_000_000
    assert kinds["image"]["total"] == engine["LayersSize"]
    base = client.images.get(images.BASE).attrs["Size"]
    assert kinds["image"]["shared"] == base, "what the child has of it is there once"
    assert kinds["volume"]["total"] == 3_000_000
    assert kinds["container"]["reclaimable"] == {"count": 1, "bytes": kinds["container"]["total"], "at_least": False}
    assert kinds["container"]["policies"] == [
        {"name": "exited", "mode": "enforce", "count": 1, "bytes": kinds["container"]["total"], "at_least": False}
    ]
    assert kinds["volume"]["reclaimable"] == {"count": 1, "bytes": 3_000_000, "at_least": False}, (
        "its container would go first"
    )
    (disk,) = told["disks"]
    assert disk["path"] == str(clean_engine.data_root)
    assert disk["used"] == disk["accounted"] + disk["unaccounted"]

    lines = watchd_here("df", "-c", config).stdout.splitlines()
    assert lines[0].split() == ["KIND", "COUNT", "TOTAL", "SHARED", "RECLAIMABLE", "BY", "POLICY"]
    assert "exited: 1, 3" in lines[1]
    assert lines[-1].startswith("  of which the engine does not account for ")
