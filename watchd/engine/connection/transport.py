"""The connection to a Docker Engine, below all requests. Nothing else in watchd imports docker-py.

docker-py gives the transport (TLS, streams, version negotiation). Here every request is counted, a connection that
may only read refuses what is no reading, and the errors of three libraries become watchd's own.
"""

import errno
import json
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any
from urllib.parse import urlencode, urlsplit

import docker
import requests
import urllib3
from docker.tls import TLSConfig
from docker.transport import UnixHTTPAdapter
from requests.structures import CaseInsensitiveDict

from watchd.config.schema.config import Engine as EngineConfig
from watchd.engine.connection.http_connection import Reply
from watchd.engine.connection.unix_socket import UnixSocket
from watchd.errors import EngineError, EngineRefused, EngineUnreachable, WriteForbidden

CONNECT_TIMEOUT = 10  # seconds
NEWEST_API = "1.56"  # the newest whose replies are known here: newer ones may leave out or mean otherwise what is read
# Where else an engine may listen: that of an ordinary user (rootless Docker and Podman), and root's Podman.
_OTHER_SOCKETS = ("{runtime}/docker.sock", "{runtime}/podman/podman.sock", "/run/podman/podman.sock")

# Everything that a connection which may not write will send. GET alone is not harmless on this API: some GET endpoints
# attach to a container or copy its files out.
_READ_ONLY = re.compile(
    r"(/v[\d.]+)?(/_ping|/version|/info|/events|/system/df|/containers/json|/containers/[^/]+/(json|stats)"
    r"|/images/json|/images/.+/(json|history)|/volumes(/[^/]+)?|/networks(/[^/]+)?|/services)"
)
_VERSION_OF_PATH = re.compile(r"^/v[\d.]+")
_NAME_IN_PATH = re.compile(r"^/(containers|images|volumes|networks)/(?!json$)(.+?)(/json|/history|/stats|)$")


class Requests:
    """Requests to an engine by method and endpoint ("/containers/{id}/json"): number and seconds.

    It is the engine's share of what watching costs. Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[tuple[str, str], tuple[int, float]] = {}

    def count(self, method: str, path: str, seconds: float) -> None:
        """Count one request, answered or not."""
        endpoint = _NAME_IN_PATH.sub(r"/\1/{id}\3", _VERSION_OF_PATH.sub("", path))
        with self._lock:
            number, total = self._made.get((method, endpoint), (0, 0.0))
            self._made[method, endpoint] = number + 1, total + seconds

    def made(self) -> dict[tuple[str, str], tuple[int, float]]:
        """Return the counts so far."""
        with self._lock:
            return dict(self._made)


class Connection(docker.APIClient):
    """docker-py's client, which counts what it sends and refuses to send what a read-only connection may not."""

    def __init__(
        self, config: EngineConfig, *, read_only: bool, requests_made: Requests, tls: TLSConfig | None, kept: int
    ) -> None:
        self._read_only = read_only  # first: the base class already sends a request
        self._requests_made = requests_made
        # Not docker.from_env(): that would follow the command line client's current context.
        super().__init__(base_url=config.host, tls=tls or False, timeout=CONNECT_TIMEOUT, max_pool_size=kept)
        self._version = min(str(self.api_version), NEWEST_API, key=parts_of)
        self._sent_headers = dict[str, Any](self.headers)
        self._socket: UnixSocket | None = None
        adapter = self.adapters.get("http+docker://")
        if isinstance(adapter, UnixHTTPAdapter):
            self._socket = UnixSocket(adapter.socket_path, _without_encodings(self._sent_headers), kept)
        else:  # docker-py gives the number to sockets alone
            tcp = requests.adapters.HTTPAdapter(pool_maxsize=kept)
            self.mount("http://", tcp)
            self.mount("https://", tcp)
        self._settings = dict[str, Any](self.merge_environment_settings(self.base_url, {}, None, None, None))

    def ask(self, method: str, path: str, *, params: Mapping[str, Any], timeout: float) -> Reply:
        """Send a request of the API to the path below its version; `timeout` is in seconds."""
        target = self._target(path, params)
        if self._socket is None:
            response = self._send(method, target, timeout, stream=False)
            return Reply(response.status_code, response.content)
        with self._allowed_and_counted(method, target):
            return self._socket.ask(method, target, timeout)

    def follow(self, path: str, *, params: Mapping[str, Any], timeout: float) -> requests.Response:
        """Send a GET request whose reply goes on; `timeout` is for it to begin."""
        return self._send("GET", self._target(path, params), timeout, stream=True)

    def close(self) -> None:
        """Close all connections that are not in use."""
        super().close()
        if self._socket is not None:
            self._socket.close()

    def _target(self, path: str, params: Mapping[str, Any]) -> str:
        query = f"?{urlencode(params, doseq=True)}" if params else ""
        return f"/v{self.api_version}{path}{query}"

    def _send(self, method: str, target: str, timeout: float, *, stream: bool) -> requests.Response:
        """Send a request with `requests`.

        Its `Session.request` would gather settings, cookies and redirects anew, which takes twice the CPU time of all
        the rest.
        """
        request = requests.PreparedRequest()
        request.method, request.headers = method, CaseInsensitiveDict(self._sent_headers)
        request.url = self.base_url + target
        with self._allowed_and_counted(method, target):
            adapter = self.get_adapter(request.url)
            response = adapter.send(request, **{**self._settings, "stream": stream, "timeout": timeout})
            if not stream:
                _ = response.content  # read it now, so that the connection can be used again
            return response

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send a request that docker-py makes by itself."""
        with self._allowed_and_counted(str(request.method), str(urlsplit(request.url or "").path)):
            return super().send(request, **kwargs)

    @contextmanager
    def _allowed_and_counted(self, method: str, target: str) -> Iterator[None]:
        """Check a request and count it: every one that docker-py or watchd makes passes here."""
        path = target.partition("?")[0]
        if self._read_only and not (method in ("GET", "HEAD") and _READ_ONLY.fullmatch(path)):
            raise WriteForbidden(f"{method} {path}: this connection to the engine may only read")
        began = time.monotonic()
        try:
            yield
        finally:
            self._requests_made.count(method, path, time.monotonic() - began)


def parts_of(version: str) -> tuple[int, ...]:
    """Return the numbers of an API version such as "1.41", which compare as versions do."""
    return tuple(int(part) for part in version.split("."))


def tls_of(config: EngineConfig) -> TLSConfig | None:
    """Return the TLS settings of a connection; None: it is not encrypted."""
    if not (config.tls_ca or config.tls_cert):
        return None
    return TLSConfig(
        ca_cert=str(config.tls_ca) if config.tls_ca else None,
        client_cert=(str(config.tls_cert), str(config.tls_key)) if config.tls_cert else None,
        verify=True,
    )


@contextmanager
def translated(host: str) -> Iterator[None]:
    """Turn the errors of three libraries into watchd's own."""
    try:
        yield
    except EngineError:
        raise
    except (requests.exceptions.Timeout, TimeoutError):
        raise EngineUnreachable(f"the engine at {host} did not answer in time") from None
    except (
        requests.exceptions.RequestException,
        urllib3.exceptions.HTTPError,
        HTTPException,  # a stream was cut between two chunks
        OSError,
        ValueError,
    ) as error:
        raise EngineUnreachable(_why_unreachable(host, error)) from None
    except docker.errors.APIError as error:
        raise EngineRefused(" ".join(str(error.explanation or error).split())[:500], error.status_code or 0) from None
    except docker.errors.DockerException as error:  # what docker-py's constructor makes of any of the above
        raise EngineUnreachable(_why_unreachable(host, error)) from None


