"""The one connection to the Docker Engine. Nothing else in watchd imports docker-py.

docker-py gives the transport (UNIX socket, TLS, version negotiation); the requests are written out here, since each has
a time-out of its own and the library's methods lack parameters that watchd needs.
"""

import errno
import json
import os
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.client import HTTPException
from typing import Any
from urllib.parse import quote, urlsplit

import docker
import requests
import urllib3
from docker.tls import TLSConfig
from docker.transport import UnixHTTPAdapter

from watchd.config.schema import Engine as EngineConfig
from watchd.engine import quirks, wire
from watchd.errors import EngineError, EngineRefused, EngineUnreachable, WriteForbidden
from watchd.model import (
    CacheRecord,
    Container,
    ContainerSize,
    DiskUsage,
    EngineInfo,
    Event,
    Image,
    ImageUsage,
    Network,
    Service,
    Volume,
)

# Seconds. What lists has to walk everything on hosts with thousands of objects; a removal may have to wait for the
# disk, and giving up on one would cancel it midway inside the engine.
PING_TIMEOUT = 3.0
CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 30.0
LIST_TIMEOUT = 120.0
REMOVE_TIMEOUT = 900.0
_INSPECTS_AT_ONCE = 8
# Where else an engine may listen: that of an ordinary user (rootless Docker and Podman), and root's Podman.
_OTHER_SOCKETS = ("{runtime}/docker.sock", "{runtime}/podman/podman.sock", "/run/podman/podman.sock")
_PIECE = 65536  # bytes of the event stream that are read at once, at most
_LONGEST_EVENT = 4 * 1024 * 1024  # bytes; it has a container's labels in it

# Everything that a connection which may not write will send. GET alone is not harmless on this API: some GET endpoints
# attach to a container or copy its files out.
_READ_ONLY = re.compile(
    r"(/v[\d.]+)?(/_ping|/version|/info|/events|/system/df|/containers/json|/containers/[^/]+/(json|stats)"
    r"|/images/json|/images/.+/json|/volumes(/[^/]+)?|/networks(/[^/]+)?|/services)"
)
_VERSION_OF_PATH = re.compile(r"^/v[\d.]+")
_NAME_IN_PATH = re.compile(r"^/(containers|images|volumes|networks)/(?!json$)(.+?)(/json|/stats|)$")


