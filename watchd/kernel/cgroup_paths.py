"""Finds a container's cgroups, from `/proc/self/mountinfo` and `/proc/<pid>/cgroup`.

A path in `/proc/<pid>/cgroup` is relative to the hierarchy's root (or to the reader's cgroup namespace), and a mount
shows the hierarchy from some directory on; together they give the directory. The container's ID tells which part of the
path is its own, because it may make cgroups inside and move its first process there. A process without the ID in its
path is not the container's: its number was used again, or the runtime made no cgroup.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from sys import intern

from watchd.errors import WatchdError
from watchd.kernel.parse.formats import Malformed, Odd, refuse, understood
from watchd.kernel.parse.mountinfo import Mount, mountinfo

_log = logging.getLogger(__name__)

_WHERE_HOSTS_MOUNT = PurePosixPath("/sys/fs/cgroup")
_CONTROLLERS = ("memory", "cpu", "cpuacct", "blkio", "pids")
"""The v1 controllers that metrics come from; the first that has the container gives its path."""
_NAME_ON_V1 = {"io": "blkio"}
_CONTAINERS_NAME = re.compile(r"(?:docker-|libpod-)?([0-9a-f]{64})(?:\.scope)?")
_USE_HOST_NAMESPACE = "run watchd in the host's cgroup namespace (docker run --cgroupns=host)"


class NoCgroups(WatchdError):
    """No cgroup hierarchy can be read."""


class Unresolved(Exception):
    """A process is not in a cgroup of its container."""


@dataclass(frozen=True, slots=True)
class CgroupMount:
    """One mounted cgroup hierarchy."""

    point: Path
    root: str  # the directory of the hierarchy that is seen at `point`
    controllers: frozenset[str]  # of v1 (a named hierarchy has "name=systemd"); empty: the v2 tree


@dataclass(frozen=True, slots=True)
class ContainerCgroup:
    """A container's directories, each of them its own."""

    path: str  # as users see it: "/docker/<id>", "/system.slice/docker-<id>.scope"
    controllers: Mapping[str, Path]  # of v1, by controller; empty on a pure v2 host
    unified: Path | None  # in the v2 tree; None: there is none, or the runtime does not use it


