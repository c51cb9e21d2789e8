"""Scenarios for `tests.bench.room`: what fills a disk, what watchd is told, and the engine's own prune."""

import itertools
import os
import re
import time
import tomllib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import docker

from tests.harness import images
from tests.harness.engine import Engine
from tests.harness.registry import ADDRESS, registry
from tests.harness.watchd_process import write_config

MEBIBYTE = 1024 * 1024
SIZE = 300 * MEBIBYTE
CI_SIZE = 900 * MEBIBYTE
CACHE_SIZE = 400 * MEBIBYTE
EACH = 10 * MEBIBYTE
SMALL = 600_000  # bytes
FULL = 82  # percent
BUILDS = 40
PULLS = 60
ENDED_CONTAINERS = 100
FASTER = 720  # times as fast as the cookbook: two hours are ten seconds
FASTER_DAYS = 17_280  # a day is five seconds
SMALLER = 83  # 15 GiB are 185 MiB
DEVELOPER_ROUNDS = 60

COOKBOOK = Path(__file__).parents[2] / "docs/cookbook.md"

PRESSURE = """
[[cleanup.policies]]
name = "{kind}"
kind = "{kind}"
pressure.high = "80%"
pressure.low = "60%"
"""
ONCE = 'mode = "enforce"\ngrace = "0s"\ncount_unwatched = true\n'
TOTAL = """
[[cleanup.policies]]
name = "cache"
kind = "build_cache"
pressure.total_above = "150MiB"
pressure.total_until = "80MiB"
"""
ENDED = """
[[cleanup.policies]]
name = "ended"
kind = "container"
when.finished_for = "0s"
anonymous_volumes = true
"""


@dataclass
class Host:
    """An engine on a small disk. `failures` are of pulls and builds."""

    engine: Engine
    client: docker.DockerClient
    disk: Path  # that of what is removed
    directory: Path
    live: bool = False  # whether the daemon cleans meanwhile
    failures: list[str] = field(default_factory=list)

    @property
    def used(self) -> int:
        """Return the bytes used on the disk."""
        of = os.statvfs(self.disk)
        return (of.f_blocks - of.f_bfree) * of.f_frsize

    def settle(self) -> None:
        """Wait until the disk stays as it is for a second: containerd collects its garbage a moment later."""
        used, since, end = self.used, time.monotonic(), time.monotonic() + 15
        while time.monotonic() < min(since + 1, end):
            time.sleep(0.1)
            if self.used != used:
                used, since = self.used, time.monotonic()

    @property
    def percent(self) -> float:
        """Return Use% of `df`."""
        of = os.statvfs(self.disk)
        return 100 * (of.f_blocks - of.f_bfree) / (of.f_blocks - of.f_bfree + of.f_bavail)

    def build(self, tag: str, size: int = EACH) -> None:
        """Build an image with BuildKit, which no other build can take from the cache."""
        step = f"FROM {images.BASE}\nRUN head -c {size} /dev/urandom >/f # {time.monotonic_ns()}\n"
        arguments = ("--tag", tag, "--network", "none")
        try:
            images.build_with_buildkit(self.engine.host, step, *arguments)
        except RuntimeError as error:
            self.failures.append(str(error))

    def config(self, cleanup: str) -> Path:
        """Write a configuration that names the disk of containerd's images: no container runs that would prove it."""
        if self.client.info()["Driver"] != "overlay2":
            cleanup += f'[engine.data_roots]\ncontainerd = "{self.engine.directory / "containerd"}"\n'
        return write_config(self.directory, self.engine.host, cleanup)


@dataclass(frozen=True)
class Scenario:
    """What fills a disk, what watchd is told, and the engine's own way to make room.

    `live`: the daemon runs meanwhile.
    """

    name: str
    marks: str
    cleanup: str
    fill: Callable[[Host], None]
    prune: Callable[[docker.DockerClient], object]
    live: bool = False
    size: int = SIZE
    disks: Mapping[str, int] = field(default_factory=dict)  # by folder; else one for all
    stores: tuple[str, ...] = ("20.10", "graph driver", "containerd")


def recipe(title: str, faster: int = FASTER) -> str:
    """Return a recipe of the cookbook, in force, with shorter times and smaller sizes."""
    text = COOKBOOK.read_text().split(f"\n## {title}\n", 1)[1].split("```toml\n", 1)[1].split("```", 1)[0]
    units = {"m": 60, "h": 3600, "d": 86400}

    def shorter(found: re.Match[str]) -> str:
        return f'"{max(1, round(int(found[1]) * units[found[2]] / faster))}s"'

    text = text.replace('"report"', '"enforce"').replace("[cleanup]\n", "" if "grace" in text else 'grace = "1h"\n', 1)
    scaled = re.sub(r'"(\d+)([mhd])"', shorter, text)
    scaled = re.sub(r'"(\d+)GiB"', lambda found: f'"{int(found[1]) * 1024 // SMALLER}MiB"', scaled)
    tomllib.loads(f"[cleanup]\n{scaled}")
    return scaled


def fill_with_builds(host: Host) -> None:
    number = 0
    while host.percent < FULL and not host.failures:
        host.build(f"app:{number}")
        number += 1


def fill_with_images(host: Host) -> None:
    number = 0
    while host.percent < FULL:
        images.build(host.client, f"app:{number}", f"FROM {images.BASE}\nCOPY f /f\n", {"f": os.urandom(EACH)})
        number += 1


def fill_with_small_images(host: Host) -> None:
    """Import images of one layer each, all of one size."""

    def bring(number: int) -> None:
        content = images.archive({"f": os.urandom(SMALL)})
        host.client.api.import_image_from_data(content, repository="small", tag=str(number))

    with ThreadPoolExecutor(4) as pool:
        for first in itertools.count(step=20):
            list(pool.map(bring, range(first, first + 20)))
            if host.percent >= FULL:
                return


