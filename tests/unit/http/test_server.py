"""The HTTP server, and what clients of all kinds can take of it."""

import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection
from pathlib import Path

import psutil
import pytest

from tests.harness.ports import free_port
from tests.harness.waiting import wait_until
from tests.unit.conftest import open_descriptors
from watchd.config.schema.config import Http
from watchd.errors import WatchdError
from watchd.http import connections, listening
from watchd.http.access import read_access
from watchd.http.application import Response
from watchd.http.hosts import Hosts, is_local
from watchd.http.listening import listen
from watchd.http.server import Server

PAGE = b"up 1\n" * 1000
LARGE = os.urandom(8 * 1024 * 1024)


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a server."""
    number = free_port()
    routes = {
        "/metrics": lambda _: Response(PAGE),
        "/large": lambda _: Response(LARGE),
    }
    access = read_access(Http(listen=f"127.0.0.1:{number}", allowed_hosts=("*.home.example",)))
    server = Server([f"127.0.0.1:{number}"], routes, access)
    server.start()
    wait_until(lambda: ask(number)[0] == 200, seconds=5, what="the server answers")
    yield number
    server.stop()


def ask(port: int, path: str = "/metrics", method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Ask once, and return status, headers and body; 0 where there is no answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    with closing(connection), suppress(OSError):
        connection.request(method, path, headers=headers)
        reply = connection.getresponse()
        return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
    return 0, {}, b""


def raw(port: int, data: bytes) -> bytes:
    """Send what may be no request, and return all of the answer."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as client:
        with suppress(ConnectionError):  # the server may answer and close before it has read all
            client.sendall(data)
        answer = b""
        with suppress(ConnectionResetError):
            while piece := client.recv(65536):
                answer += piece
        return answer


@pytest.mark.parametrize("path", ["/metrics/", "/nothing", "//metrics", "/api", "/%2e%2e/etc/passwd", "/metrics%00"])
def test_an_unknown_path_is_not_found(port: int, path: str) -> None:
    assert ask(port, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "NONSENSE"])
def test_nothing_can_be_done_but_read(port: int, method: str) -> None:
    status, headers, _ = ask(port, method=method)
    assert status == 405
    assert headers["allow"] == "GET, HEAD"


def test_head_has_no_body(port: int) -> None:
    status, headers, body = ask(port, method="HEAD")
    assert (status, headers["content-length"], body) == (200, str(len(PAGE)), b"")


def test_a_request_that_arrives_in_one_piece_may_not_be_longer_either(port: int) -> None:
    answer = raw(port, b"GET /metrics?" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431 ")


def test_a_request_with_a_body_is_refused_and_not_read(port: int) -> None:
    answer = raw(port, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 1000)
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100, {b"400"}),
        (b"GET /metrics\r\n\r\n", {b"400"}),
        (b"GET /m\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n", {b"400"}),
        (b"GET /metrics HTTP/1.1\r\nHost : localhost\r\n\r\n", {b"400"}),
        (b"GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", {b"400"}),
        # h11 refuses what is too long itself (400) when it arrives in pieces.
        (
            b"GET /" + b"a" * (connections.MAX_HEAD_SIZE + 1000) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
            {b"400", b"431"},
        ),
        (
            b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * connections.MAX_HEAD_SIZE + b"\r\n",
            {b"400", b"431"},
        ),
    ],
)
def test_what_is_no_request_or_too_large_is_refused(port: int, data: bytes, status: set[bytes]) -> None:
    assert raw(port, data).split(b" ")[1] in status
    assert ask(port)[0] == 200


def test_a_browser_is_told_to_run_and_keep_nothing(port: int) -> None:
    for path in ("/metrics", "/nothing"):
        headers = ask(port, path)[1]
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:10210", "nas.home.example", socket.gethostname()])
def test_its_own_names_are_answered(port: int, host: str) -> None:
    assert ask(port, Host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:10210", "home.example", "localhost.evil.example", "watchd"]
)
def test_a_name_that_is_none_of_its_own_is_refused(port: int, host: str) -> None:
    status, _, body = ask(port, Host=host)
    assert status == 421
    assert b"allowed_hosts" in body


def test_who_listens_for_others_has_the_names_of_a_container_network() -> None:
    hosts = Hosts(["0.0.0.0:10210"], [])
    assert hosts.accept("watchd:10210")
    assert hosts.accept("host.docker.internal:10210")
    assert not hosts.accept("evil.example")
    assert not Hosts(["127.0.0.1:10210"], []).accept("host.docker.internal")


@pytest.mark.parametrize(
    ("listen", "who"),
    [
        ("127.0.0.1:1", "us"),
        ("[::1]:1", "us"),
        ("localhost:1", "us"),
        ("0.0.0.0:1", "all"),
        ("[::]:1", "all"),
        (":1", "all"),
        ("unix:///w.sock", "us"),
    ],
)
def test_loopback_is_told_from_other_addresses(listen: str, who: str) -> None:
    assert is_local(listen) is (who == "us")


def _answers(family: socket.AddressFamily, address: object) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(10)
        client.connect(address)  # type: ignore[arg-type] # of any family
        client.sendall(b"GET /metrics HTTP/1.0\r\nHost: evil.example\r\n\r\n")
        answer = b""
        while data := client.recv(65536):
            answer += data
        return answer.startswith(b"HTTP/1.1 200")


