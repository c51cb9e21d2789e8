"""Differences between engines, each with the engines that have it and how it was observed. Pure.

What is here was met on a real engine; `tests/matrix/test_engines.py` runs watchd on each of them. It is used by
`objects`, `stats`, the client, the watcher, and those who listen to events.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal

from watchd.engine.decode.fields import MalformedReply, integer, list_of, table

API_WITH_DF_TYPES = (1, 42)
"""Docker before 23.0 (API 1.42), and Podman 4.3, which speaks 1.41: `GET /system/df` ignores `type`.

Seen on Docker 20.10.24: asked for one type it measured, and told, everything.
"""

API_WITH_DF_LISTS_ON_REQUEST = (1, 52)
"""Docker 29 (API 1.52) and later: `GET /system/df` has its new lists with `verbose=1` only.

By moby's main branch (API 1.56), the old ones come without it for the time being.
"""

API_WITH_PRUNE_UNTIL_A_TIME = (1, 44)
"""Docker 25 (API 1.44) and later: `POST /build/prune` takes a time for `until`. Earlier ones take durations alone.

By moby's tags, Docker 24.0.0 (API 1.43) takes it as well, and 24.0.0-beta.1 does not. Seen on Docker 28.5.2: it takes
one; 20.10.24 refuses it.
"""

NO_TAG, NO_DIGEST = "<none>:<none>", "<none>@<none>"
"""Placeholder that Docker before 25 (API 1.43) lists as the only reference of an image without any.

Seen on Docker 20.10.24 and, with `null` or nothing in their place, on Docker 28.5.2 and Podman 4.3.1.
"""

GONE = frozenset(("destroy", "remove"))
"""Actions of events for the removal of a container, a volume or a network: Docker's and Podman's.

Podman 4.3.1 has `remove` of containers and volumes, and no events of networks at all.
"""

DIED = frozenset(("die", "died"))
"""Actions of events for the end of a container: Docker's, and that of Podman's own API.

