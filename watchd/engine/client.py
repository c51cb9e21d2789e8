"""The requests that watchd makes of a Docker Engine.

They are written out here: each has a time-out of its own, and docker-py's methods lack parameters that watchd needs.
"""

import json
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any
from urllib.parse import quote

import requests

from watchd.config.schema.config import Engine as EngineConfig
from watchd.engine.connection.requester import LIST_TIMEOUT, REMOVE_TIMEOUT, Requester
from watchd.engine.connection.transport import CONNECT_TIMEOUT, Requests
from watchd.engine.data.disks import EngineDisks
from watchd.engine.decode import containers, details, images, objects, parts, quirks, system
from watchd.engine.decode.fields import MalformedReply
from watchd.engine.decode.graph_driver import GraphLayers, graph_layers
from watchd.engine.event_stream import EventStream
from watchd.engine.histories import Histories
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
    Layer,
    Network,
    Service,
    Volume,
)
from watchd.model.objects.details import ContainerDetails
from watchd.model.objects.parts import Part
from watchd.runtime.watchdog import Pool

PING_TIMEOUT = 3.0  # seconds
_INSPECTS_AT_ONCE = 8

Progress = Callable[[Iterator[Image | None], int], Iterator[Image | None]]


class EngineClient(Requester):
    """The requests that watchd makes of an engine, each with its time-out.

    Made without connecting: the first request connects. Every method raises `EngineUnreachable` when the engine does
    not answer (in time), `EngineRefused` when it answers with an error status, `MalformedReply` when it answers with
    something else than its API says, and, on a read-only connection, `WriteForbidden` before anything is sent.
    Safe to use from several threads; `connections` is how many of them can be served without connecting anew. `disks`
    finds the disks of the engine's data. A client shares it, the count of requests, and the layers of images with the
    client `beside` it.
    """

    def __init__(
        self,
        config: EngineConfig,
        *,
        read_only: bool,
        beside: "EngineClient | None" = None,
        connections: int = 10,
    ) -> None:
        super().__init__(
            config,
            read_only=read_only,
            requests_made=beside.requests_made if beside else Requests(),
            connections=connections,
        )
        self.disks: EngineDisks = beside.disks if beside else EngineDisks(config.data_roots)
        self.progress: Progress = lambda inspected, _: inspected
        """Passes on what is inspected of so many images, and may show how far that is."""
        self._histories: Histories = beside._histories if beside else Histories()  # noqa: SLF001 - another of its kind
        self._measuring: threading.Lock = beside._measuring if beside else threading.Lock()  # noqa: SLF001 - the same

    @property
    def lists_types(self) -> bool:
        """Return whether the engine measures one type of `GET /system/df` alone, not everything."""
        return self._api_version() >= quirks.API_WITH_DF_TYPES

    def ping(self) -> None:
        """`GET /_ping`: return when the engine answers."""
        self._request("GET", "/_ping", timeout=PING_TIMEOUT)

    def info(self) -> EngineInfo:
        """`GET /version` and `GET /info`."""
        return system.engine_info(self._json("GET", "/version"), self._json("GET", "/info"))

    def containers(self) -> list[Container]:
        """`GET /containers/json?all=1`, then one inspect each. What vanishes in between is left out."""
        return [each for each in self.inspect_all(self.container_references()) if each is not None]

    def inspect_all(self, listed: Iterable[Container]) -> Iterator[Container | None]:
        """Inspect each container and yield it as soon as the engine answers, in their order; None: it has gone since.

        A container that the engine lists but cannot describe is returned as listed, with `inspected` false.
        """
        with Pool(_INSPECTS_AT_ONCE, "watchd-inspect", "inspecting containers") as pool:
            yield from pool.map(self._describe, listed)

    def container(self, container_id: str) -> Container:
        """`GET /containers/{id}/json`."""
        return containers.container_from_inspect(self._inspected(container_id))

    def container_details(self, container_id: str) -> ContainerDetails:
        """`GET /containers/{id}/json`, with what only the page shows."""
        return details.details_from_inspect(self._inspected(container_id))

    def _inspected(self, container_id: str) -> Any:
        return self._json("GET", f"/containers/{quote(container_id, safe='')}/json")

    def container_references(self, *, since: str = "") -> list[Container]:
        """`GET /containers/json?all=1` alone: for the images in use right now. `since`: those newer than a container.

        With containerd's store the engine looks up the image of each that it lists.
        """
        chosen = {"filters": json.dumps({"since": [since]})} if since else {}
        return [containers.container_from_list(raw) for raw in self._list("/containers/json", {"all": 1, **chosen})]

    def container_sizes(self, ids: Sequence[str] = ()) -> dict[str, ContainerSize]:
        """`GET /containers/json?all=1&size=1`: what each takes, by ID. The engine walks every writable layer.

        `ids`: of these containers alone.
        """
        chosen = {"filters": json.dumps({"id": list(ids)})} if ids else {}
        return {
            containers.container_from_list(raw).id: containers.container_size(raw)
            for raw in self._list("/containers/json", {"all": 1, "size": 1, **chosen})
        }

    def stats(self, container_id: str) -> Any:
        """`GET /containers/{id}/stats?stream=0&one-shot=1`: the raw reply.

        Docker before 25 answers at its next tick, up to a second later.
        """
        path = f"/containers/{quote(container_id, safe='')}/stats"
        return self._json("GET", path, params={"stream": 0, "one-shot": 1})

    def volumes(self) -> list[Volume]:
        """`GET /volumes`."""
        return objects.volumes(self._json("GET", "/volumes", timeout=LIST_TIMEOUT))

    def volume(self, name: str) -> Volume:
        """`GET /volumes/{name}`."""
        return objects.volume(self._json("GET", f"/volumes/{quote(name, safe='')}"))

    def networks(self) -> list[Network]:
        """`GET /networks`."""
        return [objects.network(raw) for raw in self._list("/networks", {})]

    def network(self, network_id: str) -> Network:
        """`GET /networks/{id}`."""
        return objects.network(self._json("GET", f"/networks/{quote(network_id, safe='')}"))

    def services(self) -> list[Service]:
        """`GET /services`: the services of the Swarm, which only a manager lists."""
        return [objects.service(raw) for raw in self._list("/services", {})]

    def disk_usage(self) -> DiskUsage:
        """`GET /system/df`: the engine walks every writable layer and every volume."""
        return system.disk_usage(self._disk_usage("container", "image", "volume", "build-cache"))

    def image_usage(self) -> ImageUsage:
        """`GET /system/df?type=image`: what the layers of images take."""
        return images.image_usage(self._disk_usage("image"))

    def volume_sizes(self) -> dict[str, int]:
        """`GET /system/df?type=volume`: the bytes of each volume by name. The engine walks all of them."""
        return system.volume_sizes(self._disk_usage("volume"))

    def build_cache(self) -> list[CacheRecord]:
        """`GET /system/df?type=build-cache`: the records of BuildKit's cache."""
        return system.build_cache(self._disk_usage("build-cache"))

    def images(self) -> list[Image]:
        """`GET /images/json?all=1&shared-size=1`: shared sizes (API 1.42 and later) take the engine long."""
        return self._images({"all": 1, "shared-size": 1})

    def image_references(self) -> list[Image]:
        """`GET /images/json?all=1`: without what images share."""
        return self._images({"all": 1})

    def _images(self, params: Mapping[str, Any]) -> list[Image]:
        return [images.image(raw) for raw in self._while_others_remove(lambda: self._list("/images/json", params))]

    def image_parts(self) -> dict[str, tuple[Part, ...]]:
        """`GET /images/json?all=1&manifests=1`: the parts of images by their IDs, as far as the engine tells them."""
        if self._api_version() < parts.API_WITH_PARTS:
            return {}
        try:
            listed = self._while_others_remove(lambda: self._list("/images/json", {"all": 1, "manifests": 1}))
            return {images.image(raw).id: parts.image_parts(raw) for raw in listed}
        except (EngineRefused, MalformedReply):  # they are only shown
            return {}

    def image(self, reference: str) -> Image:
        """`GET /images/{name}/json`: the image that an ID or a reference names now."""
        return images.image_from_inspect(self._json("GET", f"/images/{_quoted(reference)}/json"))

    def container_layers(self, container_id: str) -> GraphLayers:
        """`GET /containers/{id}/json`: the folders of a container's layers; its own is the upper one."""
        return graph_layers(self._json("GET", f"/containers/{quote(container_id, safe='')}/json"))

    def image_layers(self, image_id: str) -> GraphLayers:
        """`GET /images/{name}/json`: the folders of an image's layers."""
        return graph_layers(self._json("GET", f"/images/{_quoted(image_id)}/json"))

    def histories(self, image_ids: Iterable[str]) -> dict[str, tuple[Layer, ...]]:
        """`GET /images/{id}/history`, once for each ID: the layers of these images, as far as the engine tells them."""
        return self._histories.of(image_ids, self._history)

    def _history(self, image_id: str) -> tuple[Layer, ...] | None:
        try:
            return images.history(self._json("GET", f"/images/{_quoted(image_id)}/history"))
        except MalformedReply:
            return None
        except EngineRefused as error:
            if error.status in (
                requests.codes.not_found,
                requests.codes.forbidden,
            ):  # it has gone, or a proxy forbids it
                return None
            raise

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
        return images.deleted_image(reply)

    def remove_network(self, network_id: str) -> None:
        """`DELETE /networks/{id}`. The engine refuses what a running container is attached to with 403."""
        self._request("DELETE", f"/networks/{quote(network_id, safe='')}", timeout=REMOVE_TIMEOUT)

    def remove_volume(self, name: str) -> None:
        """`DELETE /volumes/{name}?force=0`. The engine refuses what a container has with 409."""
        self._request("DELETE", f"/volumes/{quote(name, safe='')}", params={"force": 0}, timeout=REMOVE_TIMEOUT)

    def prune_build_cache(self, records: Collection[CacheRecord]) -> list[str]:
        """`POST /build/prune?all=1&filters={"id":["^(...|...)$"],"until":["..."]}`: return the IDs of those that went.

        At most `system.MOST_RECORDS` at a time. The engine takes the ID for a regular expression, and leaves a record
        that is in use, or has children which stay. It has no other request for it. With `until`, which engines before
        `quirks.API_WITH_PRUNE_UNTIL_A_TIME` do not get, it also leaves what a build uses meanwhile, and compiles the
        expression for no record used later than these.
        """
        filters = {"id": [system.matching_records([record.id for record in records])]}
        until = system.used_until(records)
        if until is not None and self._api_version() >= quirks.API_WITH_PRUNE_UNTIL_A_TIME:
            filters["until"] = [str(until)]
        params = {"all": 1, "filters": json.dumps(filters, separators=(",", ":"))}
        return system.pruned_build_cache(self._json("POST", "/build/prune", params=params, timeout=REMOVE_TIMEOUT))

    def events(
        self, since_nano: int | None = None, *, types: Sequence[str] = (), actions: Sequence[str] = ()
    ) -> EventStream:
        """`GET /events`: subscribe, and return the events to come of these types and actions until the connection ends.

        With `since_nano` the engine first repeats what it still remembers from then on (at most its last 256 events).
        """
        params = {} if since_nano is None else {"since": f"{since_nano // 10**9}.{since_nano % 10**9:09d}"}
        filters = {"type": list(types), "event": list(actions)}
        if types or actions:
            params["filters"] = json.dumps({name: values for name, values in filters.items() if values})
        return EventStream(self.host, self._follow("/events", params))

    def past_events(self, since_nano: int, until: float) -> list[Event]:
        """`GET /events?since=...&until=...`: what the engine still remembers of that time, the oldest first.

        `until` is in seconds since the epoch. The engine has the last 256 events, and none from before its start.
        """
        params = {"since": f"{since_nano // 10**9}.{since_nano % 10**9:09d}", "until": f"{until:.9f}"}
        events = []
        for line in self._request("GET", "/events", params=params, timeout=CONNECT_TIMEOUT).splitlines():
            try:
                events.append(system.event(json.loads(line)))
            except (ValueError, MalformedReply):
                continue
        return events

    def _disk_usage(self, *types: str) -> Any:
        params: dict[str, Any] = {"type": list(types)} if self.lists_types else {}
        if self._api_version() >= quirks.API_WITH_DF_LISTS_ON_REQUEST:
            params["verbose"] = 1
        # Docker before 23 measures once at a time, and refuses to meanwhile (20.10.24).
        with nullcontext() if self.lists_types else self._measuring:
            return self._while_others_remove(
                lambda: self._json("GET", "/system/df", params=params, timeout=LIST_TIMEOUT)
            )

    def _describe(self, listed: Container) -> Container | None:
        try:
            return self.container(listed.id)
        except EngineRefused as error:
            return None if error.status == requests.codes.not_found else listed
        except MalformedReply:
            return listed


def _quoted(reference: str) -> str:
    return quote(reference, safe="/:@")