def test_it_listens_on_several_addresses_of_all_kinds(tmp_path: Path) -> None:
    """A UNIX socket takes any host name: no browser reaches it. What a killed watchd left there is no obstacle."""
    number, path = free_port(), tmp_path / "w.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    settings = Http(listen=(f":{number}", f"unix://{path}"))
    server = Server(settings.addresses, {"/metrics": lambda _: Response(PAGE)}, read_access(settings))
    server.start()
    try:
        assert path.stat().st_mode & 0o777 == 0o660
        with pytest.raises(WatchdError, match=r"cannot listen on unix://.*in use"):
            listen(f"unix://{path}")
        assert _answers(socket.AF_UNIX, str(path))
        assert not _answers(socket.AF_INET, ("127.0.0.1", number))
        if socket.has_dualstack_ipv6():
            assert not _answers(socket.AF_INET6, ("::1", number))
    finally:
        server.stop()
    assert not path.exists()


@pytest.mark.parametrize("address", ["[fe80::1%lo]:1", "192.0.2.1:1", "unix:///nowhere/w.sock", "unix:///etc/hostname"])
def test_what_cannot_be_listened_on_is_told_without_listening(address: str) -> None:
    with pytest.raises(WatchdError, match="cannot listen on"):
        listen(address)
    (problem,) = listening.problems([address, f"127.0.0.1:{free_port()}"])
    assert problem.startswith(f"http.listen: cannot listen on {address}: ")


def test_the_machines_full_names_are_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "NAS")
    (tmp_path / "hosts").write_text("127.0.1.1 nas.example.org nas # me\n10.0.0.1 other.example.org\n")
    (tmp_path / "resolv.conf").write_text("search home.arpa. lan\n")
    hosts = Hosts(["127.0.0.1:1"], [], tmp_path)
    accepted = ("nas", "nas.example.org", "NAS.home.arpa:10210", "nas.lan")
    assert all(map(hosts.accept, accepted))
    assert not any(map(hosts.accept, ("other.example.org", "x.lan", "lan", "nas.evil.example")))


def test_a_refused_name_is_logged_once_with_what_to_set(caplog: pytest.LogCaptureFixture) -> None:
    hosts = Hosts(["127.0.0.1:1"], [])
    for name in ("nas.example", "nas.example:10210", "a\nb.example", *(f"{number}.example" for number in range(100))):
        assert not hosts.accept(name)
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 20
    assert "'nas.example' was refused (421)" in messages[0]
    assert "[http] allowed_hosts" in messages[0]
    assert not any("\n" in message for message in messages)


def test_two_hundred_slow_clients_keep_no_one_from_being_answered(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_TIMEOUT", 600.0)
    before, threads = open_descriptors(), threading.active_count()
    with ExitStack() as stack:
        slow = [stack.enter_context(closing(socket.create_connection(("127.0.0.1", port)))) for _ in range(200)]
        for byte in (b"G", b"E"):
            for client in slow:
                client.sendall(byte)
            assert ask(port)[0] == 200
    assert threading.active_count() <= threads + 4
    wait_until(lambda: open_descriptors() <= before + 2, seconds=10, what="all connections are closed")


def test_slow_clients_are_cut_whatever_they_go_on_sending(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_TIMEOUT", 0.5)
    with ExitStack() as stack:
        slow = [stack.enter_context(closing(socket.create_connection(("127.0.0.1", port)))) for _ in range(20)]

        def is_cut(client: socket.socket) -> bool:
            try:
                client.sendall(b"G")
                return client.recv(1, socket.MSG_DONTWAIT) == b""
            except BlockingIOError:
                return False
            except ConnectionError:
                return True

        wait_until(lambda: sum(map(is_cut, slow)) == len(slow), seconds=20, what="the last one is cut")


def test_two_hundred_scrapes_at_once_are_all_answered(port: int) -> None:
    threads = threading.active_count()
    with ThreadPoolExecutor(200) as pool:
        replies = list(pool.map(lambda _: ask(port), range(200)))
    assert {(status, body) for status, _, body in replies} == {(200, PAGE)}
    assert threading.active_count() <= threads + 4


def test_one_connection_too_many_costs_the_one_that_waited_longest(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 20)
    with ExitStack() as stack:
        waiting = [stack.enter_context(closing(socket.create_connection(("127.0.0.1", port)))) for _ in range(20)]
        assert ask(port)[0] == 200
        waiting[0].settimeout(10)
        with suppress(ConnectionResetError):
            assert waiting[0].recv(1) == b""
        waiting[-1].sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert waiting[-1].recv(12) == b"HTTP/1.1 200"


def test_replies_that_no_one_reads_are_not_kept(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_UNSENT", len(LARGE))
    with ExitStack() as stack:
        readers = [stack.enter_context(closing(socket.create_connection(("127.0.0.1", port)))) for _ in range(6)]
        for reader in readers:
            reader.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for reader in readers:
            with suppress(ConnectionResetError):
                reader.recv(1, socket.MSG_PEEK)  # waits until it is answered, or cut
        whole = sum(_reads_all(reader) for reader in readers)
    assert 1 <= whole < len(readers)
    assert ask(port)[0] == 200


def test_a_reply_that_is_read_too_slowly_is_cut(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REPLY_TIMEOUT", 1.0)
    with closing(socket.create_connection(("127.0.0.1", port))) as reader:
        reader.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with suppress(ConnectionResetError):  # it may be cut before it is answered
            reader.recv(1, socket.MSG_PEEK)

        def is_served() -> bool:
            return reader.getsockname() in [each.raddr for each in psutil.Process().net_connections("tcp")]

        wait_until(lambda: not is_served(), seconds=20, what="the server closes its end")
        assert not _reads_all(reader)


def _reads_all(reader: socket.socket) -> bool:
    reader.settimeout(10)
    read = 0
    with suppress(ConnectionResetError):
        while piece := reader.recv(1 << 20):
            read += len(piece)
            if read >= len(LARGE):
                return True
    return False
