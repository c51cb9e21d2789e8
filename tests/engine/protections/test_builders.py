"""Builders that buildx itself made, of an image that stands in for BuildKit's."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.harness import images
from tests.harness.command import watchd_here
from tests.harness.engine import Engine
from tests.harness.plugins import ensure_buildx
from tests.harness.watchd_process import decisions, plan_of, running, write_config

pytestmark = pytest.mark.newest(stores="both")

CACHED = 3_000_000
BUILDKIT = f"""\
FROM {images.BASE}
RUN printf '#!/bin/sh\\nexit 0\\n' > /bin/buildctl && chmod +x /bin/buildctl
ENTRYPOINT ["sh", "-c", "exec sleep 600"]
"""
POLICIES = """
mode = "enforce"
grace = "0s"
policies = [
    {{ name = "exited", kind = "container", when = {{ finished_for = "0s" }}{ignoring} }},
    {{ name = "created", kind = "container", when = {{ never_started_for = "0s" }}{ignoring} }},
    {{ name = "caches", kind = "volume", when = {{ unused_for = "0s" }}, select = {{ class = ["builder_state"] }} }},
]
"""
IGNORING = ', builders = "ignore", select = { name = ["buildx_buildkit_*"] }'
NAME, GONE = "buildx_buildkit_shop0", "buildx_buildkit_gone0"


@pytest.fixture
def client(clean_engine: Engine, tmp_path: Path) -> Iterator[docker.DockerClient]:
    """A client of an engine with a stopped builder, the cache of one that is gone, and a volume of someone's."""
    environment = {**os.environ, "DOCKER_HOST": clean_engine.host, "BUILDX_CONFIG": str(tmp_path / "buildx")}
    with closing(clean_engine.client()) as client:
        images.build(client, "buildkit:1", BUILDKIT)
        for name in ("shop", "gone"):
            options = [
                "--name",
                name,
                "--driver",
                "docker-container",
                "--driver-opt",
                "image=buildkit:1",
                "--bootstrap",
            ]
            # Where this machine allows no container all capabilities, it is made and not started.
            subprocess.run([ensure_buildx(), "create", *options], env=environment, check=False, timeout=120)
            script = f"head -c {CACHED} /dev/urandom > /state/cache"
            volumes = {f"buildx_buildkit_{name}0_state": {"bind": "/state"}}
            client.containers.run(images.BASE, ["sh", "-c", script], volumes=volumes, remove=True)
        client.containers.get(NAME).stop(timeout=0)
        client.containers.get(GONE).remove(force=True)
        client.volumes.create("data")
        yield client


def test_a_stopped_builder_stays_and_the_cache_of_none_goes(
    clean_engine: Engine, client: docker.DockerClient, tmp_path: Path
) -> None:
    config = write_config(tmp_path, clean_engine.host, POLICIES.format(ignoring=""))
    df: Any = json.loads(watchd_here("df", "--json", "-c", config).stdout)
    builders, volumes = df["kinds"]["builder"], df["kinds"]["volume"]
    assert (builders["count"], volumes["count"]) == (2, 1)
    assert 2 * CACHED <= builders["total"] < 2.1 * CACHED
    assert [(each["name"], each["count"]) for each in builders["policies"]] == [("caches", 1)]
    plan = plan_of(watchd_here("prune", "--yes", "--json", "-c", config))
    assert decisions(plan, "remove") == {("volume", f"{GONE}_state", "remove", "unused_too_long")}
    assert {("container", NAME, "keep", "in_use"), ("volume", f"{NAME}_state", "keep", "in_use")} <= decisions(plan)
    assert {each.name for each in client.volumes.list()} == {f"{NAME}_state", "data"}
    explained = watchd_here("explain", NAME, "-c", config).stdout
    assert re.search(rf"in_use +applies: builder {NAME}$", explained, re.MULTILINE)


def test_a_builder_that_a_policy_names_goes_and_its_cache_with_it(
    clean_engine: Engine, client: docker.DockerClient, tmp_path: Path
) -> None:
    config = write_config(tmp_path, clean_engine.host, POLICIES.format(ignoring=IGNORING))
    done = watchd_here("prune", "--yes", "--json", "-c", config)
    assert done.returncode == 0, done.stderr
    assert [item["outcome"] for item in plan_of(done)["items"] if item["action"] == "remove"] == ["removed"] * 3
    assert {each.name for each in client.volumes.list()} == {"data"}
    assert client.containers.list(all=True) == []


@pytest.mark.usefixtures("client")
def test_a_walk_tells_the_caches_of_builders_and_the_page_shows_it(clean_engine: Engine, tmp_path: Path) -> None:
    config = write_config(tmp_path, clean_engine.host)
    with config.open("a") as file:
        file.write(f'[engine.data_roots]\ncontainerd = "{clean_engine.directory}/containerd"\n')
    with running(config) as daemon:
        assert daemon.ask("/api/v1/deep") == {"last": None}
        walked = json.loads(watchd_here("df", "--deep", "--json", "-c", config).stdout)
        assert daemon.ask("/api/v1/deep") == {"last": walked}
    data = {each["kind"]: each for each in walked["data"] if each["holder"] is None}
    assert (data["builder"]["title"], data["builder"]["count"]) == ("builders' caches", 2)
    assert 2 * CACHED <= data["builder"]["bytes"] < 2.1 * CACHED
    assert data["volume"]["count"] == 1