class Requests:
    """What was asked of an engine by method and endpoint ("/containers/{id}/json"): how often, and the seconds it took.

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
        """Return what was counted so far."""
        with self._lock:
            return dict(self._made)


class _OnePool(UnixHTTPAdapter):
    """Connections to one socket, used again for any request: docker-py keeps some for each of the last 25 URLs."""

    def get_connection(self, url: str | bytes, proxies: Any = None) -> Any:  # noqa: ARG002 - there is one place to go
        """Return the pool of connections."""
        return super().get_connection("/", proxies)


class _Connection(docker.APIClient):
    """docker-py's client, which counts what it sends and refuses to send what a read-only connection may not."""

    def __init__(self, *, read_only: bool, requests_made: Requests, **kwargs: Any) -> None:
        self._read_only = read_only  # first: the base class already sends a request
        self._requests_made = requests_made
        super().__init__(**kwargs)
        adapter = self.adapters.get("http+docker://")
        if isinstance(adapter, UnixHTTPAdapter):
            adapter.close()
            one = _OnePool(f"http+unix://{adapter.socket_path}", adapter.timeout, max_pool_size=adapter.max_pool_size)
            self.mount("http+docker://", one)
        else:  # docker-py gives the number to sockets alone
            tcp = requests.adapters.HTTPAdapter(pool_maxsize=kwargs["max_pool_size"])
            self.mount("http://", tcp)
            self.mount("https://", tcp)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send a request: every one that docker-py or watchd makes passes here."""
        path = urlsplit(request.url or "").path
        if self._read_only and not (request.method in ("GET", "HEAD") and _READ_ONLY.fullmatch(str(path))):
            raise WriteForbidden(f"{request.method} {path!s}: this connection to the engine may only read")
        began = time.monotonic()
        try:
            return super().send(request, **kwargs)
        finally:
            self._requests_made.count(str(request.method), str(path), time.monotonic() - began)


class EngineClient:
    """The requests that watchd makes of an engine, each with its time-out.

    Made without connecting: the first request connects. Every method raises `EngineUnreachable` when the engine does
    not answer (in time), `EngineRefused` when it answers with an error status, `MalformedReply` when it answers with
    something else than its API says, and, on a read-only connection, `WriteForbidden` before anything is sent.
    Safe to use from several threads; `connections` is how many of them can be served without connecting anew.
    """

    def __init__(
        self, config: EngineConfig, *, read_only: bool, requests_made: Requests | None = None, connections: int = 10
    ) -> None:
        self.host = config.host
        self.read_only = read_only
        self.requests_made = requests_made or Requests()
        self._connections = connections
        self._tls = (
            TLSConfig(
                ca_cert=str(config.tls_ca) if config.tls_ca else None,
                client_cert=(str(config.tls_cert), str(config.tls_key)) if config.tls_cert else None,
                verify=True,
            )
            if config.tls_ca or config.tls_cert
            else None
        )
        self._connection: _Connection | None = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """Forget the connection. The next request makes a new one, and asks anew which API version to speak."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def ping(self) -> None:
        """`GET /_ping`: return when the engine answers."""
        self._request("GET", "/_ping", timeout=PING_TIMEOUT)

    def info(self) -> EngineInfo:
        """`GET /version` and `GET /info`."""
        return wire.engine_info(self._json("GET", "/version"), self._json("GET", "/info"))

    def containers(self) -> list[Container]:
        """`GET /containers/json?all=1`, then one inspect each. What vanishes in between is left out.

        A container that the engine lists but cannot describe is there as the list tells it, with `inspected` false.
        """
        listed = [wire.container_from_list(raw) for raw in self._list("/containers/json", {"all": 1})]
        with ThreadPoolExecutor(_INSPECTS_AT_ONCE, thread_name_prefix="watchd-inspect") as pool:
            described = pool.map(self._describe, listed)
            return [container for container in described if container is not None]

    def container(self, container_id: str) -> Container:
        """`GET /containers/{id}/json`."""
        path = f"/containers/{quote(container_id, safe='')}/json"
        return wire.container_from_inspect(self._json("GET", path))

    def container_references(self) -> list[Container]:
        """`GET /containers/json?all=1` alone: cheap, for who uses which image right now."""
        return [wire.container_from_list(raw) for raw in self._list("/containers/json", {"all": 1})]

    def container_sizes(self) -> dict[str, ContainerSize]:
        """`GET /containers/json?all=1&size=1`: what each takes, by ID. The engine walks every writable layer."""
        return {
            wire.container_from_list(raw).id: wire.container_size(raw)
            for raw in self._list("/containers/json", {"all": 1, "size": 1})
        }

    def stats(self, container_id: str) -> Any:
        """`GET /containers/{id}/stats?stream=0&one-shot=1`: the raw reply.

        Docker before 25 answers at its next tick, up to a second later.
        """
        path = f"/containers/{quote(container_id, safe='')}/stats"
        return self._json("GET", path, params={"stream": 0, "one-shot": 1})

    def volumes(self) -> list[Volume]:
        """`GET /volumes`."""
        return wire.volumes(self._json("GET", "/volumes", timeout=LIST_TIMEOUT))

    def volume(self, name: str) -> Volume:
        """`GET /volumes/{name}`."""
        return wire.volume(self._json("GET", f"/volumes/{quote(name, safe='')}"))

    def networks(self) -> list[Network]:
        """`GET /networks`."""
        return [wire.network(raw) for raw in self._list("/networks", {})]

    def network(self, network_id: str) -> Network:
        """`GET /networks/{id}`."""
        return wire.network(self._json("GET", f"/networks/{quote(network_id, safe='')}"))

    def services(self) -> list[Service]:
        """`GET /services`: the services of the Swarm, which a manager alone tells."""
        return [wire.service(raw) for raw in self._list("/services", {})]

    def disk_usage(self) -> DiskUsage:
        """`GET /system/df`: the engine walks every writable layer and every volume."""
        return wire.disk_usage(self._disk_usage("container", "image", "volume", "build-cache"))

    def image_usage(self) -> ImageUsage:
        """`GET /system/df?type=image`: what the layers of images take."""
        return wire.image_usage(self._disk_usage("image"))

    def volume_sizes(self) -> dict[str, int]:
        """`GET /system/df?type=volume`: the bytes of each volume by name. The engine walks all of them."""
        return wire.volume_sizes(self._disk_usage("volume"))

    def build_cache(self) -> list[CacheRecord]:
        """`GET /system/df?type=build-cache`: the records of BuildKit's cache."""
        return wire.build_cache(self._disk_usage("build-cache"))

    def images(self) -> list[Image]:
        """`GET /images/json?all=1&shared-size=1` (before API 1.42 the engine does not tell the shared size)."""
        return [wire.image(raw) for raw in self._list("/images/json", {"all": 1, "shared-size": 1})]

    def image(self, reference: str) -> Image:
        """`GET /images/{name}/json`: the image that an ID or a reference names now."""
        return wire.image_from_inspect(self._json("GET", f"/images/{_quoted(reference)}/json"))

    def remove_container(self, container_id: str) -> None:
        """`DELETE /containers/{id}`: never by force, never with volumes."""
        params = {"force": 0, "v": 0}
        self._request("DELETE", f"/containers/{quote(container_id, safe='')}", params=params, timeout=REMOVE_TIMEOUT)

    def remove_image(self, reference: str) -> tuple[list[str], list[str]]:
        """`DELETE /images/{name}?force=0&noprune=1`: return the references untagged and the IDs deleted.

        `noprune`, since the engine would else remove every untagged parent too, whatever was decided about it.
        """
        params = {"force": 0, "noprune": 1}
        reply = self._json("DELETE", f"/images/{_quoted(reference)}", params=params, timeout=REMOVE_TIMEOUT)
        return wire.deleted_image(reply)

    def remove_network(self, network_id: str) -> None:
        """`DELETE /networks/{id}`. The engine refuses what a running container is attached to with 403."""
        self._request("DELETE", f"/networks/{quote(network_id, safe='')}", timeout=REMOVE_TIMEOUT)

    def remove_volume(self, name: str) -> None:
        """`DELETE /volumes/{name}?force=0`. The engine refuses what a container has with 409."""
        self._request("DELETE", f"/volumes/{quote(name, safe='')}", params={"force": 0}, timeout=REMOVE_TIMEOUT)

    def prune_build_cache(self, record_id: str) -> tuple[list[str], int]:
        """`POST /build/prune?all=1&filters={"id":[...]}`: return the IDs of the records that went, and the bytes freed.

        The engine has no other request for it, and answers with nothing where the record is gone or in use.
        """
        params = {"all": 1, "filters": json.dumps({"id": [record_id]})}
        return wire.pruned_build_cache(self._json("POST", "/build/prune", params=params, timeout=REMOVE_TIMEOUT))

    def events(self, since_nano: int | None = None) -> "EventStream":
        """`GET /events`: subscribe, and return the events to come, until the connection ends.

        With `since_nano` the engine first repeats what it still remembers from then on (at most its last 256 events).
        """
        params = {} if since_nano is None else {"since": f"{since_nano // 10**9}.{since_nano % 10**9:09d}"}
        response = self._request("GET", "/events", params=params, timeout=CONNECT_TIMEOUT, stream=True)
        return EventStream(self.host, response)

    def past_events(self, since_nano: int, until: float) -> list[Event]:
        """`GET /events?since=...&until=...`: what the engine still remembers of that time, the oldest first.

        `until` is in seconds since the epoch. The engine has the last 256 events, and none from before its start.
        """
        params = {"since": f"{since_nano // 10**9}.{since_nano % 10**9:09d}", "until": f"{until:.9f}"}
        response = self._request("GET", "/events", params=params, timeout=CONNECT_TIMEOUT)
        events = []
        for line in response.content.splitlines():
            try:
                events.append(wire.event(json.loads(line)))
            except (ValueError, wire.MalformedReply):
                continue
        return events

    def _disk_usage(self, *types: str) -> Any:
        params = {"type": list(types)} if self._api_version() >= quirks.API_WITH_DF_TYPES else {}
        return self._json("GET", "/system/df", params=params, timeout=LIST_TIMEOUT)

    def _describe(self, listed: Container) -> Container | None:
        try:
            return self.container(listed.id)
        except EngineRefused as error:
            return None if error.status == requests.codes.not_found else listed
        except wire.MalformedReply:
            return listed

    def _list(self, path: str, params: Mapping[str, Any]) -> Sequence[Any]:
        reply = self._json("GET", path, params=params, timeout=LIST_TIMEOUT)
        if not isinstance(reply, list):
            raise wire.MalformedReply(f"{path}: a list was expected")
        return reply

    def _json(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, timeout: float = READ_TIMEOUT
    ) -> Any:
        response = self._request(method, path, params=params, timeout=timeout)
        try:
            return response.json()
        except ValueError:  # that of JSON, and that of a number with more digits than Python reads
            raise wire.MalformedReply(f"{method} {path}: the reply is not JSON") from None

    def _request(
        self,
        method: str,
        path: str,
        *,
        timeout: float,
        params: Mapping[str, Any] | None = None,
        stream: bool = False,
    ) -> requests.Response:
        connection = self._connected()
        url = f"{connection.base_url}/v{connection.api_version}{path}"
        with _translated(self.host):
            response = connection.request(
                method, url, params=params, timeout=timeout, stream=stream, allow_redirects=False
            )
        if response.status_code >= requests.codes.multiple_choices:
            raise EngineRefused(_message(response), response.status_code)
        return response

    def _connected(self) -> _Connection:
        with self._lock:
            if self._connection is None:
                with _translated(self.host):
                    # Not docker.from_env(): that would follow the command line client's current context.
                    self._connection = _Connection(
                        read_only=self.read_only,
                        requests_made=self.requests_made,
                        base_url=self.host,
                        tls=self._tls or False,
                        timeout=CONNECT_TIMEOUT,
                        max_pool_size=self._connections,
                    )
            return self._connection

    def _api_version(self) -> tuple[int, ...]:
        return tuple(int(part) for part in str(self._connected().api_version).split("."))


