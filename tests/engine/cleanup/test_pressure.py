"""Disk pressure on a real disk: a small file system, with an engine of its own on it."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import docker
import pytest

from tests.harness import images
from tests.harness.command import watchd_here
from tests.harness.engine import Engine
from tests.harness.filling import used_percent
from tests.harness.small_disk import small_disk
from tests.harness.waiting import wait_until
from tests.harness.watchd_process import decisions, plan_of, running, write_config
from watchd.store import Store

MEBIBYTE = 1024 * 1024
SIZE = 256 * MEBIBYTE
EACH = 24 * MEBIBYTE

POLICY = """
mode = "enforce"
grace = "0s"
[cleanup.protect]
images = ["base"]
[[cleanup.policies]]
name = "lru"
kind = "image"
pressure.high = "{high}%"
pressure.low = "{low}%"
"""
VOLUMES = (
    POLICY
    + """
[[cleanup.policies]]
name = "volumes"
kind = "volume"
select.named = true
select.name = ["v*"]
pressure.high = "{high}%"
pressure.low = "{low}%"
"""
)


@pytest.fixture
def small_engine(new_engine_directory: Callable[[], Path]) -> Iterator[Engine]:
    """An engine on a file system of 256 MiB."""
    directory = new_engine_directory()
    with small_disk(directory, SIZE), Engine.start(directory / "e") as engine:
        with closing(engine.client()) as client:
            images.load_base(client)
        yield engine
    directory.rmdir()


@pytest.fixture
def client(small_engine: Engine) -> Iterator[docker.DockerClient]:
    with closing(small_engine.client()) as client:
        yield client


def fill(client: docker.DockerClient, count: int) -> None:
    """Build images, and use each but the first two: number 2 last of all."""
    for number in range(count):
        images.build(client, f"app:{number}", f"FROM {images.BASE}\nCOPY f /f\n", {"f": os.urandom(EACH)})


def test_the_daemon_makes_room_until_the_low_mark_the_least_recently_used_first(
    small_engine: Engine, client: docker.DockerClient, tmp_path: Path
) -> None:
    fill(client, 4)
    full = used_percent(small_engine.data_root)
    each = 100 * EACH / SIZE
    # Room for two of the four at the low mark.
    cleanup = POLICY.format(high=round(full + each / 2, 2), low=round(full - 0.7 * each, 2))
    config = write_config(tmp_path, small_engine.host, cleanup)
    with running(config) as daemon:
        wait_until(lambda: daemon.value("watchd_images", **{"class": "tagged"}) == 5, seconds=10, what="all images")
        assert daemon.value("watchd_prune_under_pressure") is None
        for number in (0, 3, 1):
            client.containers.run(f"app:{number}", ["true"], remove=True)
        assert len(images.tags(client)) == 5, "between the marks nothing goes"
        used = [str(client.images.get(f"app:{number}").id) for number in (0, 3, 1)]
        with closing(Store.open(tmp_path / "state")) as store:
            engine = client.info()["ID"]
            wait_until(
                lambda: all(store.observations(engine)["image", id_].last_used for id_ in used),
                seconds=10,
                what="the uses",
            )
        fill_up = small_engine.data_root / "filler"
        fill_up.write_bytes(os.urandom(EACH))
        wait_until(lambda: used_percent(small_engine.data_root) <= full - 0.7 * each, seconds=30, what="room")
        wait_until(lambda: daemon.value("watchd_prune_under_pressure") is None, seconds=10, what="it to be done")
        assert images.tags(client) == {images.BASE, "app:3", "app:1"}, "2 was never used, and 0 before the others"
        removed = daemon.value("watchd_prune_removed_total", kind="image", policy="lru", reason="pressure")
        assert removed == 2
        freed = daemon.value("watchd_prune_freed_bytes_total")
        assert freed is not None
        assert freed >= EACH, "less than both, if it began before all of the file was written"
    rows = watchd_here("history", "-c", config, "--json").stdout
    assert '"used": "' in rows, "the record tells how full it was"
    assert {row["trigger"] for row in json.loads(rows)} == {"pressure"}


def test_a_run_by_hand_stops_at_the_low_mark_and_a_dry_run_says_where(
    small_engine: Engine, client: docker.DockerClient, tmp_path: Path
) -> None:
    fill(client, 3)
    full = used_percent(small_engine.data_root)
    each = 100 * EACH / SIZE
    config = write_config(
        tmp_path, small_engine.host, POLICY.format(high=round(full - 1, 2), low=round(full - each / 2, 2))
    )
    dry = watchd_here("prune", "-c", config, "--dry-run")
    assert "while the disk is fuller than" in dry.stdout
    assert "Would remove 1 image" in dry.stdout
    assert "below_watermark" in dry.stdout
    result = watchd_here("prune", "-c", config, "--yes", "--json")
    assert result.returncode == 0, result.stderr
    assert len(decisions(plan_of(result), "remove")) == 1
    assert len(images.tags(client)) == 3
    assert decisions(plan_of(watchd_here("prune", "-c", config, "--yes", "--json")), "remove") == set()


def test_where_images_free_nothing_volumes_make_the_room_at_once(
    small_engine: Engine, client: docker.DockerClient, tmp_path: Path
) -> None:
    """Another program has the files of the images open, so the disk gets nothing back for them."""
    fill(client, 4)
    for number in range(4):
        volume = {f"v{number}": {"bind": "/v", "mode": "rw"}}
        write = f"head -c {EACH} /dev/zero > /v/f"
        client.containers.run(images.BASE, ["sh", "-c", write], volumes=volume, remove=True)
    full, each = used_percent(small_engine.data_root), 100 * EACH / SIZE
    volumes = VOLUMES.format(high=round(full - each / 2, 2), low=round(full - 1.5 * each, 2))
    config = write_config(tmp_path, small_engine.host, volumes)
    with ExitStack() as files:
        for path in small_engine.data_root.glob("overlay2/*/diff/f"):
            files.enter_context(path.open("rb"))
        with running(config) as daemon:
            wait_until(lambda: used_percent(small_engine.data_root) <= full - 1.5 * each, seconds=30, what="room")
            wait_until(lambda: daemon.value("watchd_prune_under_pressure") is None, seconds=10, what="it to be done")
            assert "removals of this kind freed nothing" in daemon.log
    assert (len(images.tags(client)), len(client.volumes.list())) == (2, 2), "three images went, the base and one stay"
