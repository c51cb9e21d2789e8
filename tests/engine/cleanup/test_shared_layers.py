"""Disk pressure where BuildKit builds, on each store: images and its cache hold the same layers."""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.harness import images, newer
from tests.harness.command import watchd_here
from tests.harness.engine import Engine
from tests.harness.install import UnavailableError
from tests.harness.registry import ADDRESS, registry
from tests.harness.small_disk import small_disk
from tests.harness.waiting import settled, wait_until
from tests.harness.watchd_process import plan_of, watchd, write_config

MEBIBYTE = 1024 * 1024
SIZE = 600 * MEBIBYTE
EACH = 20 * MEBIBYTE
BUILDS = 5
PULLS = 20
SMALL_IMAGES = 60
MOST_AT_ONCE = 16

CLEANUP = """
mode = "enforce"
grace = "0s"
count_unwatched = true
"""
POLICY = """
[[cleanup.policies]]
name = "{kind}"
kind = "{kind}"
pressure.high = "{high}%"
pressure.low = "{low}%"
"""


@pytest.fixture(params=["graphdriver", "containerd"], scope="module")
def builder(request: pytest.FixtureRequest, new_engine_directory: Callable[[], Path]) -> Iterator[Engine]:
    """An engine on a small file system: this machine's, or the newest with containerd's store."""
    options: dict[str, Any] = {}
    if request.param == "containerd":
        try:
            options = {"environment": newer.environment(), "config": newer.CONTAINERD_STORE}
        except UnavailableError as error:
            pytest.skip(str(error))
    directory = new_engine_directory()
    with small_disk(directory, SIZE), Engine.start(directory / "e", **options) as engine:
        with closing(engine.client()) as client:
            images.load_base(client)
        yield engine
    directory.rmdir()


@pytest.fixture
def client(builder: Engine) -> Iterator[docker.DockerClient]:
    with closing(builder.client()) as client:
        yield client


def used(engine: Engine) -> int:
    of = os.statvfs(engine.data_root)
    return (of.f_blocks - of.f_bfree) * of.f_frsize


def build(engine: Engine, tag: str) -> None:
    """Build an image of 20 MiB that no other build can take from the cache."""
    step = f"FROM {images.BASE}\nRUN head -c {EACH} /dev/urandom >/f # {tag}\n"
    images.build_with_buildkit(engine.host, step, "--tag", tag, "--network", "none")


def policies(high: float, low: float, *kinds: str) -> str:
    return CLEANUP + "".join(POLICY.format(kind=kind, high=round(high, 2), low=round(low, 2)) for kind in kinds)


def configured(directory: Path, engine: Engine, client: docker.DockerClient, cleanup: str) -> Path:
    """Write a configuration that names the disk of containerd's images: no container runs that would prove it."""
    if client.info()["Driver"] != "overlay2":
        cleanup += f'[engine.data_roots]\ncontainerd = "{engine.data_root}"\n'
    return write_config(directory, engine.host, cleanup)


def pull(client: docker.DockerClient, tag: int) -> None:
    """Pull an image, once more where the engine refuses because the one before is removed at that moment."""
    try:
        images.pull(client, f"{ADDRESS}/pulled", str(tag))
    except RuntimeError as error:
        if "failed to lease content" not in str(error):
            raise
        images.pull(client, f"{ADDRESS}/pulled", str(tag))


def percent(size: float) -> float:
    return 100 * size / SIZE


def test_one_run_reaches_the_low_mark_and_keeps_the_base_and_the_newest(
    builder: Engine, client: docker.DockerClient, tmp_path: Path
) -> None:
    for number in range(BUILDS):
        build(builder, f"app:{number}")
    before = used(builder)
    low = percent(before - (1.5 if client.info()["Driver"] == "overlay2" else 6.5) * EACH)
    config = configured(tmp_path, builder, client, policies(percent(before) - 1, low, "image", "build_cache"))
    result = watchd_here("prune", "-c", config, "--yes", "--json")
    assert result.returncode == 0, result.stderr
    plan = plan_of(result)
    assert percent(used(builder)) <= low, "in one run"
    planned = sum(item["bytes"] for item in plan["items"] if item["action"] == "remove")
    assert before - used(builder) == pytest.approx(planned, rel=0.15), "what was planned is what the disk got back"
    kinds = {item["kind"] for item in plan["items"] if item["action"] == "remove"}
    assert kinds == {"image", "build_cache"}, "what holds the same layers went together"
    left = images.tags(client)
    assert images.BASE in left
    assert f"app:{BUILDS - 1}" in left
    build(builder, "next:1")


