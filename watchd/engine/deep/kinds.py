"""Layout of the directories of Docker and containerd: the kind of data at each path. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

DataKind = Literal[
    "layer",  # of a graph driver
    "snapshot",  # a layer of containerd's store
    "content",  # compressed layers and manifests of containerd's store
    "volume",
    "builder",  # a volume with the cache of a builder of `docker buildx`
    "log",
    "container",  # its configuration, and files that the engine mounts into it
    "buildkit",
    "swarm",
    "plugin",
    "download",  # begun, for content
    "temporary",
    "leftover",  # of another storage driver
    "engine",
]


@dataclass(frozen=True, slots=True)
class Rule:
    """Data at names of this form in a folder: one kind, or further rules for its contents."""

    pattern: str
    holds: "DataKind | tuple[Rule, ...]"
    named: bool = (
        False  # what matches from the * on, or all of it, is the name of what is there, or the next part of it
    )


def rule_for(name: str, rules: Iterable[Rule]) -> Rule:
    """Return the first rule for a name in a folder; data without a rule is the engine's."""
    return next((rule for rule in rules if fnmatchcase(name, rule.pattern)), _OTHER)


def name_in(rule: Rule, name: str, outer: str) -> str:
    """Return the name of an entry, from its rule and the name of its parent folder."""
    if not rule.named:
        return outer
    before, star, _ = rule.pattern.partition("*")
    part = name.removeprefix(before) if star else name
    return f"{outer}/{part}" if outer else part


def data_root(driver: str) -> Sequence[Rule]:
    """Return the rules of `DockerRootDir`; `driver` has the layers, "" if no graph driver has."""
    layers = tuple(Rule(name, _LAYERS.get(name, _EACH_LAYER)) for name in (driver,) if driver)
    old = tuple(_named(name, "leftover") for name in DRIVERS if name != driver)
    # Without a graph driver what it knew of its images is left over with its layers.
    records = () if driver else (_named("image", "leftover"),)
    return (*layers, *old, *records, *_DATA_ROOT)


def _named(pattern: str, holds: "DataKind | tuple[Rule, ...]") -> Rule:
    return Rule(pattern, holds, named=True)


_OTHER = Rule("*", "engine")

DRIVERS = ("overlay2", "overlay", "fuse-overlayfs", "aufs", "btrfs", "zfs", "devicemapper", "vfs")
_EACH_LAYER = (Rule("l", "engine"), _named("*", "layer"))  # l: short links to the layers, for overlay's mount options
_LAYERS = {
    "vfs": (Rule("dir", (_named("*", "layer"),)),),
    "btrfs": (Rule("subvolumes", (_named("*", "layer"),)),),
    "aufs": (Rule("diff", (_named("*", "layer"),)),),
}

CONTAINERD: Sequence[Rule] = (
    Rule(
        "io.containerd.content.v1.content",
        (
            Rule("blobs", (_named("*", (_named("*", "content"),)),)),  # by algorithm
            Rule("ingest", (_named("*", "download"),)),
        ),
    ),
    _named(
        "io.containerd.snapshotter.v1.*",
        (Rule("snapshots", (_named("*", "snapshot"),)), Rule("*", "engine")),
    ),
    Rule("tmpmounts", "temporary"),
)

_DATA_ROOT = (
    Rule(
        "containers",
        (
            _named(
                "*",
                (Rule("*-json.log*", "log"), Rule("local-logs", "log"), Rule("*", "container")),
            ),
        ),
    ),
    Rule("volumes", (Rule("metadata.db", "engine"), Rule("backingFsBlockDev", "engine"), _named("*", "volume"))),
    Rule("buildkit", (Rule("executor", "temporary"), Rule("*", "buildkit"))),
    Rule("swarm", "swarm"),
    Rule("plugins", (Rule("tmp", "temporary"), Rule("*", "plugin"))),
    Rule("tmp", "temporary"),
    Rule("tmp-old", "temporary"),
    Rule("builder", "temporary"),  # contexts of the classic builder, of engines before 23
    Rule("containerd", (Rule("daemon", tuple(CONTAINERD)),)),  # of a containerd that dockerd starts
)
