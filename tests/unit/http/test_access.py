"""Access control: TLS, client certificates, passwords, tokens, and the daemon's own socket."""

import base64
import itertools
import json
import socket
import ssl
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path

import bcrypt
import pytest
import trustme

from tests.harness.command import watchd_here
from tests.harness.ports import free_port
from tests.harness.waiting import wait_until
from tests.unit.conftest import open_descriptors
from tests.unit.settings import checked
from watchd.config.schema.config import Http
from watchd.errors import ConfigError
from watchd.http import handshake, private
from watchd.http.access import Access, read_access
from watchd.http.application import Response
from watchd.http.credentials import MAX_WAITING
from watchd.http.server import Server

PAGE = b"up 1\n" * 1000
PASSWORD = "correct horse battery staple"  # noqa: S105 - it opens nothing else
LONG = "x" * 100  # longer than what bcrypt looks at
TOKEN = "Zm9vYmFyYmF6"  # noqa: S105 - the same


def hashed(password: str) -> str:
    return bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode()


ANNA, LONG_ONE = hashed(PASSWORD), hashed(LONG)

Serve = Callable[..., "Served"]


class Served:
    """A server with some access, and what asks it."""

    def __init__(self, tmp_path: Path, settings: dict[str, object]) -> None:
        self.port = free_port()
        self.tls: ssl.SSLContext | None = None
        self.directory = tmp_path
        routes = {path: lambda _: Response(PAGE) for path in ("/metrics", "/healthz", "/readyz")}
        self.listen = f"127.0.0.1:{self.port}"
        self.server = Server([self.listen], routes, self.access(**settings), private=tmp_path / private.SOCKET)

    def access(self, **settings: object) -> Access:
        return read_access(checked(Http, {"listen": self.listen, **settings}))

    def ask(self, path: str = "/metrics", authorization: str = "") -> tuple[int, dict[str, str]]:
        """Return status and headers, 0 where there is no answer."""
        connection = (
            HTTPSConnection("127.0.0.1", self.port, timeout=20, context=self.tls)
            if self.tls
            else HTTPConnection("127.0.0.1", self.port, timeout=20)
        )
        with closing(connection), suppress(OSError, HTTPException):
            connection.request("GET", path, headers={"Authorization": authorization} if authorization else {})
            reply = connection.getresponse()
            reply.read()
            return reply.status, {name.lower(): value for name, value in reply.getheaders()}
        return 0, {}

    def status(self, path: str = "/metrics", authorization: str = "") -> int:
        return self.ask(path, authorization)[0]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start a server with some `[http]` settings."""
    with ExitStack() as stack:

        def start(tls: ssl.SSLContext | None = None, **settings: object) -> Served:
            served = Served(tmp_path, settings)
            served.tls = tls
            served.server.start()
            stack.callback(served.server.stop)
            wait_until(lambda: served.status("/healthz") == 200, seconds=5, what="the server answers")
            return served

        yield start


class Certificates:
    """Files of a certificate authority, of the server and of a client."""

    def __init__(self, directory: Path) -> None:
        self.authority = trustme.CA()
        self.ca, self.cert, self.key = directory / "ca.pem", directory / "cert.pem", directory / "key.pem"
        self.authority.cert_pem.write_to_path(self.ca)
        self.renew()

    def renew(self) -> None:
        issued = self.authority.issue_cert("127.0.0.1")
        self.key.write_bytes(issued.private_key_pem.bytes())
        self.key.chmod(0o600)
        self.cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))

    def settings(self) -> dict[str, Path]:
        return {"tls_cert": self.cert, "tls_key": self.key}

    def client(self, known_to: trustme.CA | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.ca))
        if known_to is not None:
            known_to.issue_cert("prometheus@example.org").configure_cert(context)
        return context


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def test_without_credentials_everyone_may_read(serve: Serve) -> None:
    assert serve().status() == 200


def test_a_password_opens_it(serve: Serve) -> None:
    served = serve(users={"anna": ANNA, "zoë": LONG_ONE})
    assert served.status(authorization=basic("anna", PASSWORD)) == 200
    assert served.status(authorization=basic("anna", PASSWORD)) == 200  # known again
    assert served.status(authorization=basic("zoë", LONG)) == 200
    status, headers = served.ask()
    assert (status, headers["www-authenticate"]) == (401, 'Basic realm="watchd", charset="UTF-8"')


@pytest.mark.parametrize(
    "authorization",
    [
        basic("anna", ""),
        basic("anna", "Correct horse battery staple"),
        basic("anna", PASSWORD + "\0"),
        basic("anna", "\0"),
        basic("nobody", PASSWORD),
        basic("", PASSWORD),
        basic("Anna", PASSWORD),
        "Basic " + base64.b64encode(b"anna").decode(),
        "Basic !!!",
        "Basic \xff\xfe",
        "Basic",
        "Bearer " + PASSWORD,
        "Digest username=anna",
        f"Bearer {ANNA}",
        basic("anna", ANNA),
    ],
    ids=map(str, itertools.count()),  # salts differ from one process to the next
)
def test_anything_else_does_not(serve: Serve, authorization: str) -> None:
    served = serve(users={"anna": ANNA})
    assert served.status(authorization=authorization) == 401
    assert served.status("/nothing", authorization=authorization) == 401  # which paths there are is no one's business
    assert served.status(authorization=basic("anna", PASSWORD)) == 200


def test_a_token_opens_it(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    served = serve(bearer_token_file=file)
    assert served.status(authorization=f"Bearer {TOKEN}") == 200
    assert served.status(authorization=f"bearer {TOKEN}") == 200
    for wrong in ("", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", TOKEN, basic("anna", TOKEN)):
        assert served.status(authorization=wrong) == 401
    assert served.ask()[1]["www-authenticate"] == 'Bearer realm="watchd"'


def test_either_of_both_is_enough(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    served = serve(users={"anna": ANNA}, bearer_token_file=tmp_path / "token")
    assert served.status(authorization=basic("anna", PASSWORD)) == 200
    assert served.status(authorization=f"Bearer {TOKEN}") == 200


def test_two_authorizations_are_none(serve: Serve) -> None:
    served = serve(users={"anna": ANNA})
    line = f"Authorization: {basic('anna', PASSWORD)}\r\n"
    lines = f"GET /metrics HTTP/1.1\r\nHost: localhost\r\n{line}{line}\r\n"
    with closing(socket.create_connection(("127.0.0.1", served.port), timeout=10)) as client:
        client.sendall(lines.encode())
        assert client.recv(100).startswith(b"HTTP/1.1 401 ")


def test_who_asks_whether_it_is_well_needs_no_password(serve: Serve) -> None:
    served = serve(users={"anna": ANNA})
    assert (served.status("/healthz"), served.status("/readyz")) == (200, 200)


def hold_checks(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Have passwords checked once the second event is set. The first one tells that a check has begun."""
    checking, go_on = threading.Event(), threading.Event()

    def held(password: bytes, hash_: bytes, check: Callable[[bytes, bytes], bool] = bcrypt.checkpw) -> bool:
        checking.set()
        assert go_on.wait(20)
        return check(password, hash_)

    monkeypatch.setattr(bcrypt, "checkpw", held)
    return checking, go_on


