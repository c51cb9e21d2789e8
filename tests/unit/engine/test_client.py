"""The client with no engine, or with one that answers nonsense."""

import http.server
import socketserver
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from watchd.config.schema.config import Engine as EngineConfig
from watchd.engine.client import EngineClient
from watchd.engine.decode import images
from watchd.engine.decode.fields import MalformedReply
from watchd.engine.histories import Histories
from watchd.errors import EngineRefused, EngineUnreachable
from watchd.model import Layer


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


def test_the_layers_of_an_image_are_asked_for_once_and_a_refusal_is_remembered() -> None:
    asked: list[str] = []
    told = {"a": (Layer("a", 1, 0),), "refused": None}

    def ask(id_: str) -> tuple[Layer, ...] | None:
        asked.append(id_)
        return told[id_]

    histories = Histories()
    for _ in range(2):
        assert histories.of(["a", "refused"], ask) == {"a": told["a"]}
    assert sorted(asked) == ["a", "refused"]
    assert histories.of([], ask) == {}
    assert histories.of(["a"], ask) == {"a": told["a"]}, "it was forgotten, with its image"
    assert len(asked) == 3


def test_the_layers_of_an_image_are_asked_for_again_after_an_error_of_the_engine() -> None:
    answers = iter([EngineRefused("it is busy", 500), None])

    def ask(_: str) -> tuple[Layer, ...]:
        if error := next(answers):
            raise error
        return (Layer("a", 1, 0),)

    histories = Histories()
    assert histories.of(["a"], ask) == {}
    assert histories.of(["a"], ask) == {"a": (Layer("a", 1, 0),)}


def test_layers_are_told_apart_by_all_below_them() -> None:
    def entry(size: int, step: str) -> dict[str, object]:
        return {"Created": 1000, "CreatedBy": step, "Size": size, "Id": "<missing>"}

    base = [entry(0, "CMD"), entry(10, "ADD")]  # the engine lists the newest step first
    one, other = images.history([entry(5, "RUN a"), *base]), images.history([entry(5, "RUN b"), *base])
    assert [layer.size for layer in one] == [10, 5]
    assert one[0] == other[0] == images.history(base)[0]
    assert one[1].id != other[1].id


def test_steps_that_may_have_made_a_layer_of_0_bytes_are_counted() -> None:
    steps = [
        ("ADD rootfs /", 10), ('/bin/sh -c #(nop)  CMD ["sh"]', 0), ("WORKDIR /app", 0), ("COPY app /", 5),
        ("ENV a=b", 0), ("/bin/sh -c ENV=1 true", 0), ('ENTRYPOINT ["/app"]', 0),
    ]  # fmt: skip
    told = images.history([{"Created": 1, "CreatedBy": step, "Size": size} for step, size in reversed(steps)])
    assert [(layer.empty_below, layer.empty_above) for layer in told] == [(0, 2), (1, 1)]


@pytest.mark.parametrize("status", [301, 403, 500])
def test_an_error_status_is_refused_with_its_message(tmp_path: Path, status: int) -> None:
    with fake_engine(tmp_path / "s", b'{"message": "no such luck"}', status) as client:
        with pytest.raises(EngineRefused, match="no such luck") as refused:
            client.images()
        assert refused.value.status == status
