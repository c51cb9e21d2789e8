"""watchd's image, built by Compose as `deploy/compose` says, where there is no package index for the build to reach."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import docker

from tests import ROOT
from tests.harness import images
from tests.harness.engine import Engine
from tests.harness.plugins import ensure_compose

FILES = ("Dockerfile", ".dockerignore", "pyproject.toml", "requirements.lock", "README.md", "LICENSE")
BUILD_TOOLS = ("hatchling",)

TAG = "watchd:latest"


def build(engine: Engine, client: docker.DockerClient) -> None:
    """Build it from the checkout, as TAG. Raise UnavailableError where Compose cannot be had."""
    options = (f"BASE={images.PYTHON}", "PIP_OPTIONS=--no-index --find-links wheels")
    images.load_base(client)
    images.load_python(client)
    with tempfile.TemporaryDirectory() as context:
        _fill(Path(context))
        file = Path(context, "deploy/compose/compose.yaml")
        built = subprocess.run(
            [ensure_compose(), "--file", file, "build", *(f"--build-arg={option}" for option in options), "watchd"],
            env={"DOCKER_HOST": engine.host, "PATH": "/usr/bin:/bin", "GRAFANA_PASSWORD": "secret"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert built.returncode == 0, built.stderr
    client.api.prune_builds(all=True)  # BuildKit's cache, which no test counts on


def saved(engine: Engine, client: docker.DockerClient, directory: Path) -> Path:
    """Build it, and return a tarball of it in a directory, as `docker save` writes one. Raise UnavailableError."""
    build(engine, client)
    tarball = directory / "watchd.tar"
    with tarball.open("wb") as file:
        for piece in client.images.get(TAG).save(named=TAG):
            file.write(piece)
    return tarball


def load(client: docker.DockerClient, tarball: Path) -> None:
    """Load the image into an engine, as TAG."""
    with tarball.open("rb") as file:
        client.images.load(file)


def _fill(context: Path) -> None:
    """Copy the files of the build and of Compose, and download the packages of the build."""
    for name in FILES:
        shutil.copy(ROOT / name, context)
    shutil.copytree(ROOT / "deploy/compose", context / "deploy/compose")
    shutil.copytree(ROOT / "watchd", context / "watchd", ignore=shutil.ignore_patterns("__pycache__"))
    wheels = str(context / "wheels")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--dest", wheels]
    subprocess.run([*pip, "--require-hashes", "-r", str(ROOT / "requirements.lock")], check=True)
    subprocess.run([*pip, *BUILD_TOOLS], check=True)
