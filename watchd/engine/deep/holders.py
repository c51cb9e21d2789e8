"""Holders of each snapshot and each piece of content in containerd's store. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, Self, get_args

from watchd.engine.deep.containerd import Lease, Namespace, Node

# By precedence: data that an image needs belongs to the image, whatever else holds it.
Holder = Literal[
    "image",
    "container",
    "build_cache",
    "build_history",
    "pull",  # or a load or push: it goes on, or was cut short
    "build",
    "lost_cache",  # of the build cache, and the engine does not list it
    "lost_container",  # of a container that the engine does not list
    "other_store",  # images of containerd's store, where the engine uses a graph driver
    "record",  # the engine's record of layers alone
    "lease",
    "label",
    "elsewhere",  # another namespace
    "expired",  # a lease that holds no more: containerd's next collection takes it
    "nobody",
]

DOCKER, HISTORY = "moby", "moby_history"  # namespaces

# Labels of leases: of moby (daemon/containerd/leases.go) and of BuildKit (util/leaseutil).
_PULL, _BUILD = "moby/prune.images", "buildkit/lease.temporary"
_CONTAINER_ID = re.compile(r"[0-9a-f]{64}")
_CACHE_ID = re.compile(r"([0-9a-z]{25})(?:-variants|-view)?")


@dataclass(frozen=True, slots=True)
class Listed:
    """IDs of what the engine lists; the build cache's are None if it could not be listed."""

    containers: frozenset[str]
    build_cache: frozenset[str] | None
    volumes: frozenset[str] = frozenset()
    in_containerd: bool = True  # its images are in containerd's store

    def with_(self, later: Self) -> Self:
        """Return the union of two lists."""
        caches = (self.build_cache, later.build_cache)
        return replace(
            self,
            containers=self.containers | later.containers,
            build_cache=None if None in caches else frozenset[str]().union(*filter(None, caches)),
            volumes=self.volumes | later.volumes,
        )


@dataclass(frozen=True, slots=True)
class Held:
    """A holder and its name, with the end of its lease in seconds since the epoch, if any."""

    holder: Holder
    name: str = ""
    until: float | None = None


NOBODY = Held("nobody")


def held(spaces: Iterable[Namespace], listed: Listed, now: float) -> tuple[dict[str, Held], dict[Node, Held]]:
    """Return who holds content by digest, and snapshots by snapshotter and key in its database.

    Docker's namespace comes first: data that it shares with another one is Docker's.
    """
    content: dict[str, Held] = {}
    snapshots: dict[Node, Held] = {}
    for space in sorted(spaces, key=lambda space: (space.name != DOCKER, space.name != HISTORY, space.name)):
        for node, by in _held_in(space, listed, now).items():
            if node[0] == "content":
                content.setdefault(node[1], by)
            elif node in space.inner:
                snapshots[node[0], space.inner[node]] = by
    return content, snapshots


def _held_in(space: Namespace, listed: Listed, now: float) -> Mapping[Node, Held]:
    if space.name not in (DOCKER, HISTORY):
        return dict.fromkeys(space.refers, Held("elsewhere", space.name))
    found: dict[Node, Held] = {}
    for by, roots in _roots(space, listed, now):
        _mark(space, roots, by, found)
    for node in space.refers:
        found.setdefault(node, NOBODY)
    return found


def _roots(space: Namespace, listed: Listed, now: float) -> Iterator[tuple[Held, Iterable[Node]]]:
    """Yield the holders, each with the data that it holds directly, by precedence."""
    for name, node in sorted(space.images.items()):
        yield Held("image" if listed.in_containerd else "other_store", name), (node,)
    roots: list[tuple[Held, Iterable[Node]]] = [
        (_by_lease(space, lease, listed, now), lease.holds) for lease in space.leases
    ]
    roots += [
        (Held("container" if id_ in listed.containers else "lost_container", id_), (node,))
        for id_, node in space.containers.items()
    ]
    roots += [(Held("label"), space.rooted)]
    yield from sorted(roots, key=lambda root: (_ORDER.index(root[0].holder), root[0].name))


def _mark(space: Namespace, roots: Iterable[Node], by: Held, found: dict[Node, Held]) -> None:
    """Note a holder at everything that the roots need and nobody before it does."""
    left = list(roots)
    while left:
        node = left.pop()
        if node in space.refers and node not in found:
            found[node] = by
            left += space.refers[node]


def _by_lease(space: Namespace, lease: Lease, listed: Listed, now: float) -> Held:
    until = lease.expires_at
    record = _CACHE_ID.fullmatch(lease.id)  # a record of the build cache, or a view of one
    if until is not None and until <= now:
        holder: Holder = "expired"
    elif space.name == HISTORY:
        holder = "build_history"
    elif _PULL in lease.labels:
        holder = "pull"
    elif _CONTAINER_ID.fullmatch(lease.id):
        holder = "container" if lease.id in listed.containers else "lost_container"
    elif record:
        holder = "build_cache" if listed.build_cache is None or record[1] in listed.build_cache else "lost_cache"
    else:
        holder = "build" if _BUILD in lease.labels else "lease"
    return Held(holder, record[1] if record else lease.id, until)


_ORDER: tuple[Holder, ...] = get_args(Holder)
