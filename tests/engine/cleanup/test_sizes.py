"""Bytes: what plan, page, `df`, limits and history say of one look agrees, and is what the disk gets back."""

import json
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.harness import images
from tests.harness.command import watchd_here
from tests.harness.engine import Engine
from tests.harness.waiting import settled, wait_until
from tests.harness.watchd_process import plan_of, running, write_config
from watchd.units import format_size

pytestmark = pytest.mark.newest(stores="both")

STEP = 3 * 1024 * 1024
CLEANUP = """
mode = "enforce"
schedule = "30d"
grace = "0s"
count_unwatched = true
max_bytes = "{most}B"
[cleanup.protect]
images = ["base"]
[[cleanup.policies]]
name = "exited"
kind = "container"
select.status = ["exited"]
when.finished_for = "0s"
[[cleanup.policies]]
name = "images"
kind = "image"
when.unused_for = "0s"
[[cleanup.policies]]
name = "volumes"
kind = "volume"
select.named = true
select.name = ["*"]
when.unused_for = "0s"
[[cleanup.policies]]
name = "cache"
kind = "build_cache"
when.unused_for = "0s"
"""
KINDS = """
mode = "enforce"
grace = "0s"
count_unwatched = true
[cleanup.protect]
images = ["base"]
"""
KIND = """
[[cleanup.policies]]
name = "{kind}"
kind = "{kind}"
when.unused_for = "0s"
"""
MOST = 10**15
# The engine's own books, which grow with each build and shrink when it likes: no object of a plan is in them.
BOOKS = ("/data/buildkit", "/data/tmp", "/exec")


def step(number: int, source: str = "/dev/urandom") -> str:
    return f"RUN head -c {STEP} {source} >/f{number}\n"


def on_disk(engine: Engine) -> dict[str, int]:
    """Return the bytes that the engine's files take by folder, in all as "": other programs write to its disk, too.

    What is mounted, as containers and builds do, has the same files once more.
    """
    subprocess.run(["sync", "--file-system", engine.directory], check=True)
    du = ["du", "--one-file-system", "--max-depth=3", "--block-size=1", str(engine.directory)]
    counted = subprocess.run(du, check=False, capture_output=True, text=True).stdout
    by_folder = (line.partition("\t") for line in counted.splitlines())
    return {folder.removeprefix(str(engine.directory)): int(size) for size, _, folder in by_folder}


def removed_bytes(plan: Any) -> int:
    return sum(item["bytes"] for item in plan["items"] if item["action"] == "remove")


def freed(before: dict[str, int], after: dict[str, int]) -> int:
    """Return the bytes that the disk got back, but for the engine's books."""
    less = {folder: size - after.get(folder, 0) for folder, size in before.items()}
    return less[""] - sum(less.get(folder, 0) for folder in BOOKS)


@pytest.fixture
def host(docker_client: docker.DockerClient, clean_engine: Engine) -> docker.DockerClient:
    """A host with an image of three layers, one on top of it that compresses well, a container and a volume."""
    images.build_with_buildkit(
        clean_engine.host, f"FROM {images.BASE}\n{step(1)}{step(2)}{step(3)}", "--tag", "app:1", "--network", "none"
    )
    images.build_with_buildkit(
        clean_engine.host, f"FROM app:1\n{step(4, '/dev/zero')}", "--tag", "app:2", "--network", "none"
    )
    docker_client.containers.run(
        images.BASE, ["sh", "-c", f"head -c {STEP} /dev/urandom | tee /f >/v/f"], name="job", volumes=["data:/v"]
    )
    return docker_client


@pytest.fixture
def config(tmp_path: Path, clean_engine: Engine) -> Path:
    return write_config(tmp_path, clean_engine.host, CLEANUP.format(most=MOST))


