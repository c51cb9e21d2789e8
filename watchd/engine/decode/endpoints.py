"""Addresses and published ports of containers, from the Engine API's JSON. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from watchd.engine.decode.fields import table, tables, text
from watchd.model import Endpoint, PublishedPort


def endpoints(raw: Any) -> tuple[Endpoint, ...]:
    """Return the networks of `GET /containers/{id}/json`, by name, but those of the host and "none"."""
    attached = table(table(raw, "NetworkSettings"), "Networks")
    return tuple(
        Endpoint(name, text(each, "NetworkID"), text(each, "IPAddress"), text(each, "GlobalIPv6Address"))
        for name, each in sorted(attached.items())
        if isinstance(each, Mapping) and name not in ("host", "none")
    )


def published_ports(raw: Any) -> tuple[PublishedPort, ...]:
    """Return the ports of `GET /containers/{id}/json` that the host passes on now."""
    bound = table(table(raw, "NetworkSettings"), "Ports")
    return tuple(
        PublishedPort(port, text(each, "HostIp"), int(text(each, "HostPort")))
        for port in sorted(bound, key=_number)
        for each in tables(bound, port)
        if re.fullmatch("[0-9]{1,5}", text(each, "HostPort"))
    )


def _number(port: str) -> tuple[int, str]:
    number = re.match("[0-9]{1,5}", port)
    return int(number[0]) if number else 0, port