def test_guessing_keeps_no_one_out_who_is_known(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    served = serve(users={"anna": ANNA})
    assert served.status(authorization=basic("anna", PASSWORD)) == 200
    threads = threading.active_count()
    _, go_on = hold_checks(monkeypatch)
    with ThreadPoolExecutor(60) as pool:
        guesses = [pool.submit(served.status, "/metrics", basic("anna", str(number))) for number in range(60)]
        wait_until(lambda: any(guess.done() for guess in guesses), seconds=10, what="no more may wait for a check")
        known = served.status(authorization=basic("anna", PASSWORD))
        go_on.set()
        answers = [guess.result() for guess in guesses]
    assert known == 200
    assert set(answers) == {401, 503}
    assert answers.count(401) >= MAX_WAITING
    assert threading.active_count() <= threads + 1


def test_other_credentials_take_the_place_of_the_first(serve: Serve) -> None:
    served = serve(users={"anna": ANNA})
    assert served.status(authorization=basic("anna", PASSWORD)) == 200
    served.server.replace_access(served.access(users={"anna": hashed("another")}))
    assert served.status(authorization=basic("anna", PASSWORD)) == 401
    assert served.status(authorization=basic("anna", "another")) == 200


def test_logins_that_are_being_checked_are_answered_by_the_settings_they_began_with(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    checking, go_on = hold_checks(monkeypatch)
    served = serve(users={"anna": ANNA, "ben": ANNA})
    with ThreadPoolExecutor() as pool:
        logins = [pool.submit(served.ask, "/metrics", basic("anna", PASSWORD)) for _ in range(3)]
        logins.append(pool.submit(served.ask, "/metrics", basic("ben", "wrong")))
        assert checking.wait(10)
        credentials = served.server._access.credentials
        wait_until(lambda: credentials._waiting == 4, seconds=5, what="one is being checked, and three wait")
        served.server.replace_access(served.access(users={"anna": hashed("another")}))
        later = pool.submit(served.status, "/metrics", basic("anna", PASSWORD))
        go_on.set()
        assert [login.result()[0] for login in logins] == [200, 200, 200, 401]
        assert later.result() == 401


def test_tls(serve: Serve, certificates: Certificates) -> None:
    served = serve(certificates.client(), **certificates.settings())
    assert served.status() == 200
    served.tls = None
    assert served.status() == 0
    served.tls = ssl.create_default_context()  # which knows no such authority
    assert served.status() == 0


def test_old_versions_of_tls_are_not_spoken(serve: Serve, certificates: Certificates) -> None:
    old = certificates.client()
    old.set_ciphers("DEFAULT@SECLEVEL=0")
    served = serve(certificates.client(), **certificates.settings())
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    served.tls = old
    assert served.status() == 0


def test_a_client_needs_a_certificate_where_its_authority_is_named(serve: Serve, certificates: Certificates) -> None:
    settings = {**certificates.settings(), "client_ca": certificates.ca, "users": {"anna": ANNA}}
    served = serve(certificates.client(certificates.authority), **settings)
    assert served.status() == 401
    assert served.status(authorization=basic("anna", PASSWORD)) == 200
    for stranger in (certificates.client(), certificates.client(trustme.CA())):
        served.tls = stranger
        assert served.status("/healthz") == 0


def test_a_renewed_certificate_serves_who_comes_then(serve: Serve, certificates: Certificates) -> None:
    served = serve(certificates.client(), **certificates.settings())

    def serial() -> object:
        with (
            closing(socket.create_connection(("127.0.0.1", served.port), timeout=10)) as plain,
            certificates.client().wrap_socket(plain, server_hostname="127.0.0.1") as secured,
        ):
            return (secured.getpeercert() or {})["serialNumber"]

    before = serial()
    certificates.renew()
    assert serial() == before
    served.server.replace_access(served.access(**certificates.settings()))
    assert serial() != before
    assert served.status() == 200


def test_clients_that_never_agree_on_tls_keep_no_one_from_being_answered(
    serve: Serve, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handshake, "TIMEOUT", 600.0)
    served = serve(certificates.client(), **certificates.settings())
    files = open_descriptors()
    with ExitStack() as stack:

        def connect() -> socket.socket:
            return stack.enter_context(socket.create_connection(("127.0.0.1", served.port), timeout=20))

        for _ in range(600):
            connect()
        assert served.status() == 200
        monkeypatch.setattr(handshake, "TIMEOUT", 0.2)
        for late in [connect() for _ in range(20)]:
            with suppress(ConnectionError):
                assert late.recv(1) == b""  # it was cut
    wait_until(lambda: open_descriptors() <= files, seconds=10, what="their descriptors are closed")


@pytest.mark.parametrize(
    ("key", "content", "told"),
    [
        ("tls_cert", "nonsense", "contains no PEM certificate"),
        ("tls_key", "nonsense", "contains no PEM private key"),
        ("client_ca", "nonsense", "contains no PEM certificate"),
        ("bearer_token_file", "", "must contain one token"),
        ("bearer_token_file", "two words", "must contain one token"),
        ("bearer_token_file", "gehëim", "is not ASCII text"),
    ],
)
def test_files_that_are_not_what_they_should_be(
    certificates: Certificates, tmp_path: Path, key: str, content: str, told: str
) -> None:
    file = tmp_path / "file"
    file.write_text(content)
    with pytest.raises(ConfigError) as raised:
        read_access(checked(Http, {**certificates.settings(), key: file}))
    assert f"http.{key}: " in str(raised.value)
    assert told in str(raised.value)
    assert not content or content not in str(raised.value)


def test_a_key_of_another_certificate_is_refused(certificates: Certificates, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(certificates.authority.issue_cert("elsewhere").private_key_pem.bytes())
    with pytest.raises(ConfigError, match=r"http\.tls_key: .* does not belong to .*: key values mismatch"):
        read_access(checked(Http, {"tls_cert": certificates.cert, "tls_key": other}))


@pytest.mark.parametrize("key", ["tls_key", "bearer_token_file"])
def test_a_secret_that_everyone_can_read_is_warned_of(key: str, certificates: Certificates, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o640)
    files = {**certificates.settings(), "bearer_token_file": token}
    assert read_access(checked(Http, files)).warnings == ()
    files[key].chmod(0o644)
    [warning] = read_access(checked(Http, files)).warnings
    assert f"http.{key}: {files[key]} can be read by every user" in warning


def test_a_kept_connection_ends_when_who_has_access_changes(serve: Serve, certificates: Certificates) -> None:
    served = serve(certificates.client(), **certificates.settings())
    connection = HTTPSConnection("127.0.0.1", served.port, timeout=20, context=served.tls)
    with closing(connection):
        connection.request("GET", "/metrics")
        assert connection.getresponse().read() == PAGE
        served.server.replace_access(served.access(**certificates.settings(), client_ca=certificates.ca))
        with suppress(OSError, HTTPException):  # it connects anew, and has no certificate
            connection.request("GET", "/metrics")
            assert connection.getresponse().status == 0, "it is answered"


def test_a_handshake_that_began_before_a_client_needed_a_certificate_ends_there(
    serve: Serve, certificates: Certificates
) -> None:
    served = serve(certificates.client(), **certificates.settings())
    with closing(socket.create_connection(("127.0.0.1", served.port), timeout=20)) as early:
        wait_until(lambda: served.server._server._handshakes, seconds=5, what="it is accepted")
        served.server.replace_access(served.access(**certificates.settings(), client_ca=certificates.ca))
        served.tls = certificates.client(certificates.authority)
        assert served.status() == 200
        with pytest.raises(OSError):  # noqa: PT011 - reset or closed, both are right
            certificates.client().wrap_socket(early, server_hostname="127.0.0.1")


def test_the_private_socket_stays_connected_at_a_reload(serve: Serve, tmp_path: Path) -> None:
    served = serve(users={"anna": ANNA})
    with closing(private._Connection(tmp_path / private.SOCKET)) as connection:
        for _ in range(2):
            connection.request("GET", "/metrics")
            sock = connection.sock
            assert connection.getresponse().read() == PAGE
            assert connection.sock is sock is not None
            served.server.replace_access(served.access(users={"anna": ANNA}))
            assert served.status("/healthz") == 200  # by then it has taken effect


def test_a_socket_deep_below_is_found(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    path = deep / private.SOCKET
    with private.short_path(path) as short, closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(short)
        server.listen()
        assert path.is_socket()
        with closing(private._Connection(path)) as connection:
            connection.connect()
            server.accept()[0].close()


def test_a_key_with_a_passphrase_is_refused_and_not_asked_for(certificates: Certificates, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - trustme's, and only needed here

    key = serialization.load_pem_private_key(certificates.key.read_bytes(), None)
    encrypted = tmp_path / "encrypted.pem"
    encrypted.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(ConfigError, match="needs a passphrase"):
        read_access(checked(Http, {"tls_cert": certificates.cert, "tls_key": encrypted}))


@pytest.mark.parametrize(
    ("settings", "warned"),
    [
        ({"listen": "127.0.0.1:1"}, ""),
        ({"listen": "0.0.0.0:1"}, "anyone who reaches it"),
        ({"listen": "0.0.0.0:1", "users": {"anna": ANNA}}, "without TLS"),
        ({"listen": "0.0.0.0:1", "tls": True}, "anyone who reaches it"),
        ({"listen": "0.0.0.0:1", "tls": True, "users": {"anna": ANNA}}, ""),
    ],
)
def test_what_is_unsafe_is_warned_of(certificates: Certificates, settings: dict[str, object], warned: str) -> None:
    tls = certificates.settings() if settings.pop("tls", False) else {}
    warnings = read_access(checked(Http, {**settings, **tls})).warnings
    assert [warned in warning for warning in warnings] == ([True] if warned else [])


def test_its_own_socket_is_for_its_own_user_and_needs_no_password(
    serve: Serve, certificates: Certificates, tmp_path: Path
) -> None:
    path = tmp_path / private.SOCKET
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as killed:
        killed.bind(str(path))  # what a watchd leaves that was killed
    settings = {**certificates.settings(), "client_ca": certificates.ca, "users": {"anna": ANNA}}
    served = serve(certificates.client(certificates.authority), **settings)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert private.get(tmp_path, "/metrics") == (200, PAGE)
    assert private.get(tmp_path, "/nothing")[0] == 404
    served.server.stop()
    assert not path.exists()


def test_who_asks_where_no_one_is_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(private.NotRunning, match="no watchd is running on this state directory"):
        private.get(tmp_path, "/healthz")


def test_secrets_are_neither_shown_nor_told(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'[http.users]\nanna = "{ANNA}"\n')
    shown = watchd_here("config", "show", "-c", file)
    assert shown.returncode == 0
    assert "anna" in shown.stdout
    assert ANNA not in shown.stdout + shown.stderr
    for users in ({"anna": "hunter2"}, {"anna": 4711}, {"anna": ["hunter2"]}, "hunter2", ["hunter2"]):
        told = watchd_here("config", "check", "-c", file, WATCHD_HTTP__USERS=json.dumps(users))
        assert told.returncode == 2
        assert "http.users" in told.stderr
        assert not {"hunter2", "4711"} & set(told.stderr.replace("'", " ").split())
    for broken in ('{"anna": "hunter2"', "hunter2"):
        told = watchd_here("config", "check", "-c", file, WATCHD_HTTP__USERS=broken)
        assert (told.returncode, "hunter2" in told.stderr) == (2, False)
    told = watchd_here("config", "check", "-c", file, WATCHD_HTTP='{"users": {"anna": "hunter2"}')
    assert (told.returncode, "hunter2" in told.stderr) == (2, False)
