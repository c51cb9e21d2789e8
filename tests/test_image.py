"""The image: built without any package index, and run as deploy/README.md says."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from tests import watchd_image
from tests.harness import images
from tests.harness.engine import Engine
from tests.harness.waiting import wait_until


@pytest.fixture(scope="module")
def image(engine: Engine, watchd_tarball: Path) -> Iterator[docker.DockerClient]:
    """A client of an engine that has the image."""
    with closing(engine.client(timeout=300)) as client:
        images.load_base(client)
        watchd_image.load(client, watchd_tarball)
        yield client
        for container in client.containers.list(all=True, ignore_removed=True):
            container.remove(force=True, v=True)
        client.images.remove(watchd_image.TAG, force=True)


def start(client: docker.DockerClient, engine: Engine, **options: Any) -> Container:
    """Run it as a user would: not root, nothing to write to but its volume."""
    return client.containers.run(
        watchd_image.TAG,
        name="watchd",
        detach=True,
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        group_add=[str(engine.socket.stat().st_gid)],
        network_mode="none",
        environment={"WATCHD_HTTP__LISTEN": "127.0.0.1:10210"},
        healthcheck={"test": ["CMD", "watchd", "healthcheck"], "interval": 10**9, "timeout": 15 * 10**9},
        **options,
    )


def page(container: Container) -> str:
    """Return its metrics, asked for inside."""
    ask = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:10210/metrics').read().decode())"
    code, output = container.exec_run(["python3", "-c", ask])
    return output.decode() if code == 0 and isinstance(output, bytes) else ""


@pytest.mark.parametrize("source", ["cgroup", "api"])
def test_it_runs_as_nobody_in_particular_and_is_healthy(
    source: str, image: docker.DockerClient, engine: Engine
) -> None:
    for leftover in image.containers.list(all=True, ignore_removed=True):
        leftover.remove(force=True, v=True)
    image.containers.run(images.BASE, ["sleep", "600"], name="web", detach=True)
    mounts = {str(engine.socket): {"bind": "/var/run/docker.sock"}}
    options: dict[str, Any] = {"volumes": mounts}
    if source == "cgroup":
        mounts["/sys/fs/cgroup"] = {"bind": "/sys/fs/cgroup", "mode": "ro"}
        options |= {"pid_mode": "host", "cgroupns": "host"}
    container = start(image, engine, **options)
    try:
        shown = f'watchd_sampler_info{{source="{source}"}} 1.0'
        wait_until(lambda: shown in page(container), seconds=60, what="it to know where to read")
        assert re.search(r'^container_memory_usage_bytes{.*name="web"', page(container), re.MULTILINE)
        wait_until(lambda: _health(container) == "healthy", seconds=60, what="it to be healthy")
        code, output = container.exec_run(["id", "-u"])
        assert (code, output) == (0, b"10210\n")
        plan = container.exec_run(["watchd", "prune", "--dry-run"])
        assert plan.exit_code == 0
        container.stop(timeout=10)
        container.reload()
        assert container.attrs["State"]["ExitCode"] == 0
    finally:
        print(container.logs().decode())  # noqa: T201 - pytest shows it where a test fails
        container.remove(force=True, v=True)


def _health(container: Container) -> str:
    container.reload()
    return str(container.attrs["State"]["Health"]["Status"])
