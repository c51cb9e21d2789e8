"""The Engine API's JSON, turned into watchd's own values. Pure: what comes in is all that matters.

Every function raises `MalformedReply`, and nothing else, whatever it is given. Fields that engines leave out have the
value that Docker's documentation gives them; fields that watchd cannot do without are errors when they are missing.
"""

from collections.abc import Mapping
from typing import Any

from watchd.engine import quirks
from watchd.errors import EngineError
from watchd.model import (
    CacheRecord,
    Container,
    ContainerSize,
    DiskUsage,
    EngineInfo,
    Event,
    Image,
    ImageUsage,
    Limits,
    Network,
    Service,
    SwarmRole,
    Volume,
)
from watchd.units import parse_time

_NO_NETWORK = ("", "default", "host", "none")  # modes that name no network that anyone could remove
_DEFAULT_CPU_PERIOD = 100_000  # microseconds; what runtimes give --cpus


class MalformedReply(EngineError):
    """The engine said something that is not what its API says."""


def container_from_inspect(raw: Any) -> Container:
    """Return the container of `GET /containers/{id}/json`."""
    state = _table(raw, "State")
    config = _table(raw, "Config")
    host = _table(raw, "HostConfig")
    status = _text(state, "Status")
    has_ended = status not in ("created", "running", "paused")  # a restarting one has an end, too
    return Container(
        id=_required(raw, "Id"),
        name=_text(raw, "Name").removeprefix("/"),
        image=_text(config, "Image"),
        image_id=_text(raw, "Image"),
        status=status,
        created_at=_time(raw, "Created"),
        started_at=_time(state, "StartedAt"),
        finished_at=_time(state, "FinishedAt"),
        exit_code=_integer(state, "ExitCode") if has_ended else None,
        oom_killed=state.get("OOMKilled") is True,
        health=_health(state),
        restart_count=_integer(raw, "RestartCount"),
        restart_policy=_text(_table(host, "RestartPolicy"), "Name") or "no",
        labels=_strings(config, "Labels"),
        pid=_integer(state, "Pid"),
        network_mode=_text(host, "NetworkMode") or "default",
        limits=_limits(host),
        cgroup_parent=_text(host, "CgroupParent"),
        image_mounts=tuple(_text(mount, "Source") for mount in _tables(host, "Mounts") if mount.get("Type") == "image"),
        volumes=_mounted_volumes(raw),
        networks=_attached_networks(raw),
    )


def container_from_list(raw: Any) -> Container:
    """Return what `GET /containers/json` tells of a container: enough to protect its image, not to judge it."""
    names = _list(raw, "Names")
    return Container(
        id=_required(raw, "Id"),
        name=str(names[0]).removeprefix("/") if names else "",
        image=_text(raw, "Image"),
        image_id=_text(raw, "ImageID"),
        status=_text(raw, "State"),
        created_at=float(_integer(raw, "Created")) or None,
        labels=_strings(raw, "Labels"),
        volumes=_mounted_volumes(raw),
        networks=_attached_networks(raw),
        inspected=False,
    )


def container_size(raw: Any) -> ContainerSize:
    """Return a container's sizes, from `GET /containers/json?size=1` or `GET /system/df`."""
    return ContainerSize(writable_layer=_integer(raw, "SizeRw"), root_fs=_integer(raw, "SizeRootFs"))


def volumes(raw: Any) -> list[Volume]:
    """Return the volumes of `GET /volumes`."""
    return [volume(entry) for entry in _list(raw, "Volumes")]


def volume(raw: Any) -> Volume:
    """Return the volume of `GET /volumes/{name}`."""
    return Volume(
        name=_required(raw, "Name"),
        driver=_text(raw, "Driver"),
        created=_text(raw, "CreatedAt"),
        created_at=_time(raw, "CreatedAt"),
        labels=_strings(raw, "Labels"),
        options=_strings(raw, "Options"),
    )


def network(raw: Any) -> Network:
    """Return the network of `GET /networks`."""
    return Network(
        id=_required(raw, "Id"),
        name=_text(raw, "Name"),
        driver=_text(raw, "Driver"),
        scope=_text(raw, "Scope"),
        created_at=_time(raw, "Created"),
        labels=_strings(raw, "Labels"),
        is_configuration=raw.get("ConfigOnly") is True,
    )


def disk_usage(raw: Any) -> DiskUsage:
    """Return what `GET /system/df` tells of containers, volumes and the build cache."""
    return DiskUsage(
        containers={_required(entry, "Id"): container_size(entry) for entry in _list(raw, "Containers")},
        volumes=volume_sizes(raw),
        build_cache=sum(record.size for record in build_cache(raw) if not record.shared),
        layers=quirks.layers_size(_integer(raw, "LayersSize"), len(_list(raw, "Images"))),
    )


