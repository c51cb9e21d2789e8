"""Snapshots and content in containerd's databases, and the references between them. Pure.

The layout of `meta.db` is that of containerd's package metadata (core/metadata/buckets.go), that of a snapshotter's
`metadata.db` of its package storage (core/snapshots/storage/bolt.go); both are the same since containerd 1.2.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from watchd.engine.deep.bolt import Bucket, Torn
from watchd.units import parse_time

Node = tuple[str, str]  # "content" and a digest, or a snapshotter and the key of a snapshot, within a namespace

_VERSION = "v1"
_CONTENT = "content"
_TO_CONTENT = "containerd.io/gc.ref.content"  # with a suffix that begins with "." or "/"
_TO_SNAPSHOT = "containerd.io/gc.ref.snapshot."  # with the snapshotter, and perhaps a suffix that begins with "/"
_ROOT = "containerd.io/gc.root"
_EXPIRES = "containerd.io/gc.expire"


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease: it holds what it names, and what that refers to, until it is deleted or expires."""

    id: str
    labels: Mapping[str, str]
    holds: tuple[Node, ...]

    @property
    def expires_at(self) -> float | None:
        """Seconds since the epoch, None if it does not expire."""
        try:
            return parse_time(self.labels[_EXPIRES])
        except (KeyError, ValueError):
            return None


@dataclass(slots=True)
class Namespace:
    """A namespace of containerd: Docker's is `moby`, Kubernetes' `k8s.io`."""

    name: str
    refers: dict[Node, tuple[Node, ...]] = field(default_factory=dict)  # everything that is there, to what it needs
    inner: dict[Node, str] = field(default_factory=dict)  # keys of snapshots in their snapshotter's database
    images: dict[str, Node] = field(default_factory=dict)
    containers: dict[str, Node] = field(default_factory=dict)
    rooted: set[Node] = field(default_factory=set)  # a label says that it stays
    leases: list[Lease] = field(default_factory=list)


def namespaces(root: Bucket) -> Iterator[Namespace]:
    """Yield the namespaces of a `meta.db`. Raise `Torn`, also if it is of another layout."""
    version = root.bucket(_VERSION)
    if version is None:
        raise Torn("it has no namespaces of the layout v1")
    for name, bucket in version.buckets():
        yield _namespace(name, bucket)


def folders(root: Bucket) -> dict[str, str]:
    """Return the folders of snapshots by their keys, from the `metadata.db` of a snapshotter. Raise `Torn`."""
    snapshots = root.below(_VERSION, "snapshots")
    return {key: str(_number(about.values().get("id", b""))) for key, about in snapshots}


def _namespace(name: str, bucket: Bucket) -> Namespace:
    found = Namespace(name)
    for image, about in bucket.below("images"):
        found.images[image] = (_CONTENT, _value(about.bucket("target"), "digest"))
    for container, about in bucket.below("containers"):
        found.containers[container] = (_value(about, "snapshotter"), _value(about, "snapshotKey"))
    for digest, about in bucket.below(_CONTENT, "blob"):
        _add(found, (_CONTENT, digest), about)
    for snapshotter, snapshots in bucket.below("snapshots"):
        for key, about in snapshots.buckets():
            _add(found, (snapshotter, key), about, _value(about, "parent"))
            found.inner[snapshotter, key] = _value(about, "name")
    for id_, about in bucket.below("leases"):
        found.leases.append(_lease(id_, about))
    return found


def _add(found: Namespace, node: Node, about: Bucket, parent: str = "") -> None:
    labels = _labels(about)
    found.refers[node] = (*_references(labels), *([(node[0], parent)] if parent else ()))
    if _ROOT in labels:
        found.rooted.add(node)


def _references(labels: Mapping[str, str]) -> Iterator[Node]:
    for label, value in labels.items():
        if label.startswith(_TO_CONTENT) and label[len(_TO_CONTENT) :][:1] in ("", ".", "/"):
            yield (_CONTENT, value)
        elif label.startswith(_TO_SNAPSHOT):
            yield (label.removeprefix(_TO_SNAPSHOT).partition("/")[0], value)


def _lease(id_: str, bucket: Bucket) -> Lease:
    content = bucket.bucket(_CONTENT)
    holds = [(_CONTENT, digest) for digest in content.values()] if content else []
    for snapshotter, keys in bucket.below("snapshots"):
        holds += [(snapshotter, key) for key in keys.values()]
    return Lease(id_, _labels(bucket), tuple(holds))


def _labels(bucket: Bucket) -> dict[str, str]:
    labels = bucket.bucket("labels")
    return {key: _text(value) for key, value in labels.values().items()} if labels else {}


def _number(value: bytes) -> int:
    """Decode Go's unsigned varint."""
    number = 0
    for place, byte in enumerate(value[:10]):
        number |= (byte & 127) << (7 * place)
    return number


def _value(bucket: Bucket | None, key: str) -> str:
    return _text(bucket.values().get(key, b"")) if bucket else ""


def _text(value: bytes) -> str:
    return value.decode(errors="replace")