@pytest.mark.usefixtures("host")
def test_what_is_told_agrees_on_one_look_and_with_the_disk_afterwards(config: Path, clean_engine: Engine) -> None:
    # BuildKit writes some seconds after the end of a build.
    before = settled(lambda: on_disk(clean_engine), still=2, seconds=30, what="the disk")
    dry = plan_of(watchd_here("prune", "-c", config, "--dry-run", "--json"))
    planned = removed_bytes(dry)
    assert not any(item["at_least"] for item in dry["items"] if item["action"] == "remove"), "all is known"
    totals = dry["totals"].values()
    assert (sum(each["bytes"] for each in totals), any(each["at_least"] for each in totals)) == (planned, False)
    assert f"about {format_size(planned)}" in watchd_here("prune", "-c", config, "--dry-run").stdout
    usage = json.loads(watchd_here("df", "-c", config, "--json").stdout)["kinds"]
    for kind, of_kind in dry["totals"].items():
        assert usage[kind]["reclaimable"] == {"count": of_kind["remove"], "bytes": of_kind["bytes"], "at_least": False}
    containers, volumes = (usage[kind]["total"] for kind in ("container", "volume"))
    assert (containers, volumes) == (pytest.approx(STEP, rel=0.01), pytest.approx(STEP, rel=0.01))
    with running(config) as daemon:
        wait_until(lambda: daemon.get("/api/v1/usage")[0] == 200, seconds=30, what="sizes to be measured")
        shown = daemon.ask("/api/v1/plan")
        assert removed_bytes(shown) == planned
        upcoming = daemon.ask("/api/v1/next")["would_remove"]
        assert sum(each["bytes"] for each in upcoming.values()) == planned

    result = watchd_here("prune", "-c", config, "--yes", "--json")
    assert result.returncode == 0, result.stderr
    assert removed_bytes(plan_of(result)) == planned
    assert [item for item in plan_of(result)["items"] if item.get("outcome", "removed") != "removed"] == []
    try:
        wait_until(
            lambda: freed(before, on_disk(clean_engine)) == pytest.approx(planned, rel=0.05),
            seconds=20,
            what="the disk",
        )
    finally:
        print(before, on_disk(clean_engine), sep="\n")  # noqa: T201 - pytest shows it where a test fails
    rows = json.loads(watchd_here("history", "-c", config, "--json").stdout)
    assert sum(row["bytes"] for row in rows) == planned
    assert all(len(row["disk_freed"]) >= 1 for row in rows), "what the disk says, beside it"
    told = watchd_here("history", "-c", config).stdout
    assert f"about {format_size(planned)}." in told
    assert " available than before." in told.splitlines()[-1]


@pytest.mark.usefixtures("host")
def test_the_ceiling_of_a_run_is_reckoned_by_the_same_bytes(tmp_path: Path, clean_engine: Engine, config: Path) -> None:
    planned = removed_bytes(plan_of(watchd_here("prune", "-c", config, "--dry-run", "--json")))
    for most, whole in ((planned, True), (planned - 1, False)):
        directory = tmp_path / str(most)
        directory.mkdir()
        limited = write_config(directory, clean_engine.host, CLEANUP.format(most=most))
        plan = plan_of(watchd_here("prune", "-c", limited, "--dry-run", "--json"))
        reasons = {item["reason"] for item in plan["items"] if item["action"] == "keep"}
        assert (removed_bytes(plan) <= most, "budget_spent" in reasons) == (True, not whole)


