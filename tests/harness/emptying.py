"""An engine with nothing on it but the base image, between tests that share it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress

import docker
from docker.errors import NotFound

from tests.harness import images
from tests.harness.engine import Engine


@contextmanager
def emptied(engine: Engine) -> Iterator[None]:
    """Remove everything but the base image from an engine, before and after."""
    _empty(engine)
    yield
    _empty(engine)


def _empty(engine: Engine) -> None:
    with closing(engine.client()) as client:
        _remove_containers(client)
        for image in client.api.images():
            for tag in set(image["RepoTags"] or ()) - {images.BASE, "<none>:<none>"}:
                client.images.remove(tag, force=True)
        client.images.prune(filters={"dangling": True})
        client.api.prune_builds(all=True)
        for volume in client.volumes.list():
            volume.remove(force=True)
        client.networks.prune()
        images.load_base(client)


def _remove_containers(client: docker.DockerClient) -> None:
    """Remove all containers, some at once: to end one that runs, the engine waits more than it works."""

    def remove(container: dict[str, str]) -> None:
        with suppress(NotFound):  # one with auto-remove
            client.api.remove_container(container["Id"], force=True, v=True)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(remove, client.api.containers(all=True, quiet=True)))
