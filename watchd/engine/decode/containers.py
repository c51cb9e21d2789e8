"""Containers, from the Engine API's JSON. Pure."""

from collections.abc import Mapping
from typing import Any

from watchd.engine.decode import quirks
from watchd.engine.decode.endpoints import endpoints, published_ports
from watchd.engine.decode.fields import integer, list_of, present, required, strings, table, tables, text, time_of
from watchd.engine.decode.logs import log_of
from watchd.model import Container, ContainerSize, Limits

_NO_NETWORK = ("", "default", "host", "none")  # modes that name no network that anyone could remove
_DEFAULT_CPU_PERIOD = 100_000  # microseconds; what runtimes give --cpus


def container_from_inspect(raw: Any) -> Container:
    """Return the container of `GET /containers/{id}/json`."""
    state = table(raw, "State")
    config = table(raw, "Config")
    host = table(raw, "HostConfig")
    present(raw, "Created", "Image", "Mounts", "NetworkSettings")
    present(state, "Status", "StartedAt", "FinishedAt", "ExitCode")
    present(config, "Image", "Labels")
    present(host, "RestartPolicy", "NetworkMode")
    status = text(state, "Status")
    has_ended = status not in ("created", "running", "paused")  # a restarting one has an end, too
    return Container(
        id=required(raw, "Id"),
        name=text(raw, "Name").removeprefix("/"),
        image=text(config, "Image"),
        image_id=text(raw, "Image"),
        status=status,
        created_at=time_of(raw, "Created"),
        started_at=time_of(state, "StartedAt"),
        finished_at=time_of(state, "FinishedAt"),
        exit_code=integer(state, "ExitCode") if has_ended else None,
        oom_killed=state.get("OOMKilled") is True,
        health=_health(state),
        restart_count=integer(raw, "RestartCount"),
        restart_policy=text(table(host, "RestartPolicy"), "Name") or "no",
        labels=strings(config, "Labels"),
        pid=integer(state, "Pid"),
        network_mode=text(host, "NetworkMode") or "default",
        limits=_limits(host),
        cgroup_parent=text(host, "CgroupParent"),
        image_mounts=tuple(text(mount, "Source") for mount in tables(host, "Mounts") if mount.get("Type") == "image"),
        volumes=_mounted_volumes(raw),
        networks=_attached_networks(raw),
        endpoints=endpoints(raw),
        ports=published_ports(raw),
        log=log_of(raw),
    )


def container_from_list(raw: Any) -> Container:
    """Return a container of `GET /containers/json`: enough to protect its image, not to judge it."""
    present(raw, "Image", "ImageID", "State", "Created", "Labels", "Mounts", "NetworkSettings")
    names = list_of(raw, "Names")
    return Container(
        id=required(raw, "Id"),
        name=str(names[0]).removeprefix("/") if names else "",
        image=text(raw, "Image"),
        image_id=text(raw, "ImageID"),
        status=text(raw, "State"),
        created_at=float(integer(raw, "Created")) or None,
        labels=strings(raw, "Labels"),
        volumes=_mounted_volumes(raw),
        networks=_attached_networks(raw),
        inspected=False,
    )


def container_size(raw: Any) -> ContainerSize:
    """Return a container's sizes, from `GET /containers/json?size=1` or `GET /system/df`."""
    return ContainerSize(writable_layer=integer(raw, "SizeRw"), root_fs=integer(raw, "SizeRootFs"))


def _limits(host: Mapping[str, Any]) -> Limits:
    nano_cpus = integer(host, "NanoCpus")
    return Limits(
        cpu_period=integer(host, "CpuPeriod") or (_DEFAULT_CPU_PERIOD if nano_cpus else 0),
        cpu_quota=integer(host, "CpuQuota") or nano_cpus * _DEFAULT_CPU_PERIOD // 10**9,
        cpu_shares=integer(host, "CpuShares"),
        memory=integer(host, "Memory"),
        memory_swap=integer(host, "MemorySwap"),
        memory_reservation=integer(host, "MemoryReservation"),
        pids=integer(host, "PidsLimit"),
    )


def _mounted_volumes(raw: Any) -> tuple[str, ...]:
    mounts = [mount for mount in tables(raw, "Mounts") if mount.get("Type") == "volume"]
    return tuple(sorted({quirks.volume_name(mount) for mount in mounts} - {""}))


def _attached_networks(raw: Any) -> tuple[str, ...]:
    """Return names and IDs. A container that never ran knows no ID yet, and was given whichever its user wrote."""
    settings = table(raw, "NetworkSettings")
    if raw.get("NetworkSettings") is not None:
        present(settings, "Networks")
    attached = table(settings, "Networks")
    ids = {text(endpoint, "NetworkID") for endpoint in attached.values() if isinstance(endpoint, Mapping)}
    mode = text(table(raw, "HostConfig"), "NetworkMode")
    named = set() if mode in _NO_NETWORK or mode.startswith("container:") else {mode}
    return tuple(sorted({*map(str, attached), *ids, *named} - {""}))


def _health(state: Mapping[str, Any]) -> str | None:
    status = text(table(state, "Health"), "Status")
    return status if status not in ("", "none") else None
