"""Where the kernel keeps a container's cgroups: `/proc/self/mountinfo` and `/proc/<pid>/cgroup`.

A path in `/proc/<pid>/cgroup` is relative to the hierarchy's root (or to the cgroup namespace of whoever reads it), a
mount shows the hierarchy from some directory on; the two together give the directory. Nothing is derived from a
container's ID: it only says which part of the kernel's path is the container's own, because a container may make
cgroups of its own and move its first process there, and because a process that is not in a cgroup of that name is not
that container's (its number was used again, or the runtime made no cgroup).
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from watchd.errors import WatchdError
from watchd.metrics.formats import Malformed

_WHERE_HOSTS_MOUNT = PurePosixPath("/sys/fs/cgroup")
_CONTROLLERS = ("memory", "cpu", "cpuacct", "blkio", "pids")
"""The v1 controllers that metrics come from; the first that knows the container names its path."""
_CONTAINERS_NAME = re.compile(r"(?:docker-|libpod-)?([0-9a-f]{64})(?:\.scope)?")
_USE_HOST_NAMESPACE = "run watchd in the host's cgroup namespace (docker run --cgroupns=host)"


class NoCgroups(WatchdError):
    """No cgroup hierarchy is mounted where it can be read."""


class Unresolved(Exception):
    """A process is not in a cgroup that can be told to be its container's."""


@dataclass(frozen=True, slots=True)
class Mount:
    """One mounted cgroup hierarchy."""

    point: Path
    root: str  # the directory of the hierarchy that is seen at `point`
    controllers: frozenset[str]  # of v1 (a named hierarchy has "name=systemd"); empty: the v2 tree


@dataclass(frozen=True, slots=True)
class ContainerCgroup:
    """A container's directories, each of them its own."""

    path: str  # as it is shown to people: "/docker/<id>", "/system.slice/docker-<id>.scope"
    controllers: Mapping[str, Path]  # of v1, by controller; empty on a pure v2 host
    unified: Path | None  # in the v2 tree; None where there is none or the runtime does not use it


class Hierarchy:
    """The cgroup hierarchies that are mounted on this host.

    Given `cgroupfs`, only what is mounted there counts; where nothing is, it stands for /sys/fs/cgroup, as in a
    container that has the host's at /host/sys/fs/cgroup. Raise NoCgroups where there is nothing to read.
    """

    def __init__(self, mounts: list[Mount], cgroupfs: Path | None = None) -> None:
        if cgroupfs is not None:
            mounts = _below(mounts, cgroupfs)
        v1: dict[str, Mount] = {}
        v2: Mount | None = None
        for mount in mounts:  # the first mount of a controller is the one that was there before bind mounts of it
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
        """Find what is mounted for this process. Raise NoCgroups where there is nothing to read."""
        if cgroupfs is not None and not cgroupfs.is_dir():
            raise NoCgroups(f"metrics.cgroupfs: there is no directory {cgroupfs}")
        path = procfs / "self/mountinfo"
        try:
            return cls(mountinfo(path.read_bytes()), cgroupfs)
        except (OSError, Malformed) as error:
            raise NoCgroups(f"cannot find the cgroup hierarchies in {path}: {error}") from error

    @property
    def version(self) -> int:
        """The cgroup version that metrics are read from: 1 also on a hybrid host, whose controllers are on v1."""
        return 1 if self._v1 else 2

    @property
    def unified(self) -> Path | None:
        """Where the v2 tree is seen, also that of a hybrid host; None on a host that has only v1."""
        return None if self._v2 is None else self._v2.point

    def controllers(self, unified: Path) -> Mapping[str, Path]:
        """Give the v1 directories, by controller, of the cgroup that has this directory in the v2 tree.

        They need not be there: runtimes give a container the same path in every hierarchy, as a convention.
        """
        if self._v2 is None:
            return {}
        path = f"{self._v2.root.rstrip('/')}/{unified.relative_to(self._v2.point).as_posix()}"
        directories = {}
        for controller, mount in self._v1.items():
            with suppress(Unresolved):
                directories[controller] = mount.point / _below_mount(mount, path)
        return directories

    def container(self, container_id: str, paths: Mapping[str, str]) -> ContainerCgroup:
        """Give the directories of the container of a process with these `proc_cgroup` paths.

        Raise Unresolved where no hierarchy has a cgroup of its own for it, or it cannot be seen from here.
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


def container_named(name: str) -> str | None:
    """Give the ID of the container whose directory Docker or Podman calls so, None where it is no container's.

    "<id>" by the cgroupfs driver of Docker, "docker-<id>.scope" by that of systemd, "libpod-<id>" and
    "libpod-<id>.scope" by Podman, whose "libpod-conmon-<id>.scope" is its monitor's.
    """
    match = _CONTAINERS_NAME.fullmatch(name)
    return match[1] if match else None


def mountinfo(data: bytes) -> list[Mount]:
    """Parse `/proc/<pid>/mountinfo`: the cgroup mounts, in the order of mounting. Raise Malformed."""
    mounts = []
    for line in data.splitlines():
        before, separator, after = line.partition(b" - ")
        fields, kind = before.split(), after.split()
        if not separator or len(fields) < 6 or not kind:
            raise Malformed(f"not a line of mountinfo: {line[:80]!r}")
        if kind[0] not in (b"cgroup", b"cgroup2"):
            continue
        options = kind[2].decode(errors="replace").split(",") if len(kind) > 2 else []
        controllers = frozenset(options) - {"rw", "ro"} if kind[0] == b"cgroup" else frozenset[str]()
        if kind[0] == b"cgroup2" or controllers:
            mounts.append(Mount(Path(unescaped(fields[4])), unescaped(fields[3]), controllers))
    return mounts


def proc_cgroup(data: bytes) -> dict[str, str]:
    """Parse `/proc/<pid>/cgroup`: the path by v1 controller, and by "" that of the v2 tree. Raise Malformed."""
    paths: dict[str, str] = {}
    for line in data.splitlines():
        fields = line.decode(errors="surrogateescape").split(":", 2)
        if len(fields) != 3 or not fields[2].startswith("/") or "\0" in fields[2]:
            raise Malformed(f"not a line of cgroup: {line[:80]!r}")
        for controller in fields[1].split(","):
            paths[controller] = fields[2]
    return paths


def _below(mounts: list[Mount], cgroupfs: Path) -> list[Mount]:
    """The mounts at or below `cgroupfs`; without any, those of /sys/fs/cgroup as if they were there."""
    found = [mount for mount in mounts if mount.point.is_relative_to(cgroupfs)]
    return found or [
        Mount(cgroupfs / mount.point.relative_to(_WHERE_HOSTS_MOUNT), mount.root, mount.controllers)
        for mount in mounts
        if mount.point.is_relative_to(_WHERE_HOSTS_MOUNT)
    ]


def _place(mount: Mount, path: str, container_id: str) -> tuple[str, str]:
    """Give a container's cgroup as it is shown to people, and relative to the mount point. Raise Unresolved."""
    if path == "/" and (relative := _namespaces_root(mount, container_id)):
        return f"/{relative}", relative
    path = _own(path, container_id)
    relative = _below_mount(mount, path)
    return f"/{relative}" if path.startswith("/../") else path, relative


