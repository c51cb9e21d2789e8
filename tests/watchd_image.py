"""watchd's image, built as deploy/README.md says, where there is no package index for the build to reach."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import docker

from tests.harness import images

ROOT = Path(__file__).parents[1]
FILES = ("Dockerfile", ".dockerignore", "pyproject.toml", "requirements.lock", "README.md", "LICENSE")
BUILD_TOOLS = ("hatchling",)

TAG = "watchd:latest"


def build(client: docker.DockerClient) -> None:
    """Build it from the checkout, as TAG."""
    with tempfile.TemporaryDirectory() as context:
        _fill(Path(context))
        images.load_base(client)
        images.load_python(client)
        options = {"BASE": images.PYTHON, "PIP_OPTIONS": "--no-index --find-links wheels"}
        client.images.build(path=context, tag=TAG, buildargs=options, rm=True)


def saved(client: docker.DockerClient, directory: Path) -> Path:
    """Build it, and return a tarball of it in a directory, as `docker save` writes one."""
    build(client)
    tarball = directory / "watchd.tar"
    with tarball.open("wb") as file:
        for piece in client.images.get(TAG).save(named=TAG):
            file.write(piece)
    return tarball


def load(client: docker.DockerClient, tarball: Path) -> None:
    """Have an engine know the image as TAG."""
    with tarball.open("rb") as file:
        client.images.load(file)


def _fill(context: Path) -> None:
    """Copy what the build needs, and download what it would."""
    for name in FILES:
        shutil.copy(ROOT / name, context)
    shutil.copytree(ROOT / "watchd", context / "watchd", ignore=shutil.ignore_patterns("__pycache__"))
    wheels = str(context / "wheels")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--dest", wheels]
    subprocess.run([*pip, "--require-hashes", "-r", str(ROOT / "requirements.lock")], check=True)
    subprocess.run([*pip, *BUILD_TOOLS], check=True)