def test_many_small_images_go_together_but_no_further_than_the_low_mark(
    builder: Engine, client: docker.DockerClient, tmp_path: Path
) -> None:
    for number in range(SMALL_IMAGES):  # of those of one second the engine tells the same history
        content = images.archive({"f": os.urandom(MEBIBYTE)})
        client.api.import_image_from_data(content, repository="small", tag=str(number))
    # BuildKit gives room back some seconds after the test before.
    before = settled(lambda: used(builder), still=2, seconds=30, what="the disk")
    # Between two images, whether one takes 1 MiB or 2, so that estimate and disk agree on the last one.
    low = percent(before - SMALL_IMAGES // 2 * MEBIBYTE - MEBIBYTE // 2)
    small = policies(percent(before) - 1, low, "image") + 'select.repository = ["small"]\n'
    config = configured(tmp_path, builder, client, small)
    result = watchd_here("prune", "-c", config, "--yes", "--json")
    assert result.returncode == 0, result.stderr
    left = percent(used(builder))
    assert low - percent(MOST_AT_ONCE * MEBIBYTE) < left <= low
    planned = [item for item in plan_of(result)["items"] if item["action"] == "remove"]
    stayed = images.listed(client, "small")
    for each in stayed:  # the engine is that of the next test, too
        client.images.remove(each["Id"])
    assert len(stayed) == SMALL_IMAGES - len(planned), "the estimates were right: all of them went"


def test_images_that_the_cache_holds_too_are_not_removed_in_vain(
    builder: Engine, client: docker.DockerClient, tmp_path: Path
) -> None:
    build(builder, "kept:1")
    build(builder, "kept:2")
    before, there = used(builder), images.tags(client)
    config = configured(tmp_path, builder, client, policies(1, 0, "image"))
    result = watchd_here("prune", "-c", config, "--yes")
    gone = there - images.tags(client)
    if client.info()["Driver"] == "overlay2":
        assert gone.isdisjoint({images.BASE, "kept:1", "kept:2"}), "the cache has their layers"
        freed = before - used(builder)
        lost = 0.8 * EACH * len(gone) - MEBIBYTE  # the engine notes what it does
        assert freed >= lost, "an image of the test before goes only if the cache has lost its layer"
        assert "would free nothing: the build cache has the same layers" in result.stdout
    else:
        assert before - used(builder) >= 0.8 * EACH * len(gone - {images.BASE}), "each freed its own files"
    images.load_base(client)


def test_pulls_and_builds_beside_runs_finish(builder: Engine, client: docker.DockerClient, tmp_path: Path) -> None:
    config = configured(tmp_path, builder, client, policies(1, 0.5, "image", "build_cache"))
    store = tmp_path / "registry"
    store.mkdir()
    ended = threading.Event()
    runs: list[str] = []

    def removed() -> int:
        return sum(run.count(f"removed image {ADDRESS}/pulled:") for run in runs)

    def clean() -> None:
        while not ended.is_set():
            runs.append(watchd("prune", "-c", config, "--yes").stdout)

    cleaning = threading.Thread(target=clean)
    try:
        with registry(builder, store) as there:
            build(builder, "pulled:base")

            def make(number: int) -> None:  # a tag that goes while it is pulled again is lost by the engine itself
                step = f"FROM pulled:base\nRUN echo {number} >/number\n"
                images.build_with_buildkit(builder.host, step, "--tag", f"pulled:{number}", "--network", "none")

            with ThreadPoolExecutor(4) as pool:
                list(pool.map(make, range(PULLS)))
            for number in range(PULLS):
                there.push(client, f"pulled:{number}", "pulled", str(number))
            used_by = client.containers.create(images.BASE, "true")  # what builds begin with would go at once
            cleaning.start()
            try:
                for number in range(PULLS):
                    pull(client, number)
                    if number % 5 == 0:
                        build(builder, f"beside:{number}")
                wait_until(lambda: removed() >= PULLS / 4, seconds=60, what="images to go in between")
            finally:
                ended.set()
                cleaning.join()
                used_by.remove()
    except UnavailableError as error:
        pytest.skip(str(error))
