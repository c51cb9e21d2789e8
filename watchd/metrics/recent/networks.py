"""Which containers share which network, their addresses and what passes there now, for the page and the API."""

from collections.abc import Mapping
from typing import Any

from watchd.metrics.recent.overview import Overview, ports_as_json, state_as_json
from watchd.metrics.recent.traffic import Flow, Traffic
from watchd.model import COMPOSE_PROJECT, Container, EngineView, Network

_SHARED = "container:"  # mode of a container in the network of another one


class NetworkOverview:
    """The networks of the engine as JSON values. Rates are per second; None: not known."""

    def __init__(self, overview: Overview, traffic: Traffic) -> None:
        self._overview = overview
        self._traffic = traffic

    def networks(self) -> dict[str, Any]:
        """Return every network with its containers, those with most containers first."""
        self._overview.refresh()
        view = self._overview.view
        flows = self._traffic.flows(view.containers)
        members, guests = _members(view), _guests(view)
        tells_oom = view.engine.tells_oom
        networks = [
            {
                **_network(each),
                "containers": [
                    {
                        **_member(member, each.name, flows.get(member.id, {}).get(each.name), tells_oom=tells_oom),
                        "shared_by": guests.get(member.id, []) + guests.get(member.name, []),
                    }
                    for member in members.get(each.name, ())
                ],
            }
            for each in view.networks
        ]
        return {
            "at": self._overview.at,
            "networks": sorted(networks, key=lambda each: (-len(each["containers"]), each["name"])),
        }


def _members(view: EngineView) -> Mapping[str, list[Container]]:
    """Return the containers on each network, by its name."""
    members: dict[str, list[Container]] = {}
    for container in view.containers:
        names = [each.network for each in container.endpoints]
        if not names and container.network_mode in ("host", "none"):
            names = [container.network_mode]
        for name in names:
            members.setdefault(name, []).append(container)
    return members


def _guests(view: EngineView) -> Mapping[str, list[str]]:
    """Return the names of the containers in the network of another one, by its ID or name."""
    guests: dict[str, list[str]] = {}
    for container in view.containers:
        if container.network_mode.startswith(_SHARED):
            guests.setdefault(container.network_mode.removeprefix(_SHARED), []).append(container.name)
    return guests


def _network(network: Network) -> dict[str, Any]:
    return {
        "id": network.id,
        "name": network.name,
        "driver": network.driver,
        "scope": network.scope,
        "internal": network.is_internal,
        "subnets": list(network.subnets),
        "compose_project": network.labels.get(COMPOSE_PROJECT),
    }


def _member(container: Container, network: str, flow: Flow | None, *, tells_oom: bool) -> dict[str, Any]:
    endpoint = next((each for each in container.endpoints if each.network == network), None)
    received, sent = flow if flow is not None else (None, None)
    return {
        "id": container.id,
        "name": container.name,
        **state_as_json(container, tells_oom=tells_oom),
        "ipv4": endpoint.ipv4 if endpoint else "",
        "ipv6": endpoint.ipv6 if endpoint else "",
        "ports": ports_as_json(container),
        "network_receive_bytes_per_second": None if received is None else round(received, 1),
        "network_transmit_bytes_per_second": None if sent is None else round(sent, 1),
    }
