"""Result of a walk over the engine's data, as text and JSON, with a hint for each kind and holder."""

from collections.abc import Iterator, Mapping
from typing import Any

from watchd.cleanup.report.tables import table
from watchd.cleanup.report.words import Line
from watchd.engine.deep.usage import DeepUsage, Share, Whose
from watchd.units import format_size, format_time, short_duration

_KINDS: Mapping[str, str] = {
    "layer": "layers",
    "snapshot": "snapshots",
    "content": "content",
    "volume": "volumes",
    "builder": "builders' caches",
    "log": "container logs",
    "container": "container files",
    "buildkit": "BuildKit",
    "swarm": "Swarm",
    "plugin": "plugins",
    "download": "downloads begun",
    "temporary": "temporary files",
    "leftover": "other storage drivers",
    "engine": "the engine's records",
}
_HOLDERS: Mapping[str, str] = {
    "image": "images",
    "container": "containers",
    "build_cache": "build cache",
    "build_history": "history of builds",
    "pull": "pulls, loads or pushes",
    "build": "builds",
    "lost_cache": "build cache that is not listed",
    "lost_container": "containers that are not listed",
    "other_store": "images of containerd's store",
    "record": "the record of layers alone",
    "lease": "other leases",
    "label": "labels of containerd",
    "elsewhere": "other programs",
    "expired": "leases that have expired",
    "nobody": "nobody",
}

# Data that people do not expect: shown however small it is.
_ODD = frozenset(
    ("pull", "build", "lost_cache", "lost_container", "other_store", "record", "lease", "label", "expired", "nobody")
)
_ODD_KINDS = frozenset(("download", "leftover"))

_COLLECTED = "containerd takes it at its next collection, which any removal starts"
_BY_HOLDER: Mapping[str, str] = {
    "image": "goes with its images: docker image rm, or a policy for images",
    "container": "goes with its containers: docker rm, or a policy for containers",
    "build_cache": "docker builder prune, or a policy for the build cache",
    "build_history": "docker buildx history rm --all",
    "pull": "under way, or cut short: goes when its lease ends; docker image prune ends all of them, and pulls fail",
    "build": "of a build that goes on, or was cut short: goes when its lease ends, or with docker builder prune --all",
    "lost_cache": "docker builder prune --all; what stays is a leak of the engine: restart it, then look again",
    "lost_container": "restart the engine, then look again; what stays is a leak: ctr --namespace moby leases rm ID",
    "other_store": "the engine uses a graph driver now: switch back to remove them with docker image rm",
    "record": "of no image or container that the engine can read: restart it, then look again; what stays is a leak",
    "lease": "ctr --namespace moby leases ls shows what made it",
    "label": "labelled containerd.io/gc.root: ctr --namespace moby snapshots label, or content label, takes it away",
    "elsewhere": "of another user of this containerd, such as Kubernetes: its own tools remove it",
    "expired": _COLLECTED,
}
_BY_KIND: Mapping[Whose, str] = {
    (
        "layer",
        "nobody",
    ): "no record of the engine has it: with the engine stopped move it away, start it, then delete it",
    ("snapshot", "nobody"): _COLLECTED,
    ("content", "nobody"): _COLLECTED,
    ("volume", None): "docker volume rm, or a policy for volumes",
    ("volume", "nobody"): "the engine does not list it: look into it, then delete it with the engine stopped",
    ("builder", None): "docker buildx prune --builder NAME; gc in its configuration bounds it",
    ("builder", "nobody"): "the engine does not list it: look into it, then delete it with the engine stopped",
    ("log", None): "bound them: log-opts max-size and max-file in daemon.json",
    ("log", "nobody"): "of containers that are gone: delete it with the engine stopped",
    ("container", "nobody"): "of containers that are gone: delete it with the engine stopped",
    ("buildkit", None): "records of its cache, and the history of builds: docker buildx history rm --all",
    ("download", None): "of pulls under way, or cut short: another pull goes on from there, else it goes within a day",
    ("temporary", None): "of pulls and builds: what stays after they have ended goes when the engine is restarted",
    (
        "leftover",
        None,
    ): "of a storage driver that is switched off: delete it with the engine stopped, if nobody goes back",
    ("plugin", None): "docker plugin ls",
}


def deep_table(usage: DeepUsage) -> Iterator[str]:
    """Yield a row for each kind and holder, then lines for each disk, and what was not read."""
    rows: list[tuple[str, ...]] = [("DATA", "HELD BY", "SIZE", "COUNT", "LARGEST")]
    rows += [_row(share) for share in usage.shares if share.size]
    heading, *lines = table(rows)
    yield Line(heading, "heading")
    yield from lines
    yield ""
    least = sum(share.size for share in usage.shares) // 100
    for share in usage.shares:
        is_odd = _is_odd(share)
        if share.size and (is_odd or share.size >= least) and (advice := _advice(share)):
            yield Line(f"{_called(share)}: {advice}{_until(share, usage.taken_at)}", "trouble" if is_odd else "")
    for walked in usage.disks:
        disk = walked.disk
        yield ""
        yield f"{disk.path}: {format_size(disk.used)} used, {format_size(walked.walked)} of it found here"
        outside = format_size(walked.outside)
        where = walked.mounted_on or "that disk"
        yield f"  {outside} is outside: other files on {where}, and deleted ones that are still open"
    if usage.elsewhere:
        yield ""
        yield f"On other disks, not walked: {', '.join(usage.elsewhere)}"
    yield ""
    yield f"{usage.files} files in {usage.seconds:.1f} s"
    for note in usage.notes:
        yield Line(f"Note: {note}", "trouble")


def deep_as_json(usage: DeepUsage) -> dict[str, Any]:
    """Return the published form."""
    return {
        "created_at": format_time(usage.taken_at),
        "roots": list(usage.roots),
        "data": [
            {
                "kind": share.kind,
                "title": _called(share),
                "unexpected": _is_odd(share),
                "holder": share.holder,
                "bytes": share.size,
                "files": share.files,
                "count": share.count,
                "largest": [{"name": name, "bytes": size} for name, size in share.largest],
                "held_until": None if share.until is None else format_time(share.until),
                "advice": _advice(share),
            }
            for share in usage.shares
        ],
        "disks": [
            {
                "path": walked.disk.path,
                "mounted_on": walked.mounted_on,
                "used": walked.disk.used,
                "walked": walked.walked,
                "outside": walked.outside,
            }
            for walked in usage.disks
        ],
        "not_walked": list(usage.elsewhere),
        "files": usage.files,
        "seconds": round(usage.seconds, 3),
        "notes": list(usage.notes),
    }


def _row(share: Share) -> tuple[str, ...]:
    largest = ", ".join(f"{_short(name)} {format_size(size)}" for name, size in share.largest[:3])
    held_by = _HOLDERS[share.holder] if share.holder else ""
    return (_KINDS[share.kind], held_by, format_size(share.size), str(share.count), largest)


def _short(name: str) -> str:
    return name if len(name) <= 40 else f"{name[:12]}..."


def _called(share: Share) -> str:
    return f"{_KINDS[share.kind]} held by {_HOLDERS[share.holder]}" if share.holder else _KINDS[share.kind]


def _is_odd(share: Share) -> bool:
    return share.holder in _ODD or share.kind in _ODD_KINDS


def _advice(share: Share) -> str:
    return _BY_KIND.get((share.kind, share.holder)) or _BY_HOLDER.get(share.holder or "", "")


def _until(share: Share, now: float) -> str:
    return (
        "" if share.until is None or share.until <= now else f" (the last ends in {short_duration(share.until - now)})"
    )