class EventStream(Iterator[Event]):
    """The engine's events as they come.

    Iteration ends when the stream is closed, by whichever thread, and when the connection ends: often without an
    exception, so the end of the loop is the disconnect.
    """

    def __init__(self, host: str, response: requests.Response) -> None:
        self._host = host
        self._response = response
        # The time-out was for the answer to begin; an idle host may have no event for days.
        self._socket = _socket_of(response)
        if self._socket is not None:
            self._socket.settimeout(None)
        self._is_read = False
        self._lines = self._received()

    def __next__(self) -> Event:
        with _translated(self._host):
            for line in self._lines:
                try:
                    return wire.event(json.loads(line))
                except (ValueError, wire.MalformedReply):
                    continue  # one odd message costs nothing but itself
        raise StopIteration

    def _received(self) -> Iterator[bytes]:
        """Yield each line when it arrives, also from a proxy that passes the stream on without HTTP's chunks.

        requests' own way to read lines would wait for the end of such a stream.
        """
        pending = b""
        self._is_read = True
        try:
            while piece := self._response.raw.read1(_PIECE):
                *lines, pending = (pending + piece).split(b"\n")
                yield from filter(bytes.strip, lines)
                if len(pending) > _LONGEST_EVENT:
                    raise EngineUnreachable(f"the engine at {self._host} sends an event that does not end")
        finally:
            self._is_read = False
            self._response.close()

    def close(self) -> None:
        """End the connection; another thread that waits for an event gets the end of the stream."""
        if self._socket is not None:
            with suppress(OSError):  # it may have ended already
                self._socket.shutdown(socket.SHUT_RDWR)
        # Who is reading closes it: http.client's reader must not vanish beneath it.
        if not self._is_read or self._socket is None:
            self._response.close()


