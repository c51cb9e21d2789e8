"""Requests over a UNIX socket: connections are kept, and none that has ended is used again."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from http.client import HTTPException
from pathlib import Path

import pytest

from watchd.engine.connection.unix_socket import UnixSocket

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 409 Conflict\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nin \r\n3\r\nuse\r\n0\r\n\r\n"
CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"
LAST = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
UNTIL_THE_END = b"HTTP/1.1 200 OK\r\n\r\nok"
OLD = b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"
ENDING = (LAST, CUT, UNTIL_THE_END, OLD)
Answering = Callable[..., AbstractContextManager[tuple["Server", UnixSocket]]]


class Server:
    """Gives `replies` in turn; None ends the connection instead. `heads` has the requests by connection."""

    def __init__(self, path: Path, replies: list[bytes | None]) -> None:
        self._replies = iter(replies)
        self.heads: list[list[bytes]] = []
        self.ended = threading.Semaphore(0)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.heads.append([])
            threading.Thread(target=self._answer, args=(connection, self.heads[-1]), daemon=True).start()

    def _answer(self, connection: socket.socket, heads: list[bytes]) -> None:
        with connection, suppress(ConnectionError):  # the client may have given up
            while head := connection.recv(65536):
                heads.append(head)
                reply = next(self._replies)
                if reply is None:
                    break
                connection.sendall(reply)
                if reply in ENDING:
                    break
        self.ended.release()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def answering(tmp_path: Path) -> Answering:
    @contextmanager
    def start(*replies: bytes | None) -> Iterator[tuple[Server, UnixSocket]]:
        path = tmp_path / "s"
        with (
            closing(Server(path, list(replies))) as server,
            closing(UnixSocket(str(path), {"X-Of": "me"}, 2)) as client,
        ):
            yield server, client

    return start


def test_one_connection_serves_many_requests(answering: Answering) -> None:
    with answering(OK, CHUNKED, OK) as (server, client):
        assert client.ask("GET", "/a?b=c", 60) == (200, b"ok")
        assert client.ask("DELETE", "/d", 60) == (409, b"in use")
        assert client.ask("POST", "/e", 60) == (200, b"ok")
    ((first, second, third),) = server.heads
    assert first.startswith(b"GET /a?b=c HTTP/1.1\r\n")
    assert b"\r\nX-Of: me\r\n" in first
    assert second.startswith(b"DELETE /d ")
    assert b"\r\nContent-Length: 0\r\n" in third, "without it some proxies refuse a POST"


@pytest.mark.parametrize("last", [LAST, UNTIL_THE_END, OLD, None])
def test_a_connection_that_ended_is_not_used_again(answering: Answering, last: bytes | None) -> None:
    with answering(last, OK) as (server, client):
        if last:
            assert client.ask("GET", "/", 60) == (200, b"ok")
        else:
            with pytest.raises((HTTPException, OSError)):
                client.ask("GET", "/", 60)
        assert client.ask("GET", "/", 60) == (200, b"ok")
    assert [len(heads) for heads in server.heads] == [1, 1]


def test_a_connection_that_the_engine_ended_while_unused_is_replaced(answering: Answering) -> None:
    with answering(OK, OK) as (server, client):
        client.ask("GET", "/", 60)
        (kept,) = client._unused
        kept.socket.shutdown(socket.SHUT_RDWR)
        assert server.ended.acquire(timeout=60)
        assert client.ask("GET", "/", 60) == (200, b"ok")
    assert [len(heads) for heads in server.heads] == [1, 1]


def test_a_reply_that_is_cut_short_is_an_error(answering: Answering) -> None:
    with answering(CUT) as (_, client), pytest.raises(HTTPException):
        client.ask("GET", "/", 60)


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"")),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", (304, b"")),
        (b"HTTP/1.1 200\r\ncontent-LENGTH:2\r\n\r\nok", (200, b"ok")),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK, (200, b"ok")),
        (OK.replace(b"\r\n", b"\n"), (200, b"ok")),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\nA;x=y\r\n0123456789\r\n0\r\nX: y\r\n\r\n",
            (200, b"0123456789"),
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            (200, b"ok"),
        ),
    ],
)
def test_each_way_to_end_a_reply_is_understood(answering: Answering, reply: bytes, answer: tuple[int, bytes]) -> None:
    with answering(reply, OK) as (server, client):
        assert client.ask("GET", "/", 60) == answer
        assert client.ask("GET", "/", 60) == (200, b"ok"), "the reply after it begins where it ended"
    assert [len(heads) for heads in server.heads] == [2]


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP"),
        (b"HTTP/2 200\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 20\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", "b' -2' for a length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok", "b' two' for a length"),
        (CHUNKS.replace(b"2\r\n", b"-2\r\n"), "b'-2' for a length"),
        (CHUNKS.replace(b"2\r\n", b"1\r\n"), "longer than it says"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 101 + b"\r\n", "more than 100 headers"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", "too long"),
    ],
)
def test_a_reply_that_is_not_understood_is_an_error_and_ends_the_connection(
    answering: Answering, reply: bytes, why: str
) -> None:
    with answering(reply, OK) as (server, client):
        with pytest.raises(HTTPException, match=why):
            client.ask("GET", "/", 60)
        assert client.ask("GET", "/", 60) == (200, b"ok")
    assert [len(heads) for heads in server.heads] == [1, 1]


@pytest.mark.parametrize("headers", [{"X": "a\r\nY: b"}, {"X\n": "a"}, {"X": "\u4e2d"}])
def test_a_header_that_is_not_one_line_of_latin_text_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"not one line of text|latin-1"):
        UnixSocket("/nonexistent", headers, 2)


def test_a_time_out_ends_the_wait(answering: Answering) -> None:
    with answering(b"HTTP/1.1 200 OK\r\n") as (_, client), pytest.raises(TimeoutError):
        client.ask("GET", "/", 0.1)


def test_nothing_is_kept_after_the_end(answering: Answering) -> None:
    with answering(OK, OK) as (server, client):
        client.close()
        assert client.ask("GET", "/", 60) == (200, b"ok")
        assert not client._unused
        assert server.ended.acquire(timeout=60)