def fill_the_cache(host: Host) -> None:
    for number in range(20):
        step = f"FROM {images.BASE} AS a\nRUN head -c {EACH} /dev/urandom >/f # {number}\n"
        last = f"FROM {images.BASE}\nCOPY --from=a /etc/passwd /x{number}\n"
        images.build_with_buildkit(host.engine.host, step + last, "--tag", "app:1", "--network", "none")


def end_containers(host: Host) -> None:
    command = ["sh", "-c", f"head -c {MEBIBYTE} /dev/urandom >/data/f"]
    for _ in range(ENDED_CONTAINERS):
        host.client.containers.run(images.BASE, command, volumes=["/data"], network_mode="none", detach=True).wait()


def run_jobs(host: Host) -> None:
    """Build as a CI runner does, an image of 20 MiB every 2 s, and run each once."""
    for number in range(BUILDS):
        soon = time.monotonic() + 2
        host.build(f"build-{number}:1", 2 * EACH)
        with suppress(docker.errors.APIError):
            host.client.containers.run(f"build-{number}:1", ["true"], network_mode="none", detach=True).wait()
        if host.live:
            time.sleep(max(0.0, soon - time.monotonic()))
        elif host.percent > FULL:
            return


def develop(host: Host) -> None:
    """Build and test as a developer does, two images of 10 MiB every 2 s, and keep what a developer keeps."""
    host.build("kindest/node:1", EACH)
    host.build("vsc-shop:1", EACH)
    of_devcontainer, of_tests = {"devcontainer.local_folder": "/src/shop"}, {"org.testcontainers": "true"}
    host.client.containers.run("vsc-shop:1", ["true"], labels=of_devcontainer, detach=True).wait()
    write = ["sh", "-c", f"head -c {MEBIBYTE} /dev/urandom >/data/f"]
    host.client.containers.run(images.BASE, write, volumes=["shop_db:/data"], network_mode="none", remove=True)
    for number in range(DEVELOPER_ROUNDS):
        soon = time.monotonic() + 2
        host.build("shop-web:latest")
        host.build(f"shop-{number}:dev")
        with suppress(docker.errors.APIError):
            host.client.containers.run("shop-web:latest", write, labels=of_tests, volumes=["/data"], detach=True).wait()
        if host.live:
            time.sleep(max(0.0, soon - time.monotonic()))
        elif host.percent > FULL:
            return


def pull_fast(host: Host) -> None:
    """Pull until the disk is full and further, an image of 10 MiB every 0.75 s."""
    (store := host.directory / "registry").mkdir()
    with registry(host.engine, store) as there:
        for number in range(PULLS):
            images.build(host.client, "new:1", f"FROM {images.BASE}\nCOPY f /f\n", {"f": os.urandom(EACH)})
            there.push(host.client, "new:1", "pulled", str(number))
            host.client.images.remove("new:1")
        for number in range(PULLS):
            soon = time.monotonic() + 0.75
            try:
                images.pull(host.client, f"{ADDRESS}/pulled", str(number))
            except RuntimeError as error:
                host.failures.append(str(error))
            if host.live:
                time.sleep(max(0.0, soon - time.monotonic()))
            elif host.percent > FULL:
                return


def prune_all(client: docker.DockerClient) -> None:
    client.containers.prune()
    client.images.prune({"dangling": False})
    client.api.prune_builds(all=True)


def prune_containers(client: docker.DockerClient) -> None:
    client.containers.prune()
    client.volumes.prune()


SCENARIOS = (
    Scenario(
        "a CI runner, by the cookbook",
        "80 to 60 %",
        recipe("A CI runner"),
        run_jobs,
        prune_all,
        live=True,
        size=CI_SIZE,
    ),
    Scenario(
        "a developer's machine, by the cookbook",
        "185 to 370 MiB free",
        recipe("A developer's machine", FASTER_DAYS),
        develop,
        prune_all,
        live=True,
        size=CI_SIZE,
    ),
    Scenario(
        "images and the build cache",
        "80 to 60 %",
        ONCE + PRESSURE.format(kind="image") + PRESSURE.format(kind="build_cache"),
        fill_with_builds,
        prune_all,
    ),
    Scenario(
        "images only, built with BuildKit",
        "80 to 60 %",
        ONCE + PRESSURE.format(kind="image"),
        fill_with_builds,
        lambda client: client.images.prune({"dangling": False}),
    ),
    Scenario(
        "containerd's images on a disk of their own",
        "80 to 60 %",
        ONCE + PRESSURE.format(kind="image"),
        fill_with_images,
        lambda client: client.images.prune({"dangling": False}),
        disks={"data": SIZE, "containerd": SIZE},
        stores=("containerd",),
    ),
    Scenario(
        "small images, nearly all of them",
        "80 to 15 %",
        ONCE + PRESSURE.replace("60%", "15%").format(kind="image"),
        fill_with_small_images,
        lambda client: client.images.prune({"dangling": False}),
    ),
    Scenario(
        "the build cache by its size",
        "150 to 80 MiB",
        ONCE + TOTAL,
        fill_the_cache,
        lambda client: client.api.prune_builds(all=True, keep_storage=80 * MEBIBYTE),
    ),
    Scenario(
        f"{ENDED_CONTAINERS} ended containers with volumes", "none", ONCE + ENDED, end_containers, prune_containers
    ),
    Scenario(
        "pulls that fill the last tenth",
        "90 to 75 %",
        recipe("A registry mirror, or a cache of any kind"),
        pull_fast,
        lambda client: client.images.prune({"dangling": False}),
        live=True,
        size=CACHE_SIZE,
    ),
)