def _socket_of(response: requests.Response) -> socket.socket | None:
    """Return the socket that a response comes from.

    A connection that is not to be kept alive (a proxy may say so) is let go of, or has let go of its socket, and only
    http.client's reader still knows that.
    """
    connection = response.raw.connection
    if connection is not None and connection.sock is not None:
        return connection.sock
    reader = getattr(getattr(response.raw, "_fp", None), "fp", None)
    return getattr(getattr(reader, "raw", None), "_sock", None)


@contextmanager
def _translated(host: str) -> Iterator[None]:
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
        HTTPException,  # what a stream that is cut between two chunks ends with
        OSError,
        ValueError,
    ) as error:
        raise EngineUnreachable(_why_unreachable(host, error)) from None
    except docker.errors.APIError as error:
        raise EngineRefused(str(error.explanation or error), error.status_code or 0) from None
    except docker.errors.DockerException as error:  # what docker-py's constructor makes of any of the above
        raise EngineUnreachable(_why_unreachable(host, error)) from None


def _why_unreachable(host: str, error: BaseException) -> str:
    """Return what to tell of an engine that does not answer; where its socket is missing, which ones there are."""
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
    return f"{why}: set engine.host, or WATCHD_ENGINE__HOST, to where it is"


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


def _message(response: requests.Response) -> str:
    try:
        message = response.json()["message"]
    except (ValueError, KeyError, TypeError):
        message = response.text
    return str(message).strip()[:500] or f"HTTP status {response.status_code}"


def _quoted(reference: str) -> str:
    return quote(reference, safe="/:@")
