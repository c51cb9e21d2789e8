"""`watchd df --deep` on engines with what fills disks and no list shows, each on a file system of its own."""

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
import requests
from docker.errors import APIError
from docker.types import LogConfig
from urllib3.exceptions import HTTPError

from tests.harness import images, newer, user
from tests.harness.command import watchd_here
from tests.harness.engine import Engine
from tests.harness.install import UnavailableError
from tests.harness.registry import ADDRESS, registry
from tests.harness.waiting import settled, wait_until
from tests.harness.watchd_process import watchd, write_config
from watchd.units import parse_size, parse_time

SIZE = 900 * 1024**2
LOG = 20_000_000  # bytes
SMALL, LAYER = 8_000_000, 120_000_000  # layers of the image that is pulled
ORPHAN, YOUNG = "f" * 64, "e" * 64
LINE = "0123456789" * 10
NOISY = f"yes {LINE} | head -c {LOG}; echo x > /data/file; ln /data/file /data/linked; exec sleep 600"
ROTATED = LogConfig(type="json-file", config={"max-size": "9m", "max-file": "3"})

STORES: dict[str, dict[str, Any]] = {
    "docker": {},
    "newest graph driver": {"config": newer.GRAPH_DRIVER},
    "newest containerd": {"config": newer.CONTAINERD_STORE},
}


@dataclass(frozen=True, slots=True)
class Filled:
    """An engine, and the configuration of a watchd for it."""

    engine: Engine
    config: Path
    on_containerd: bool

    def deep(self) -> Any:
        result = watchd_here("df", "--deep", "--json", "-c", self.config)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)


@pytest.fixture(params=STORES, scope="module")
def filled(
    request: pytest.FixtureRequest, new_engine_directory: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Filled]:
    options = dict(STORES[request.param])
    if options:
        try:
            options["environment"] = newer.environment()
        except UnavailableError as error:
            pytest.skip(str(error))
    directory = new_engine_directory()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "watchd-test", directory], check=True)
    try:
        with Engine.start(directory / "e", **options) as engine:
            directory.chmod(0o711)  # an ordinary user comes to the socket
            on_containerd = "containerd" in request.param
            roots = f'[engine.data_roots]\ncontainerd = "{engine.directory}/containerd"\n' if on_containerd else ""
            with closing(engine.client()) as client:
                fill(engine, client)
                cut_a_pull(engine, client, directory / "registry")
            config = write_config(tmp_path_factory.mktemp("deep"), engine.host, roots)
            yield Filled(engine, config, on_containerd)
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)
        directory.rmdir()


def fill(engine: Engine, client: docker.DockerClient) -> None:
    """Make a log that was rotated, a volume, and a build of which neither the image nor the cache is left."""
    images.load_base(client)
    client.volumes.create("data")
    client.volumes.create("buildx_buildkit_big0_state")
    volumes = {"data": {"bind": "/data"}}
    client.containers.run(
        images.BASE,
        ["sh", "-c", NOISY],
        name="web",
        detach=True,
        volumes=volumes,
        network_mode="none",
        log_config=ROTATED,
        stop_signal="SIGKILL",  # else the engine, when it starts after a crash, gives it 10 s
    )
    with suppress(UnavailableError):
        step = f"FROM {images.BASE}\nRUN head -c 1000000 /dev/urandom >/f\n"
        images.build_with_buildkit(engine.host, step, "--tag", "built:1", "--network", "none")
        client.images.remove("built:1")
        client.api.prune_builds(all=True)
    logs = engine.data_root / "containers"
    wait_until(lambda: len(list(logs.glob("*/*-json.log.*"))) == 2, seconds=60, what="the log to be rotated")