def _why_unreachable(host: str, error: BaseException) -> str:
    """Return the message for an engine that does not answer; if its socket is missing, name those that exist."""
    cause = _cause(error)
    why = f"the engine at {host} cannot be reached: {cause}"
    if cause == os.strerror(errno.EACCES):
        return f"{why}: it takes root, or the group that has the socket (docker)"
    if not host.startswith("unix://") or os.path.lexists(host.removeprefix("unix://")):
        return why
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    others = (path.format(runtime=runtime) for path in _OTHER_SOCKETS)
    there = [f"unix://{path}" for path in others if os.path.lexists(path)]  # which also passes over what it may not see
    if there:
        return f"{why}; there is {' and '.join(there)}: set engine.host to that"
    advice = "set engine.host, or WATCHD_ENGINE__HOST, to where it is"
    return f"{why}: {advice} (`watchd config show` says where this address comes from)"


def _cause(error: BaseException) -> str:
    """Return the operating system's own words where there are any beneath the libraries' layers."""
    seen: BaseException | None = error
    for _ in range(10):
        too_late = isinstance(seen, (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError))
        if too_late and not isinstance(seen, urllib3.exceptions.NewConnectionError):  # which urllib3 counts among them
            return "no answer in time"
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror
        if seen is None:
            break
        nested = next((argument for argument in seen.args if isinstance(argument, BaseException)), None)
        seen = nested or seen.__cause__ or seen.__context__
    return str(error)


def message_of(reply: Reply) -> str:
    """Return the engine's message in an error."""
    try:
        message = json.loads(reply.body)["message"]
    except (ValueError, KeyError, TypeError):
        message = reply.body.decode(errors="replace")
    # A proxy's may be a page of HTML: one line of it, and no line of the log is more.
    return " ".join(str(message).split())[:500] or f"HTTP status {reply.status}"


def _without_encodings(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers without those for which a proxy could compress a reply."""
    return {name: value for name, value in headers.items() if name.lower() != "accept-encoding"}
