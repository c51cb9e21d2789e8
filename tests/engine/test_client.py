"""The client against a real engine: what a connection may send, and how errors are told."""

import http.server
import socketserver
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import docker
import pytest

from tests.harness import images
from tests.harness.engine import Engine
from tests.harness.waiting import wait_until
from watchd.config.schema import Engine as EngineConfig
from watchd.engine.client import EngineClient
from watchd.engine.wire import MalformedReply
from watchd.errors import EngineRefused, EngineUnreachable, WriteForbidden


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


def test_a_missing_socket_is_told_with_those_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for an ordinary user whose engine is rootless, and who left the default host."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    missing = EngineClient(EngineConfig(host=f"unix://{tmp_path}/none.sock"), read_only=True)
    with closing(missing), pytest.raises(EngineUnreachable, match="No such file or directory") as raised:
        missing.ping()
    assert str(tmp_path / "docker.sock") not in str(raised.value)
    (tmp_path / "docker.sock").touch()
    with closing(missing), pytest.raises(EngineUnreachable) as raised:
        missing.ping()
    assert str(raised.value).endswith(f"; there is unix://{tmp_path}/docker.sock: set engine.host to that")


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


@pytest.mark.parametrize("host", ["unix:///nowhere/docker.sock", "tcp://127.0.0.1:9"])
def test_an_engine_that_is_not_there_is_named(host: str) -> None:
    client = EngineClient(EngineConfig(host=host), read_only=True)
    with pytest.raises(EngineUnreachable, match=host):
        client.ping()


class _Garbage(http.server.BaseHTTPRequestHandler):
    """An engine that a real one cannot be made to be: it answers, and says nothing sensible."""

    body = b""
    status = 200

    def do_GET(self) -> None:
        versioned = self.path.startswith("/v1.")
        body = self.body if versioned else b'{"ApiVersion": "1.41"}'
        self.send_response(self.status if versioned else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def fake_engine(path: Path, body: bytes, status: int = 200) -> Iterator[EngineClient]:
    handler = type("Handler", (_Garbage,), {"body": body, "status": status, "address_string": lambda _: "fake"})
    with socketserver.ThreadingUnixStreamServer(str(path), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = EngineClient(EngineConfig(host=f"unix://{path}"), read_only=True)
        try:
            yield client
        finally:
            client.close()
            server.shutdown()


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"half": ', b"[1, 2]", b'"text"', b"\xff\xfe", b"{}", b"9" * 5000])
def test_garbage_is_a_malformed_reply(tmp_path: Path, body: bytes) -> None:
    with fake_engine(tmp_path / "s", body) as client:
        with pytest.raises(MalformedReply):
            client.containers()
        with pytest.raises(MalformedReply):
            client.image("x")


@pytest.mark.parametrize("status", [301, 403, 500])
def test_an_error_status_is_refused_with_its_message(tmp_path: Path, status: int) -> None:
    with fake_engine(tmp_path / "s", b'{"message": "no such luck"}', status) as client:
        with pytest.raises(EngineRefused, match="no such luck") as refused:
            client.images()
        assert refused.value.status == status
