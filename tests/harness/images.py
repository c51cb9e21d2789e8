"""Images for the engine under test: base images that need no registry, and small ones built from them."""

import io
import os
import subprocess
import tarfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import docker
from docker.errors import ImageNotFound, NotFound

from tests.harness import rootfs
from tests.harness.plugins import ensure_buildx

T = TypeVar("T")

BASE = "base:1"
PYTHON = f"python:{rootfs.PYTHON_VERSION}-slim"

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def load_base(client: docker.DockerClient, tag: str = BASE) -> str:
    """Make sure that the engine has the busybox image `tag`, whose command is /bin/sh. Return its ID."""
    return _load(client, tag, rootfs.busybox, "/bin/sh")


def load_python(client: docker.DockerClient, tag: str = PYTHON) -> str:
    """Make sure that the engine has the Python image `tag`. Return its ID.

    It stands in for the official image of that name, for Dockerfiles to begin with. It has no apt.
    """
    return _load(client, tag, rootfs.python, "python3")


def build(client: docker.DockerClient, tag: str, dockerfile: str, files: Mapping[str, bytes] | None = None) -> str:
    """Build an image with the classic builder, from `files` (path in the context: content). Return its ID."""
    context = io.BytesIO(_context(dockerfile, files))
    image, _ = client.images.build(fileobj=context, custom_context=True, tag=tag, rm=True)
    return str(image.id)


def build_with_buildkit(host: str, dockerfile: str, *arguments: str, files: Mapping[str, bytes] | None = None) -> str:
    """Build with BuildKit through buildx, as `docker build` does today, from `files`. Return the image's ID.

    `host` is as in DOCKER_HOST; `arguments` are further ones, such as "--tag" and "web:1". docker-py cannot do this.
    A build whose snapshots containerd's collection of garbage took meanwhile (28.5.2, busy machine) is begun anew.
    Raise UnavailableError where buildx cannot be had.
    """
    command = [str(ensure_buildx()), "build", "--builder", "default", "--quiet", *arguments, "-"]
    environment = {**os.environ, "DOCKER_HOST": host}
    for _ in range(3):
        built = subprocess.run(
            command, input=_context(dockerfile, files), env=environment, check=False, capture_output=True
        )
        if built.returncode == 0 or b"parent snapshot" not in built.stderr:
            break
    if built.returncode != 0:
        raise RuntimeError(f"buildx failed: {built.stderr.decode(errors='replace')}")
    return built.stdout.decode().strip()


def make_dangling(client: docker.DockerClient, tag: str, count: int = 1, *, size: int = 64 * 1024) -> list[str]:
    """Build `tag` anew `count` times, each time with `size` other bytes. Return the IDs that thereby lost their tag."""
    dockerfile = f"FROM {BASE}\nCOPY content /content\n"
    built = [build(client, tag, dockerfile, {"content": os.urandom(size)}) for _ in range(count + 1)]
    return built[:-1]


def listed(client: docker.DockerClient, name: str | None = None) -> list[dict[str, Any]]:
    """Return the images as the engine lists them, each by itself: `client.images.list` inspects each in addition."""
    return list(_while_others_go(lambda: client.api.images(name)))


def cache_records(client: docker.DockerClient) -> list[dict[str, Any]]:
    """Return the records of the build cache, as the engine lists them."""
    return list(_while_others_go(client.df)["BuildCache"] or ())


def _while_others_go(ask: Callable[[], T]) -> T:
    """Ask an engine for a list, and again where it fails: containerd's store cannot list what goes meanwhile."""
    for _ in range(20):
        with suppress(NotFound):
            return ask()
        time.sleep(0.1)
    return ask()


def tags(client: docker.DockerClient) -> set[str]:
    """Return the tags of all images."""
    return {tag for image in listed(client) for tag in image["RepoTags"] or () if tag != "<none>:<none>"}


def pull(client: docker.DockerClient, repository: str, tag: str) -> None:
    """Pull an image that may be removed at once, which `client.images.pull` would look for.

    Raise RuntimeError if the pull fails.
    """
    for line in client.api.pull(repository, tag=tag, stream=True, decode=True):
        if "error" in line:
            raise RuntimeError(line["error"])


def _load(client: docker.DockerClient, tag: str, tarball: Callable[[], Path], command: str) -> str:
    try:
        return str(client.images.get(tag).id)
    except ImageNotFound:
        repository, _, name = tag.partition(":")
        changes = [f'CMD ["{command}"]', f"ENV PATH={SEARCH_PATH}"]
        client.api.import_image_from_file(str(tarball()), repository=repository, tag=name, changes=changes)
        return str(client.images.get(tag).id)


def _context(dockerfile: str, files: Mapping[str, bytes] | None) -> bytes:
    """Return a build's context as a tar archive."""
    return archive({"Dockerfile": dockerfile.encode(), **(files or {})})


def archive(files: Mapping[str, bytes]) -> bytes:
    """Return a tar archive of files by their paths."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()
