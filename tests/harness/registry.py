"""Debian's image registry, in the network namespace of an engine: for tags that move there."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker

from tests.harness.engine import Engine
from tests.harness.install import PATH, apt_install
from tests.harness.process import Process
from tests.harness.waiting import wait_until

ADDRESS = "127.0.0.1:5000"  # an engine needs no TLS for a registry on the loopback interface


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry with its files in `directory`."""

    directory: Path
    process: Process

    def push(self, client: docker.DockerClient, image: str, repository: str, tag: str) -> None:
        """Push an image of the engine, which does not keep the reference."""
        full = f"{ADDRESS}/{repository}"
        client.images.get(image).tag(full, tag)
        reply = client.api.push(full, tag, stream=True, decode=True)
        assert not [line for line in reply if "error" in line]
        client.images.remove(f"{full}:{tag}")

    def move(self, repository: str, tag: str, to: str) -> None:
        """Give a tag the image of another tag."""
        tags = self.directory / "docker/registry/v2/repositories" / repository / "_manifests/tags"
        shutil.copytree(tags / to, tags / tag, dirs_exist_ok=True)


@contextmanager
def registry(engine: Engine, directory: Path) -> Iterator[Registry]:
    """Run a registry. Raise UnavailableError where there is none and none can be had."""
    if shutil.which("docker-registry", path=PATH) is None:
        apt_install(["docker-registry"])
    config = directory / "registry.yml"
    config.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {directory}}}}}\nhttp: {{addr: '{ADDRESS}'}}\n"
    )
    command = engine.inside("docker-registry", "serve", str(config))
    process = Process.spawn(command, log=directory / "registry.log", environment={**os.environ, "PATH": PATH})
    try:
        ask = engine.inside("busybox", "wget", "-q", "-O", "-", f"http://{ADDRESS}/v2/")
        wait_until(
            lambda: subprocess.run(ask, check=False, capture_output=True).returncode == 0,
            seconds=20,
            what="the registry to answer",
        )
        yield Registry(directory, process)
    finally:
        process.end(10)