class Hierarchy:
    """The cgroup hierarchies that are mounted on this host.

    With `cgroupfs`, only those at or below it count; without any there it stands for /sys/fs/cgroup, as in a container
    that has the host's at /host/sys/fs/cgroup. Raise NoCgroups where there are none.
    """

    def __init__(self, mounts: list[CgroupMount], cgroupfs: Path | None = None) -> None:
        if cgroupfs is not None:
            mounts = _below(mounts, cgroupfs)
        v1: dict[str, CgroupMount] = {}
        v2: CgroupMount | None = None
        for mount in mounts:  # the first mount of a controller is the original, later ones are bind mounts
            for controller in mount.controllers:
                v1.setdefault(controller, mount)
            if not mount.controllers:
                v2 = v2 or mount
        self._v1 = {name: v1[name] for name in _CONTROLLERS if name in v1}
        self._v2 = v2
        if not self._v1 and v2 is None:
            raise NoCgroups(
                f"no cgroup hierarchy is mounted at {cgroupfs or _WHERE_HOSTS_MOUNT}: in a container, mount the "
                "host's there (-v /sys/fs/cgroup:/host/sys/fs/cgroup:ro), or set metrics.cgroupfs to where it is"
            )

    @classmethod
    def read(cls, procfs: Path, cgroupfs: Path | None = None) -> "Hierarchy":
        """Find the hierarchies of this process's mounts. Raise NoCgroups where there are none."""
        if cgroupfs is not None and not cgroupfs.is_dir():
            raise NoCgroups(f"metrics.cgroupfs: there is no directory {cgroupfs}")
        path = procfs / "self/mountinfo"
        try:
            return cls(cgroup_mounts(mountinfo(path.read_bytes(), partial(_log.warning, "%s: %s", path))), cgroupfs)
        except OSError as error:
            raise NoCgroups(f"cannot find the cgroup hierarchies in {path}: {error}") from error

    @property
    def version(self) -> int:
        """The cgroup version of metrics: 1 also on a hybrid host, whose controllers are on v1."""
        return 1 if self._v1 else 2

    @property
    def unified(self) -> Path | None:
        """The mount point of the v2 tree, also of a hybrid host; None on a host that has only v1."""
        return None if self._v2 is None else self._v2.point

    @property
    def missing_controllers(self) -> tuple[str, ...]:
        """Return the controllers of metrics that this kernel does not have, or was started without."""
        there = set(self._v1)
        if self._v2 is not None:
            there.add("cpuacct")  # every cgroup of v2 has cpu.stat
            with suppress(OSError):
                names = (self._v2.point / "cgroup.controllers").read_text().split()
                there |= {_NAME_ON_V1.get(name, name) for name in names}
        return tuple(name for name in _CONTROLLERS if name not in there)

    def controllers(self, unified: Path) -> Mapping[str, Path]:
        """Return the v1 directories, by controller, of the cgroup that has this directory in the v2 tree.

        They need not exist: it is a convention of runtimes to use the same path in every hierarchy.
        """
        if self._v2 is None:
            return {}
        path = f"{self._v2.root.rstrip('/')}/{unified.relative_to(self._v2.point).as_posix()}"
        directories = {}
        for controller, mount in self._v1.items():
            with suppress(Unresolved):
                directories[controller] = mount.point / _below_mount(mount, path)
        return directories

    def ancestors(self, cgroup: ContainerCgroup) -> tuple[Mapping[str, str], ...]:
        """Return the directories of each cgroup around a container's, the nearest first, without the root.

        By v1 controller; by "" in the v2 tree, where the controllers are there. The text is interned: most containers
        of a host are in the same cgroups, and all of them keep it.
        """
        if cgroup.controllers:
            own, tops = cgroup.controllers, {name: mount.point for name, mount in self._v1.items()}
        elif cgroup.unified is not None and self._v2 is not None:
            own, tops = {"": cgroup.unified}, {"": self._v2.point}
        else:
            return ()
        found: list[Mapping[str, str]] = []
        while above := {
            name: intern(str(up))
            for name, path in own.items()
            if (up := _up(path, len(found) + 1, tops[name])) is not None
        }:
            found.append(above)
        return tuple(found)

    def container(self, container_id: str, paths: Mapping[str, str]) -> ContainerCgroup:
        """Return the directories of the container of a process with these `proc_cgroup` paths.

        Raise Unresolved where it has no cgroup of its own, or it cannot be seen from here.
        """
        directories: dict[str, Path] = {}
        shown: list[str] = []
        refusals: list[str] = []
        mounts = dict(self._v1) if self._v2 is None else {**self._v1, "": self._v2}
        for controller, mount in mounts.items():
            try:
                path, relative = _place(mount, paths.get(controller, "/"), container_id)
            except Unresolved as error:
                refusals.append(str(error))
                continue
            directories[controller] = mount.point / relative
            shown.append(path)
        unified = directories.pop("", None)
        if not shown or (self._v1 and not directories):
            raise Unresolved(refusals[0])
        return ContainerCgroup(shown[0], directories, unified)


def _up(directory: Path, levels: int, top: Path) -> Path | None:
    """Return the directory so many levels up; None at `top` and above."""
    if len(directory.parents) < levels:
        return None
    above = directory.parents[levels - 1]
    return above if above != top and above.is_relative_to(top) else None


def container_named(name: str) -> str | None:
    """Return the ID of the container that has a directory of this name, None where it is no container's.

    "<id>" by the cgroupfs driver of Docker, "docker-<id>.scope" by that of systemd, "libpod-<id>" and
    "libpod-<id>.scope" by Podman, whose "libpod-conmon-<id>.scope" is its monitor's.
    """
    match = _CONTAINERS_NAME.fullmatch(name)
    return match[1] if match else None


def cgroup_mounts(mounts: Iterable[Mount]) -> list[CgroupMount]:
    """Pick the cgroup hierarchies."""
    found = []
    for mount in mounts:
        if mount.type == "cgroup2":
            found.append(CgroupMount(Path(mount.point), mount.root, frozenset()))
        elif mount.type == "cgroup" and (controllers := mount.options - {"rw", "ro"}):
            found.append(CgroupMount(Path(mount.point), mount.root, controllers))
    return found


