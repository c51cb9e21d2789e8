"""The client against a real engine: what a connection may send, and how errors are told."""

import threading
from collections.abc import Iterator
from contextlib import closing

import docker
import pytest

from tests.harness import images
from tests.harness.engine import Engine
from tests.harness.waiting import wait_until
from watchd.config.schema.config import Engine as EngineConfig
from watchd.engine.client import EngineClient
from watchd.errors import EngineRefused, EngineUnreachable, WriteForbidden

pytestmark = pytest.mark.newest(stores="both")


@pytest.fixture
def reader(clean_engine: Engine) -> Iterator[EngineClient]:
    client = EngineClient(EngineConfig(host=clean_engine.host), read_only=True)
    yield client
    client.close()


def test_a_read_only_connection_sends_no_removal(reader: EngineClient, docker_client: docker.DockerClient) -> None:
    container = docker_client.containers.create(images.BASE)
    assert container.id is not None
    with pytest.raises(WriteForbidden, match="DELETE"):
        reader.remove_container(container.id)
    with pytest.raises(WriteForbidden, match="DELETE"):
        reader.remove_image(images.BASE)
    assert [left.id for left in docker_client.containers.list(all=True)] == [container.id]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/containers/prune"),
        ("POST", "/containers/json"),
        ("DELETE", "/containers/json"),
        ("PUT", "/containers/x/archive"),
        ("GET", "/containers/x/archive"),  # copies files out
        ("GET", "/containers/x/attach/ws"),  # writes to its standard input
        ("GET", "/containers/x/export"),
        ("GET", "/containers/json/../x/attach/ws"),
        ("GET", "/images/get"),
        ("GET", "/secrets"),
    ],
)
def test_a_read_only_connection_sends_only_what_is_listed(reader: EngineClient, method: str, path: str) -> None:
    with pytest.raises(WriteForbidden):
        reader._request(method, path, timeout=3)


def test_containers_and_images_are_read(reader: EngineClient, docker_client: docker.DockerClient) -> None:
    made = docker_client.containers.run(
        images.BASE,
        ["sh", "-c", "exit 3"],
        name="odd",
        detach=True,
        labels={"a": "b"},
        restart_policy={"Name": "on-failure", "MaximumRetryCount": 1},
    )
    made.wait()
    # It is started once more, and only then has it ended.
    wait_until(lambda: reader.container(str(made.id)).status == "exited", seconds=10, what="its end")
    (container,) = reader.containers()
    assert container.name == "odd"
    assert container.exit_code == 3
    assert container.labels["a"] == "b"
    assert container.restart_policy == "on-failure"
    assert container.image == images.BASE
    (image,) = reader.images()
    assert image.tags == (images.BASE,)
    assert container.image_id == image.id
    assert reader.container_sizes().keys() == {container.id}


def test_newer_containers_are_listed_alone(reader: EngineClient, docker_client: docker.DockerClient) -> None:
    first, second, third = (docker_client.containers.create(images.BASE) for _ in range(3))
    second.start()  # what ends stays in the order of creation
    second.wait()
    assert {each.id for each in reader.container_references(since=str(first.id))} == {second.id, third.id}
    assert reader.container_references(since=str(third.id)) == []
    first.remove()
    with pytest.raises(EngineRefused):
        reader.container_references(since=str(first.id))


def test_events_come_as_they_happen_and_past_ones_are_repeated(
    reader: EngineClient, docker_client: docker.DockerClient
) -> None:
    with closing(reader.events()) as stream:
        network = docker_client.networks.create("sentinel")
        first = next(stream)
        assert (first.type, first.action, first.id) == ("network", "create", network.id)
    with closing(reader.events(first.time_nano)) as stream:
        assert next(stream) == first


def test_a_stream_closed_by_another_thread_ends(reader: EngineClient) -> None:
    stream = reader.events()
    closer = threading.Timer(0.2, stream.close)
    closer.start()
    with pytest.raises((StopIteration, EngineUnreachable)):
        next(stream)
    closer.join()


def test_what_does_not_exist_is_404(reader: EngineClient) -> None:
    with pytest.raises(EngineRefused) as refused:
        reader.container("nothing")
    assert refused.value.status == 404
