"""An engine with nothing on it but the base image, between tests that share it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress

import docker
from docker.errors import APIError, NotFound

from tests.harness import images
from tests.harness.engine import Engine
from tests.harness.waiting import wait_until


@contextmanager
def emptied(engine: Engine) -> Iterator[None]:
    """Remove everything but the base image from an engine, before and after."""
    _empty(engine)
    yield
    _empty(engine)


def _empty(engine: Engine) -> None:
    with closing(engine.client()) as client:
        _remove_containers(client)
        for tag in images.tags(client) - {images.BASE}:
            with suppress(NotFound):  # what a run or a pull that was cut short has removed meanwhile
                client.images.remove(tag, force=True)
        client.images.prune(filters={"dangling": True})
        client.api.prune_builds(all=True)
        for volume in client.volumes.list():
            with suppress(NotFound):
                volume.remove(force=True)
        client.networks.prune()
        images.load_base(client)


def _remove_containers(client: docker.DockerClient) -> None:
    """Remove all containers, some at once: to end one that runs, the engine waits more than it works."""

    def is_gone(container: dict[str, str]) -> bool:
        try:
            client.api.remove_container(container["Id"], force=True, v=True)
        except APIError as error:
            if error.status_code not in (404, 409):
                raise
            return error.status_code == 404  # else it is going: one with auto-remove, or one that a run removes
        return True

    def are_gone() -> bool:
        return all(list(pool.map(is_gone, client.api.containers(all=True, quiet=True))))

    with ThreadPoolExecutor(4) as pool:
        wait_until(are_gone, seconds=60, what="the containers to go")
