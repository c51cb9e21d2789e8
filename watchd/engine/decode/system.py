"""The engine itself, its events, and what things take of its disk, from the Engine API's JSON. Pure."""

import math
import re
from collections.abc import Collection, Iterable
from typing import Any

from watchd.engine.decode import quirks
from watchd.engine.decode.containers import container_size
from watchd.engine.decode.fields import (
    MalformedReply,
    integer,
    list_of,
    present,
    required,
    strings,
    table,
    text,
    time_of,
)
from watchd.engine.decode.images import image_usage
from watchd.model import CacheRecord, DiskUsage, EngineInfo, Event, SwarmRole

MOST_RECORDS = 50  # of the build cache in one request: BuildKit's time for one grows with the square of their number
_RECORD_ID = re.compile(r"[a-z0-9]+")


def engine_info(version: Any, info: Any) -> EngineInfo:
    """Return the engine of `GET /version` and `GET /info`."""
    present(info, "Driver", "DriverStatus", "DockerRootDir", "Swarm")
    podman = quirks.is_podman(version)
    container_cgroups = quirks.has_container_cgroups(info)
    return EngineInfo(
        id=text(info, "ID"),
        name=text(info, "Name"),
        version=text(version, "Version"),
        api_version=text(version, "ApiVersion"),
        storage_driver=text(info, "Driver"),
        store=quirks.store(list_of(info, "DriverStatus")),
        cgroup_version=text(info, "CgroupVersion") or "1",
        cgroup_driver=text(info, "CgroupDriver"),
        root_dir=text(info, "DockerRootDir"),
        swarm=_swarm_role(info),
        kernel_version=text(info, "KernelVersion"),
        operating_system=text(info, "OperatingSystem"),
        container_cgroups=container_cgroups,
        tells_oom=container_cgroups and not podman,
        honors_noprune=not podman,
        tells_networks=not podman,
    )


def event(raw: Any) -> Event:
    """Return one message of `GET /events`."""
    actor = table(raw, "Actor")
    type_, attributes = text(raw, "Type"), strings(actor, "Attributes")
    return Event(
        type=type_,
        action=text(raw, "Action").partition(":")[0],
        id=quirks.actor_id(type_, text(actor, "ID"), attributes),
        time_nano=integer(raw, "timeNano") or integer(raw, "time") * 10**9,
        attributes=attributes,
    )


def disk_usage(raw: Any) -> DiskUsage:
    """Return the disk usage in `GET /system/df`."""
    return DiskUsage(
        containers={required(entry, "Id"): container_size(entry) for entry in quirks.reported(raw, "Container")},
        volumes=volume_sizes(raw),
        cache=tuple(build_cache(raw)),
        images=image_usage(raw),
    )


def volume_sizes(raw: Any) -> dict[str, int]:
    """Return the bytes of each volume by name, from `GET /system/df`; unknown sizes are left out."""
    volumes = quirks.reported(raw, "Volume")
    sizes = {required(entry, "Name"): integer(table(entry, "UsageData"), "Size", -1) for entry in volumes}
    return {name: size for name, size in sizes.items() if size >= 0}  # -1: not known


def build_cache(raw: Any) -> list[CacheRecord]:
    """Return the records of BuildKit's cache in `GET /system/df`."""
    return [
        CacheRecord(
            id=required(entry, "ID"),
            type=text(entry, "Type"),
            description=" ".join(text(entry, "Description").split()),
            parents=tuple(map(str, quirks.cache_parents(entry))),
            in_use=entry.get("InUse") is True,
            shared=entry.get("Shared") is True,
            size=integer(entry, "Size"),
            created_at=time_of(entry, "CreatedAt"),
            last_used_at=time_of(entry, "LastUsedAt"),
            usage_count=integer(entry, "UsageCount"),
        )
        for entry in _build_cache_records(raw)
    ]


def _build_cache_records(raw: Any) -> list[Any]:
    records = quirks.reported(raw, "BuildCache")
    for record in records:
        present(record, "Type", "InUse", "Shared", "Size", "CreatedAt", "LastUsedAt")
    return records


def matching_records(ids: Collection[str]) -> str:
    """Return the regular expression that matches these IDs of records of the build cache and no other.

    The engine's filter has no other way to name several. Raise `MalformedReply` if one of them is no ID that BuildKit
    makes.
    """
    assert 0 < len(ids) <= MOST_RECORDS, f"{len(ids)} records"  # noqa: S101 - an empty one could match all of them
    for id_ in ids:
        if not _RECORD_ID.fullmatch(id_):
            raise MalformedReply(f"the ID {id_!r} of a record of the build cache is not of letters and digits")
    return f"^({'|'.join(ids)})$"


def used_until(records: Iterable[CacheRecord]) -> int | None:
    """Return the whole second after the latest use of these records; None if none was ever used."""
    latest = max((record.last_used_at for record in records if record.last_used_at is not None), default=None)
    return None if latest is None else math.floor(latest) + 1


def pruned_build_cache(raw: Any) -> list[str]:
    """Return the IDs of the records that went, from the reply to `POST /build/prune`."""
    return [str(id_) for id_ in list_of(raw, "CachesDeleted")]


def _swarm_role(info: Any) -> SwarmRole:
    swarm = table(info, "Swarm")
    present(swarm, "LocalNodeState", "ControlAvailable")
    if text(swarm, "LocalNodeState") in ("", "inactive"):
        return "none"  # any other state (pending, error, locked) is of a node that has tasks, or had
    return "manager" if swarm.get("ControlAvailable") is True else "worker"