def proc_cgroup(data: bytes, odd: Odd = refuse) -> dict[str, str]:
    """Parse `/proc/<pid>/cgroup`: the path by v1 controller, and by "" that of the v2 tree."""
    lines = understood(_controllers_and_path, data.splitlines(), odd)
    return {controller: path for controllers, path in lines for controller in controllers}


def _controllers_and_path(line: bytes) -> tuple[list[str], str]:
    fields = line.decode(errors="surrogateescape").split(":", 2)
    if len(fields) != 3 or not fields[2].startswith("/") or "\0" in fields[2]:
        raise Malformed(f"not a line of cgroup: {line[:80]!r}")
    return fields[1].split(","), fields[2]


def _below(mounts: list[CgroupMount], cgroupfs: Path) -> list[CgroupMount]:
    """Return the mounts at or below `cgroupfs`; without any, those of /sys/fs/cgroup as if they were there."""
    found = [mount for mount in mounts if mount.point.is_relative_to(cgroupfs)]
    return found or [
        CgroupMount(cgroupfs / mount.point.relative_to(_WHERE_HOSTS_MOUNT), mount.root, mount.controllers)
        for mount in mounts
        if mount.point.is_relative_to(_WHERE_HOSTS_MOUNT)
    ]


def _place(mount: CgroupMount, path: str, container_id: str) -> tuple[str, str]:
    """Return a container's cgroup as users see it, and relative to the mount point. Raise Unresolved."""
    if path == "/" and (relative := _namespaces_root(mount, container_id)):
        return f"/{relative}", relative
    path = _own(path, container_id)
    relative = _below_mount(mount, path)
    return f"/{relative}" if path.startswith("/../") else path, relative


def _namespaces_root(mount: CgroupMount, container_id: str) -> str | None:
    """Return the root of this process's cgroup namespace, relative to the mount point, if it is that container's.

    That is watchd's own container, whose processes have the path "/" then. None outside of a cgroup namespace.
    """
    ups, parts = _levels(mount.root)
    if not ups or parts:
        return None
    found = list(mount.point.glob("/".join(["*"] * (ups - 1) + [f"*{container_id}*"])))
    return found[0].relative_to(mount.point).as_posix() if len(found) == 1 else None


def _own(path: str, container_id: str) -> str:
    """Cut a process's cgroup path after the last part with the container's ID: the container made those below."""
    parts = path.split("/")
    for end in range(len(parts), 0, -1):
        if container_id in parts[end - 1]:
            return "/".join(parts[:end])
    hint = f": {_USE_HOST_NAMESPACE}" if path == "/" else ""
    raise Unresolved(f"its first process is in the cgroup {path}, which is not the container's own{hint}")


def _below_mount(mount: CgroupMount, path: str) -> str:
    """Return a cgroup's path relative to the mount point.

    In a cgroup namespace both the mount's root and the path are relative to the namespace's root: "/.." is one level
    above it. The names of those levels are not known; a container's ID is unique enough to find it below them.
    """
    root_ups, root_parts = _levels(mount.root)
    ups, parts = _levels(path)
    if ups == root_ups and parts[: len(root_parts)] == root_parts:
        return "/".join(parts[len(root_parts) :])
    if ups < root_ups and not root_parts:
        found = list(_named(mount.point, root_ups - ups, "/".join(parts)))
        if len(found) == 1:
            return found[0].relative_to(mount.point).as_posix()
    raise Unresolved(
        f"its cgroup {path} is outside of what is mounted at {mount.point} (from {mount.root} on): "
        f"{_USE_HOST_NAMESPACE}"
    )


def _named(point: Path, unknown_levels: int, rest: str) -> Iterator[Path]:
    """Yield the directories `rest` below `unknown_levels` levels of any name."""
    return (path for level in point.glob("/".join("*" * unknown_levels)) if (path := level / rest).is_dir())


def _levels(path: str) -> tuple[int, list[str]]:
    """Split a path into levels up and names down: "/../a/b" is (1, ["a", "b"])."""
    parts = [part for part in path.split("/") if part]
    ups = next((index for index, part in enumerate(parts) if part != ".."), len(parts))
    return ups, parts[ups:]