Podman 4.3.1 translates it for this API; what it calls so elsewhere is taken for the same.
"""

LOADED = frozenset(("load", "loadfromarchive"))
"""Actions of events for an image loaded from an archive: Docker's and Podman's (4.3.1, `POST /images/load`)."""

ARRIVES = frozenset(("pull", "import", "tag")) | LOADED
"""Actions of events after which an image is here, or has a name, that was not before. Of a build it is `tag`."""

EXEC_NOISE = frozenset(("exec_create", "exec_start", "exec_die", "exec_detach", "exec", "exec_died"))
"""Actions of events for a command run in a container: Docker's, and Podman's last two (4.3.1)."""

_VOLUME_PATH = re.compile(r"/volumes/([^/]+)/_data$")
_BARE_IMAGE_ID = re.compile(r"[0-9a-f]{64}")
_CONTAINERD_STORE = ["driver-type", "io.containerd.snapshotter.v1"]


def is_podman(version: Any) -> bool:
    """Return whether the reply to `GET /version` is Podman's: the first of its components is called "Podman Engine".

    Podman 4.3.1 serves Docker's API 1.41, so its version tells nothing. What hangs on this, since nothing in the
    replies themselves shows it: it has no `oom` events (a process was killed and none came), so there is no counter of
    them; and it ignores `noprune` (one DELETE took the untagged parents along), so the planner keeps such an image
    where a parent is to stay.
    """
    components = version.get("Components") if isinstance(version, Mapping) else None
    return isinstance(components, list) and any(
        isinstance(each, Mapping) and each.get("Name") == "Podman Engine" for each in components
    )


def store(driver_status: list[Any]) -> Literal["graphdriver", "containerd"]:
    """Return the image store, from `DriverStatus` of `GET /info`.

    Docker with the containerd image store, which is the default of new installations from 29 on, says so there. Then
    an image's ID is the digest of its manifest, and its size has the compressed layers in it. Seen on Docker 28.5.2.
    """
    return "containerd" if _CONTAINERD_STORE in driver_status else "graphdriver"


def has_container_cgroups(info: Any) -> bool:
    """Return whether containers have cgroups of their own, by `GET /info`; False where it does not tell.

    Rootless Docker on cgroup v1 cannot make any and says "none" (20.10.24, 28.5.2). What its stats tell of a container
    is then what all processes of the cgroup use that dockerd happens to be in, be it all of the machine's: 26,991 s of
    CPU time for a `sleep` of a few seconds. Only what passes through its network is the container's. Limits are not in
    force, though 28.5.2 shows the memory limit that was asked for. And nothing tells it that a process was killed for
    want of memory: one was, in a cgroup made by hand, and there was neither an `oom` event nor `OOMKilled`.

    Rootless Podman makes none on cgroup v1 either, nor on v2 without systemd where nobody gave its user a cgroup. It
    tells as wrong things of them (544 MB of a `sleep`), and calls its driver "cgroupfs" all the same (4.3.1). That it
    is `Rootless` it says itself.
    """
    if not isinstance(info, Mapping):
        return True
    driver = info.get("CgroupDriver")
    has_systemds = driver == "systemd" and info.get("CgroupVersion") == "2"
    return driver != "none" and (info.get("Rootless") is not True or has_systemds)


def image_id(id_: str) -> str:
    """Return an image's ID as Docker writes it, "sha256:...".

    Podman 4.3.1 leaves that prefix out in events, in `ParentId` and `Parent`, in `GET /system/df` and in the reply to a
    DELETE. A name never looks like that: Docker refuses names of 64 hex digits.
    """
    return f"sha256:{id_}" if _BARE_IMAGE_ID.fullmatch(id_) else id_


def actor_id(type_: str, id_: str, attributes: Mapping[str, str]) -> str:
    """Return what an event is about.

    Podman 4.3.1 leaves `Actor.ID` of a volume's events empty and has its name in the attributes alone; the IDs of
    images are bare there.
    """
    if type_ == "image":
        return image_id(id_)
    return id_ or (attributes.get("name", "") if type_ == "volume" else "")


def exit_code(attributes: Mapping[str, str]) -> int | None:
    """Return with which code a container ended, by the attributes of the event; None where it does not say.

    Docker has it in `exitCode`, Podman in `containerExitCode` (4.3.1 has both).
    """
    for name in ("exitCode", "containerExitCode"):
        try:
            return int(attributes[name])
        except (KeyError, ValueError):
            continue
    return None


def shared_size(raw: Mapping[str, Any], told: int) -> int | None:
    """Return the bytes that an image of `GET /images/json` shares with others; None if the engine does not report it.

    Docker before 23.0 says -1, whether asked or not (20.10.24). Podman 4.3.1 says 0 of every image, also of one and
    its child; its entries are known by a `Digest`, which Docker's do not have.
    """
    return None if told < 0 or (told == 0 and "Digest" in raw) else told


def reported(raw: Any, kind: Literal["Image", "Container", "Volume", "BuildCache"]) -> list[Any]:
    """Return the objects of a kind in `GET /system/df`. Raise MalformedReply where it has none of the known lists.

    From API 1.52 on they are `Items` of `ImageUsage` and so on, which are left out where there are none, or without
    `verbose`. Before, they are `Images` and so on, which 1.52 has as well, and a later one takes away.
    """
    now, before = f"{kind}Usage", "BuildCache" if kind == "BuildCache" else f"{kind}s"
    usage = table(raw, now)
    if now in raw and (usage.get("Items") or not integer(usage, "TotalCount")):
        return list_of(usage, "Items")
    if before in raw:
        return list_of(raw, before)
    raise MalformedReply(f"GET /system/df: the reply has neither {now}.Items nor {before}")


def layers_size(raw: Any, images: int) -> int | None:
    """Return the bytes of all layers in `GET /system/df`; None if the engine does not report them.

    Podman 4.3.1 says 0, however many images there are. What is 0 is left out from API 1.52 on.
    """
    told = integer(raw, "LayersSize") or integer(table(raw, "ImageUsage"), "TotalSize")
    return None if told == 0 and images else told


def cache_parents(raw: Mapping[str, Any]) -> list[Any]:
    """Return the parents of a record of BuildKit's cache, which Docker's documentation calls `Parents`.

    Docker before 23.0 (API 1.42) has the first of them alone, as `Parent` (20.10.24). Docker 28.5.2 writes the word
    with a blank before it. Without its parents a record would be pruned before its children, which BuildKit refuses.
    """
    for key in ("Parents", " Parents"):
        if isinstance(parents := raw.get(key), list) and parents:
            return parents
    return list(filter(None, (raw.get("Parent"),)))


def volume_name(mount: Mapping[str, Any]) -> str:
    """Return the name of the volume of a mount, "" if it is not known.

    Docker 28.5.2 leaves the `Name` of an anonymous volume out until its container has been started: then only its
    path has it. Taken for unused, the volume would be planned to go.
    """
    name = mount.get("Name") or ""
    if not name and (found := _VOLUME_PATH.search(str(mount.get("Source") or ""))):
        return found[1]
    return str(name)


def interfaces(networks: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the network interfaces in the stats of a container.

    Podman 4.3.1 has one entry that is no interface, "network": bytes of all of them, and 0 packets, errors and drops
    whatever was sent. That is none of the values that these names stand for.
    """
    return {} if networks.keys() == {"network"} else networks
