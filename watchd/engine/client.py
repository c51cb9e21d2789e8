"""The requests that watchd makes of a Docker Engine.

They are written out here: each has a time-out of its own, and docker-py's methods lack parameters that watchd needs.
"""

import json
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import requests

from watchd.config.schema import Engine as EngineConfig
from watchd.engine import quirks, wire
from watchd.engine.connection import CONNECT_TIMEOUT, Connection, Requests, message_of, tls_of, translated
from watchd.engine.event_stream import EventStream
from watchd.errors import EngineRefused
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
READ_TIMEOUT = 30.0
LIST_TIMEOUT = 120.0
REMOVE_TIMEOUT = 900.0
_INSPECTS_AT_ONCE = 8


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
        self._config = config
        self._tls = tls_of(config)
        self._connection: Connection | None = None
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

    def events(self, since_nano: int | None = None) -> EventStream:
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
        with translated(self.host):
            response = connection.request(
                method, url, params=params, timeout=timeout, stream=stream, allow_redirects=False
            )
        if response.status_code >= requests.codes.multiple_choices:
            raise EngineRefused(message_of(response), response.status_code)
        return response

    def _connected(self) -> Connection:
        with self._lock:
            if self._connection is None:
                with translated(self.host):
                    self._connection = Connection(
                        self._config,
                        read_only=self.read_only,
                        requests_made=self.requests_made,
                        tls=self._tls,
                        kept=self._connections,
                    )
            return self._connection

    def _api_version(self) -> tuple[int, ...]:
        return tuple(int(part) for part in str(self._connected().api_version).split("."))


def _quoted(reference: str) -> str:
    return quote(reference, safe="/:@")
