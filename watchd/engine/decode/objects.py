"""Volumes, networks and Swarm services, from the Engine API's JSON. Pure."""

from typing import Any

from watchd.engine.decode.fields import list_of, present, required, strings, table, tables, text, time_of
from watchd.model import Network, Service, Volume


def volumes(raw: Any) -> list[Volume]:
    """Return the volumes of `GET /volumes`."""
    present(raw, "Volumes")
    return [volume(entry) for entry in list_of(raw, "Volumes")]


def volume(raw: Any) -> Volume:
    """Return the volume of `GET /volumes/{name}`."""
    present(raw, "Driver", "Labels", "Options")
    return Volume(
        name=required(raw, "Name"),
        driver=text(raw, "Driver"),
        created=text(raw, "CreatedAt"),
        created_at=time_of(raw, "CreatedAt"),
        labels=strings(raw, "Labels"),
        options=strings(raw, "Options"),
        mountpoint=text(raw, "Mountpoint"),
    )


def network(raw: Any) -> Network:
    """Return the network of `GET /networks`."""
    present(raw, "Name", "Driver", "Scope", "Created", "Labels", "ConfigOnly")
    return Network(
        id=required(raw, "Id"),
        name=text(raw, "Name"),
        driver=text(raw, "Driver"),
        scope=text(raw, "Scope"),
        created_at=time_of(raw, "Created"),
        labels=strings(raw, "Labels"),
        is_configuration=raw.get("ConfigOnly") is True,
        is_internal=raw.get("Internal") is True,
        subnets=tuple(filter(None, (text(each, "Subnet") for each in tables(table(raw, "IPAM"), "Config")))),
    )


def service(raw: Any) -> Service:
    """Return the service of `GET /services`."""
    present(table(raw, "Spec"), "Name", "TaskTemplate")
    specs = [table(raw, "Spec"), table(raw, "PreviousSpec")]
    images = [text(table(table(spec, "TaskTemplate"), "ContainerSpec"), "Image") for spec in specs]
    return Service(required(raw, "ID"), text(specs[0], "Name"), tuple(filter(None, dict.fromkeys(images))))
