"""Addresses of containers on networks, and their published ports."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A container on a network. Addresses are empty while it does not run."""

    network: str  # name
    network_id: str  # "": not attached yet
    ipv4: str = ""
    ipv6: str = ""


@dataclass(frozen=True, slots=True)
class PublishedPort:
    """A port of a container that the host passes on."""

    port: str  # of the container: "80/tcp"
    host_ip: str  # "0.0.0.0", "::", or one address
    host_port: int