def _namespaces_root(mount: Mount, container_id: str) -> str | None:
    """Give the root of this process's cgroup namespace, relative to the mount point, if it is that container's.

    That is watchd's own container, whose processes have the path "/" then. None where no namespace hides more.
    """
    ups, parts = _levels(mount.root)
    if not ups or parts:
        return None
    found = list(mount.point.glob("/".join(["*"] * (ups - 1) + [f"*{container_id}*"])))
    return found[0].relative_to(mount.point).as_posix() if len(found) == 1 else None


def _own(path: str, container_id: str) -> str:
    """Cut a process's cgroup path after the last component that names the container: what is below, it made itself."""
    parts = path.split("/")
    for end in range(len(parts), 0, -1):
        if container_id in parts[end - 1]:
            return "/".join(parts[:end])
    hint = f": {_USE_HOST_NAMESPACE}" if path == "/" else ""
    raise Unresolved(f"its first process is in the cgroup {path}, which is not the container's own{hint}")


def _below_mount(mount: Mount, path: str) -> str:
    """Give a cgroup's path relative to the mount point.

    In a cgroup namespace both the mount's root and the path are told relative to the namespace's own root: "/.." is
    one level above it. How those levels are called is not told; a container's ID is unique enough to find it below.
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
    """The directories called `rest` below `unknown_levels` levels of any name."""
    return (path for level in point.glob("/".join("*" * unknown_levels)) if (path := level / rest).is_dir())


def _levels(path: str) -> tuple[int, list[str]]:
    """How many levels a path goes up, and the names it then goes down: "/../a/b" is (1, ["a", "b"])."""
    parts = [part for part in path.split("/") if part]
    ups = next((index for index, part in enumerate(parts) if part != ".."), len(parts))
    return ups, parts[ups:]


def unescaped(field: bytes) -> str:
    r"""Undo mountinfo's escapes: a space is written \040."""
    raw = re.sub(rb"\\([0-3][0-7]{2})", lambda match: bytes([int(match[1], 8)]), field)
    return raw.decode(errors="surrogateescape")