def image_usage(raw: Any) -> ImageUsage:
    """Return what `GET /system/df` tells of images."""
    images = [image(entry) for entry in _list(raw, "Images")]
    return ImageUsage(
        layers=quirks.layers_size(_integer(raw, "LayersSize"), len(images)),
        unique={each.id: max(0, each.size - (each.shared_size or 0)) for each in images},
    )


def volume_sizes(raw: Any) -> dict[str, int]:
    """Return the bytes of each volume by name, as `GET /system/df` tells; those that it does not know are left out."""
    sizes = {
        _required(entry, "Name"): _integer(_table(entry, "UsageData"), "Size", -1) for entry in _list(raw, "Volumes")
    }
    return {name: size for name, size in sizes.items() if size >= 0}  # -1: not known


def build_cache(raw: Any) -> list[CacheRecord]:
    """Return the records of BuildKit's cache that `GET /system/df` tells of."""
    return [
        CacheRecord(
            id=_required(entry, "ID"),
            type=_text(entry, "Type"),
            description=" ".join(_text(entry, "Description").split()),
            parents=tuple(map(str, quirks.cache_parents(entry))),
            in_use=entry.get("InUse") is True,
            shared=entry.get("Shared") is True,
            size=_integer(entry, "Size"),
            created_at=_time(entry, "CreatedAt"),
            last_used_at=_time(entry, "LastUsedAt"),
        )
        for entry in _list(raw, "BuildCache")
    ]


def pruned_build_cache(raw: Any) -> tuple[list[str], int]:
    """Return the IDs of the records that went and the bytes freed, from the reply to `POST /build/prune`."""
    return [str(id_) for id_ in _list(raw, "CachesDeleted")], _integer(raw, "SpaceReclaimed")


def service(raw: Any) -> Service:
    """Return the service of `GET /services`."""
    specs = [_table(raw, "Spec"), _table(raw, "PreviousSpec")]
    images = [_text(_table(_table(spec, "TaskTemplate"), "ContainerSpec"), "Image") for spec in specs]
    return Service(_required(raw, "ID"), _text(specs[0], "Name"), tuple(filter(None, dict.fromkeys(images))))


def image(raw: Any) -> Image:
    """Return the image of `GET /images/json`."""
    return Image(
        id=quirks.image_id(_required(raw, "Id")),
        tags=_references(raw, "RepoTags", quirks.NO_TAG),
        digests=_references(raw, "RepoDigests", quirks.NO_DIGEST),
        parent_id=quirks.image_id(_text(raw, "ParentId")) or None,
        created_at=float(max(0, _integer(raw, "Created"))) or None,
        size=_integer(raw, "Size"),
        shared_size=quirks.shared_size(raw, _integer(raw, "SharedSize", -1)),
        labels=_strings(raw, "Labels"),
    )


def image_from_inspect(raw: Any) -> Image:
    """Return of `GET /images/{name}/json` what tells which image it is now: ID, references and labels."""
    return Image(
        id=quirks.image_id(_required(raw, "Id")),
        tags=_references(raw, "RepoTags", quirks.NO_TAG),
        digests=_references(raw, "RepoDigests", quirks.NO_DIGEST),
        parent_id=quirks.image_id(_text(raw, "Parent")) or None,
        size=_integer(raw, "Size"),
        labels=_strings(_table(raw, "Config"), "Labels"),
    )


def deleted_image(raw: Any) -> tuple[list[str], list[str]]:
    """Return the references untagged and the IDs deleted, from the reply to `DELETE /images/{name}`."""
    if not isinstance(raw, list):
        raise MalformedReply(f"a list was expected, not {_shown(raw)}")
    entries = [entry for entry in raw if isinstance(entry, dict)]
    return (
        [_text(entry, "Untagged") for entry in entries if "Untagged" in entry],
        [quirks.image_id(_text(entry, "Deleted")) for entry in entries if "Deleted" in entry],
    )


def engine_info(version: Any, info: Any) -> EngineInfo:
    """Return the engine of `GET /version` and `GET /info`."""
    podman = quirks.is_podman(version)
    container_cgroups = quirks.has_container_cgroups(info)
    return EngineInfo(
        id=_text(info, "ID"),
        name=_text(info, "Name"),
        version=_text(version, "Version"),
        api_version=_text(version, "ApiVersion"),
        storage_driver=_text(info, "Driver"),
        store=quirks.store(_list(info, "DriverStatus")),
        cgroup_version=_text(info, "CgroupVersion") or "1",
        cgroup_driver=_text(info, "CgroupDriver"),
        root_dir=_text(info, "DockerRootDir"),
        swarm=_swarm_role(info),
        kernel_version=_text(info, "KernelVersion"),
        operating_system=_text(info, "OperatingSystem"),
        container_cgroups=container_cgroups,
        tells_oom=container_cgroups and not podman,
        honors_noprune=not podman,
    )