@pytest.mark.parametrize("kinds", [("build_cache",), ("image",), ("image", "build_cache")], ids="+".join)
def test_bases_and_stages_that_no_image_has_are_counted_as_the_disk_does(
    kinds: tuple[str, ...], docker_client: docker.DockerClient, clean_engine: Engine, tmp_path: Path
) -> None:
    files = {"a": os.urandom(STEP), "b": os.urandom(STEP // 2)}
    images.build(docker_client, "parts:1", f"FROM {images.BASE}\nCOPY a /a\nCOPY b /b\n", files)
    for number in range(2):
        # Each layer has its own second or size: of several that have both the same it is not known which is whose.
        time.sleep(1.1)
        stage = f"FROM parts:1 AS stage\n{step(1)}RUN sleep 2; head -c {2 * STEP} /dev/urandom >/f2; echo {number}\n"
        last = f"FROM parts:1\nWORKDIR /work\nCOPY --from=stage /f1 /f\nRUN echo {number} >/number\n"
        options = ("--no-cache", "--tag", "app:1", "--network", "none")
        images.build_with_buildkit(clean_engine.host, stage + last, *options)
    settings = KINDS + "".join(KIND.format(kind=kind) for kind in kinds)
    config = write_config(tmp_path, clean_engine.host, settings)
    before = settled(lambda: on_disk(clean_engine), still=2, seconds=30, what="the disk")
    result = watchd_here("prune", "-c", config, "--yes", "--json")
    assert result.returncode == 0, result.stderr
    removed = [item for item in plan_of(result)["items"] if item["action"] == "remove"]
    assert {item["outcome"] for item in removed} == {"removed"}
    assert not any(item["at_least"] for item in removed), "all is known"
    planned = removed_bytes(plan_of(result))
    if kinds == ("image",) and docker_client.version()["Version"].startswith("20."):
        # Before 23.0 the engine measures everything to list its cache. Where no policy is for it, it is not asked.
        after = settled(lambda: on_disk(clean_engine), still=2, seconds=30, what="the disk")
        assert 0 < freed(before, after) < planned, "what the cache has as well counts"
        return
    wait_until(
        lambda: freed(before, on_disk(clean_engine)) == pytest.approx(planned, rel=0.05, abs=STEP / 10),
        seconds=20,
        what=f"the disk to have {planned} bytes less",
    )


def histories(client: docker.DockerClient, repository: str) -> list[list[tuple[int, int, str]]]:
    """Return what the engine tells of the layers of each image: steps, times and sizes."""
    told = [client.images.get(image["Id"]).history() for image in images.listed(client, repository)]
    return [[(each["Created"], each["Size"], each["CreatedBy"]) for each in steps] for steps in told]


def import_one(client: docker.DockerClient, tag: int) -> None:
    archive = images.archive({"app": os.urandom(STEP)})
    client.api.import_image_from_data(archive, repository="app", tag=str(tag))


@pytest.mark.parametrize("made", ["imported", "built"])
def test_layers_that_differ_in_nothing_but_their_content_count_each(
    made: str, docker_client: docker.DockerClient, clean_engine: Engine, tmp_path: Path
) -> None:
    """Imports of one second and size; reproducible builds, whose times are all the same, with layers of 0 bytes."""
    steps = f"FROM {images.BASE}\nENV a=b\nWORKDIR /app\nCOPY app /app/\nCMD /app/app\n"
    told: list[Any] = []
    # Imports until two are of one second. BuildKit of 20.10 gives builds their real times.
    alike = made == "imported" or not docker_client.version()["Version"].startswith("20.")
    while len(told) < 4 or (alike and not any(told.count(each) > 1 for each in told)):
        assert len(told) < 30, "no two have the same history"
        if made == "imported":
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda tag: import_one(docker_client, tag), (len(told), len(told) + 1)))
        else:
            options = ("--tag", f"app:{len(told)}", "--build-arg", "SOURCE_DATE_EPOCH=1000000000")
            images.build_with_buildkit(clean_engine.host, steps, *options, files={"app": os.urandom(STEP)})
        told = histories(docker_client, "app")
    docker_client.api.prune_builds(all=True)
    config = write_config(tmp_path, clean_engine.host, KINDS + KIND.format(kind="image"))
    before = settled(lambda: on_disk(clean_engine), still=2, seconds=30, what="the disk")
    result = watchd_here("prune", "-c", config, "--yes", "--json")
    assert result.returncode == 0, result.stderr
    planned = removed_bytes(plan_of(result))
    assert planned >= len(told) * STEP
    wait_until(
        lambda: freed(before, on_disk(clean_engine)) == pytest.approx(planned, rel=0.05),
        seconds=20,
        what=f"the disk to have {planned} bytes less",
    )


@pytest.mark.parametrize("chosen", [(), ("--policy", "container")])
def test_volumes_that_go_with_their_containers_are_of_known_size(
    docker_client: docker.DockerClient, clean_engine: Engine, tmp_path: Path, chosen: tuple[str, ...]
) -> None:
    command = ["sh", "-c", f"head -c {STEP} /dev/urandom >/data/f"]
    docker_client.containers.run(images.BASE, command, volumes=["/data"], detach=True).wait()
    ended = KIND.format(kind="container").replace("unused_for", "finished_for")
    config = write_config(tmp_path, clean_engine.host, f"{KINDS}{ended}anonymous_volumes = true\n")
    (told,) = (
        item
        for item in plan_of(watchd_here("prune", "-c", config, "--dry-run", "--json", *chosen))["items"]
        if item["kind"] == "volume" and item["action"] == "remove"
    )
    assert (told["bytes"], told["at_least"]) == (pytest.approx(STEP, rel=0.01), False)