def cut_a_pull(engine: Engine, client: docker.DockerClient, directory: Path) -> None:
    """Kill dockerd while it pulls; on a graph driver, make a layer by hand that it does not know of meanwhile.

    The registry stands still with a part of the large layer sent, and containerd has unpacked the small one by then.
    """
    steps = [f"RUN head -c {size} /dev/urandom > /{size}\n" for size in (SMALL, LAYER)]
    images.build(client, "big:1", f"FROM {images.BASE}\n" + "".join(steps))
    directory.mkdir()
    begun = [
        *(engine.directory / "containerd/io.containerd.content.v1.content").glob("ingest"),
        engine.data_root / "tmp",
    ]
    with registry(engine, directory) as there:
        there.push(client, "big:1", "big", "1")
        client.images.remove("big:1")
        snapshots = engine.directory / "containerd/io.containerd.snapshotter.v1.overlayfs/snapshots"
        unpacked, on_containerd = size_of(snapshots), client.info()["Driver"] != "overlay2"

        def pull() -> None:
            with suppress(APIError, requests.RequestException, HTTPError, RuntimeError, OSError):
                images.pull(client, f"{ADDRESS}/big", "1")

        def has_a_part() -> bool:
            return any(LAYER // 10 < size < LAYER for folder in begun for size in sizes_in(folder))

        def stand_still() -> None:
            there.process.freeze()
            what = [*begun, snapshots]
            settled(lambda: [sizes_in(folder) for folder in what], still=0.5, seconds=30, what="what was sent")

        def begin() -> threading.Thread:
            pulling = threading.Thread(target=pull)
            pulling.start()
            wait_until(lambda: has_a_part() or not pulling.is_alive(), seconds=30, what="a part of the layer to come")
            stand_still()
            return pulling

        def small_one_is_there() -> bool:
            return size_of(snapshots) >= unpacked + SMALL or not on_containerd

        pulling = begin()
        while not (has_a_part() and small_one_is_there()):
            there.process.go_on()
            if has_a_part():
                time.sleep(0.01)  # for a little more
                stand_still()
            else:  # all of it came meanwhile
                pulling.join()
                client.images.remove(f"{ADDRESS}/big:1")
                pulling = begin()
        engine.kill()
        pulling.join()
        there.process.go_on()
        for name, size in {ORPHAN: 7_000_000, YOUNG: 3_000_000}.items():
            if (folder := engine.data_root / "overlay2").exists():
                (folder / name / "diff").mkdir(parents=True)
                (folder / name / "diff/file").write_bytes(os.urandom(size))
                os.utime(folder / name, times=(0, 0) if name == ORPHAN else None)
        engine.start_again()


def sizes_in(folder: Path) -> list[int]:
    """Return the bytes of each file below a folder; they may go meanwhile."""
    sizes = []
    for inside, _, files in os.walk(folder):
        for file in files:
            with suppress(FileNotFoundError):
                sizes.append(Path(inside, file).lstat().st_size)
    return sizes


def size_of(folder: Path) -> int:
    return sum(sizes_in(folder))


def du(*paths: Path) -> int:
    done = subprocess.run(["du", "-sxc", "--block-size=1", *paths], check=True, capture_output=True, text=True)
    return int(done.stdout.splitlines()[-1].split()[0])


def shares(usage: Any) -> dict[tuple[str, str | None], Any]:
    return {(each["kind"], each["holder"]): each for each in usage["data"]}


def test_the_sum_is_that_of_du_and_with_what_is_outside_that_of_the_disk(filled: Filled) -> None:
    engine = filled.engine
    usage = filled.deep()
    roots = [engine.data_root, *([engine.directory / "containerd"] if filled.on_containerd else [])]
    assert usage["roots"] == [str(root) for root in roots]
    total = sum(each["bytes"] for each in usage["data"])
    assert total == pytest.approx(du(*roots), rel=0.01)
    (disk,) = usage["disks"]
    of = os.statvfs(engine.data_root)
    assert disk["walked"] == total
    assert disk["walked"] + disk["outside"] == disk["used"]
    assert disk["used"] == pytest.approx((of.f_blocks - of.f_bfree) * of.f_frsize, rel=0.01)
    assert disk["mounted_on"] == str(engine.directory.parent)
    assert usage["not_walked"] == [], "overlays of containers have no data of their own"


def test_logs_are_told_with_their_rotated_parts_by_container(filled: Filled) -> None:
    log = shares(filled.deep())["log", None]
    assert log["count"] == 1
    assert log["largest"][0]["name"] == "web"
    assert log["bytes"] >= LOG
    assert "max-size" in log["advice"]


def test_volumes_and_images_are_told_by_name(filled: Filled) -> None:
    usage = shares(filled.deep())
    assert {each["name"] for each in usage["volume", None]["largest"]} == {"data"}
    assert {each["name"] for each in usage["builder", None]["largest"]} == {"buildx_buildkit_big0_state"}
    layers = usage["snapshot" if filled.on_containerd else "layer", "image"]
    assert [each["name"] for each in layers["largest"]] == [images.BASE]
    assert layers["bytes"] == pytest.approx(2_000_000, rel=0.1)
    of_container = usage["snapshot" if filled.on_containerd else "layer", "container"]
    assert [each["name"] for each in of_container["largest"]] == ["web"]


def test_a_layer_that_no_record_has_is_told(filled: Filled) -> None:
    usage = shares(filled.deep())
    if filled.on_containerd:
        assert ("layer", "nobody") not in usage
        return
    orphans = usage["layer", "nobody"]
    assert orphans["count"] == 1
    assert orphans["largest"] == [{"name": ORPHAN, "bytes": orphans["bytes"]}]
    assert orphans["bytes"] == pytest.approx(7_000_000, rel=0.01)
    text = watchd_here("df", "--deep", "-c", filled.config).stdout
    assert "layers held by nobody: no record of the engine has it" in text
    assert re.search(r"^layers +nobody +7MB +1 +f{12}\.\.\. 7MB$", text, re.MULTILINE)


def test_what_containerd_holds_for_a_pull_that_was_cut_short_is_told(filled: Filled) -> None:
    usage = shares(filled.deep())
    if not filled.on_containerd:
        assert [whose for whose in usage if whose[1] == "pull"] == [("layer", "pull")], "dockerd clears away its own"
        young = {each["name"] for each in usage["layer", "pull"]["largest"]}
        assert YOUNG in young, (
            "it may be under way; so may the layer that the pull was unpacking, where it had begun to"
        )
        return
    assert usage["download", None]["bytes"] > LAYER // 20
    pull = usage["content", "pull"]
    assert 0 < parse_time(pull["held_until"]) - time.time() < 9 * 3600
    text = watchd_here("df", "--deep", "-c", filled.config).stdout
    assert "downloads begun: of pulls under way, or cut short" in text
    assert usage["snapshot", "pull"]["bytes"] >= SMALL, "what came first was unpacked"
    plain = watchd_here("df", "-c", filled.config).stdout
    said = re.search(r"^layers that no image has: at least (\S+); `watchd df --deep` tells who", plain, re.MULTILINE)
    assert said is not None, plain
    assert SMALL * 0.9 <= parse_size(said[1]) <= usage["snapshot", "pull"]["bytes"] * 1.1
    assert "(the last ends in 7h" in text


def test_what_a_build_leaves_is_told_as_its_history(filled: Filled) -> None:
    usage = shares(filled.deep())
    if filled.on_containerd:
        assert usage["content", "build_history"]["bytes"] > 0
        assert not [whose for whose in usage if whose[1] in ("build_cache", "lost_cache", "nobody")]
    else:
        assert usage["buildkit", None]["bytes"] > 0


def test_an_ordinary_user_is_told_what_helps(filled: Filled) -> None:
    group = f"--groups={filled.engine.socket.stat().st_gid}"
    as_user = ["setpriv", "--reuid=65534", "--regid=65534", group, "--bounding-set=-all", "--no-new-privs"]
    environment = {"WATCHD_ENGINE__HOST": filled.engine.host, "HOME": "/"}
    result = watchd("df", "--deep", through=[*user.enterable(), *as_user], **environment)
    assert result.returncode == 1
    assert result.stderr == (
        f"watchd: {filled.engine.data_root} is for root alone: run `sudo watchd df --deep`; in a container, with user 0"
        " and the capability DAC_READ_SEARCH\n"
    )


def test_where_the_data_is_not_the_engines_nothing_is_walked(filled: Filled) -> None:
    hidden = f'mount -t tmpfs none {filled.engine.data_root} && exec "$@"'
    result = watchd("df", "--deep", "-c", filled.config, through=["unshare", "--mount", "sh", "-c", hidden, "sh"])
    assert result.returncode == 1
    assert "is not proven to be this engine's: set engine.data_roots.docker" in result.stderr