def event(raw: Any) -> Event:
    """Return one message of `GET /events`."""
    actor = _table(raw, "Actor")
    type_, attributes = _text(raw, "Type"), _strings(actor, "Attributes")
    return Event(
        type=type_,
        action=_text(raw, "Action").partition(":")[0],
        id=quirks.actor_id(type_, _text(actor, "ID"), attributes),
        time_nano=_integer(raw, "timeNano") or _integer(raw, "time") * 10**9,
        attributes=attributes,
    )


def _limits(host: Mapping[str, Any]) -> Limits:
    nano_cpus = _integer(host, "NanoCpus")
    return Limits(
        cpu_period=_integer(host, "CpuPeriod") or (_DEFAULT_CPU_PERIOD if nano_cpus else 0),
        cpu_quota=_integer(host, "CpuQuota") or nano_cpus * _DEFAULT_CPU_PERIOD // 10**9,
        cpu_shares=_integer(host, "CpuShares"),
        memory=_integer(host, "Memory"),
        memory_swap=_integer(host, "MemorySwap"),
        memory_reservation=_integer(host, "MemoryReservation"),
        pids=_integer(host, "PidsLimit"),
    )


def _swarm_role(info: Any) -> SwarmRole:
    swarm = _table(info, "Swarm")
    if _text(swarm, "LocalNodeState") in ("", "inactive"):
        return "none"  # any other state (pending, error, locked) is of a node that has tasks, or had
    return "manager" if swarm.get("ControlAvailable") is True else "worker"


def _mounted_volumes(raw: Any) -> tuple[str, ...]:
    mounts = [mount for mount in _tables(raw, "Mounts") if mount.get("Type") == "volume"]
    return tuple(sorted({quirks.volume_name(mount) for mount in mounts} - {""}))


def _attached_networks(raw: Any) -> tuple[str, ...]:
    """Return names and IDs. A container that never ran knows no ID yet, and was given whichever its user wrote."""
    attached = _table(_table(raw, "NetworkSettings"), "Networks")
    ids = {_text(endpoint, "NetworkID") for endpoint in attached.values() if isinstance(endpoint, Mapping)}
    mode = _text(_table(raw, "HostConfig"), "NetworkMode")
    named = set() if mode in _NO_NETWORK or mode.startswith("container:") else {mode}
    return tuple(sorted({*map(str, attached), *ids, *named} - {""}))


def _references(raw: Any, key: str, none: str) -> tuple[str, ...]:
    return tuple(sorted({str(reference) for reference in _list(raw, key)} - {none}))


def _health(state: Mapping[str, Any]) -> str | None:
    status = _text(_table(state, "Health"), "Status")
    return status if status not in ("", "none") else None


def _time(raw: Any, key: str) -> float | None:
    """Return a time, or None where the engine writes the year 1 or nothing: it has not happened."""
    text = _text(raw, key)
    if not text or text.startswith("0001-"):
        return None
    try:
        return parse_time(text)
    except (ValueError, OverflowError):
        raise MalformedReply(f"{key}: {_shown(text)} is not a time") from None


def _get(raw: Any, key: str, type_: type, default: Any) -> Any:
    if not isinstance(raw, Mapping):
        raise MalformedReply(f"an object with {key} was expected, not {_shown(raw)}")
    value = raw.get(key)
    if value is None:  # Go writes null for what is empty
        return default
    if not isinstance(value, type_) or (type_ is int and isinstance(value, bool)):
        raise MalformedReply(f"{key}: {_shown(value)} is not of the type {type_.__name__}")
    return value


def _required(raw: Any, key: str) -> str:
    value: str = _get(raw, key, str, "")
    if not value:
        raise MalformedReply(f"{key} is missing in {_shown(raw)}")
    return value


def _text(raw: Any, key: str) -> str:
    value: str = _get(raw, key, str, "")
    return value


def _integer(raw: Any, key: str, default: int = 0) -> int:
    value: int = _get(raw, key, int, default)
    if not -(2**63) <= value < 2**64:
        raise MalformedReply(f"{key}: {value} is beyond 64 bits")
    return value


def _table(raw: Any, key: str) -> Mapping[str, Any]:
    value: Mapping[str, Any] = _get(raw, key, Mapping, {})
    return value


def _list(raw: Any, key: str) -> list[Any]:
    value: list[Any] = _get(raw, key, list, [])
    return value


def _tables(raw: Any, key: str) -> list[Mapping[str, Any]]:
    return [value for value in _list(raw, key) if isinstance(value, Mapping)]


def _strings(raw: Any, key: str) -> dict[str, str]:
    """Return a map of labels or attributes; what is no text in it is written as text."""
    return {str(name): str(value) for name, value in _table(raw, key).items()}


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
