"""Small engines to plan for: what a test does not say is ordinary, old, and allowed to go."""

import hashlib
from collections.abc import Mapping
from typing import Any, get_args

from tests.unit.settings import checked
from watchd.cleanup.plan import planner
from watchd.cleanup.plan.plan import Item, Plan
from watchd.cleanup.plan.planner import Trigger
from watchd.config import Cleanup
from watchd.model import (
    CacheRecord,
    Container,
    Disk,
    EngineInfo,
    EngineView,
    Image,
    Key,
    Kind,
    Network,
    Observation,
    Observations,
    Subject,
    Volume,
)

NOW = 1_800_000_000.0
HOUR = 3600.0
DAY = 86400.0

ENGINE = EngineInfo(
    id="engine-1",
    name="host",
    version="28.5.2",
    api_version="1.51",
    storage_driver="overlay2",
    store="graphdriver",
    cgroup_version="2",
    cgroup_driver="systemd",
    root_dir="/var/lib/docker",
)


def hex_id(name: str) -> str:
    """Return 64 hex digits that are always the same for a name."""
    return hashlib.sha256(name.encode()).hexdigest()


def image_id(name: str) -> str:
    """Return the ID of the image that `image` makes for a name."""
    return f"sha256:{hex_id(name)}"


def container(name: str, **changes: Any) -> Container:
    """Return a container that exited a day ago; `of` names its image."""
    of = changes.pop("of", "app")
    ordinary: dict[str, Any] = {
        "id": hex_id(name),
        "name": name,
        "image": f"{of}:1",
        "image_id": image_id(of),
        "status": "exited",
        "created_at": NOW - 2 * DAY,
        "started_at": NOW - 2 * DAY,
        "finished_at": NOW - DAY,
        "exit_code": 0,
    }
    return Container(**{**ordinary, **changes})


def running(name: str, **changes: Any) -> Container:
    """Return a container that runs."""
    alive = {"status": "running", "pid": 4242, "finished_at": None, "exit_code": None}
    return container(name, **{**alive, **changes})


def image(name: str, **changes: Any) -> Image:
    """Return an image with the one tag `name:1`; `parent` names the image it was built on."""
    parent = changes.pop("parent", None)
    ordinary: dict[str, Any] = {
        "id": image_id(name),
        "tags": (f"{name}:1",),
        "parent_id": image_id(parent) if parent else None,
        "size": 1000,
        "shared_size": 0,
    }
    return Image(**{**ordinary, **changes})


def untagged(name: str, **changes: Any) -> Image:
    """Return an image without any reference."""
    return image(name, **{"tags": (), **changes})


def network(name: str, **changes: Any) -> Network:
    """Return a network that someone made."""
    return Network(**{"id": hex_id(f"network {name}"), "name": name, "driver": "bridge", **changes})


def volume(name: str, **changes: Any) -> Volume:
    """Return a volume with a name of its own."""
    return Volume(**{"name": name, "created": "2026-01-31T04:00:00Z", "created_at": NOW - 30 * DAY, **changes})


def anonymous(name: str, **changes: Any) -> Volume:
    """Return a volume that the engine named, by a name that is always the same for the one given here."""
    return volume(hex_id(f"volume {name}"), **{"labels": {"com.docker.volume.anonymous": ""}, **changes})


def record(name: str, **changes: Any) -> CacheRecord:
    """Return a record of the build cache that was last used a day ago; `of` names those that it was made from."""
    of = changes.pop("of", ())
    ordinary: dict[str, Any] = {
        "id": f"cache-{name}",
        "description": name,
        "parents": tuple(f"cache-{parent}" for parent in of),
        "size": 1000,
        "created_at": NOW - 2 * DAY,
        "last_used_at": NOW - DAY,
    }
    return CacheRecord(**{**ordinary, **changes})


def view(*objects: Subject, **further: Any) -> EngineView:
    """Return a look at an engine that holds these."""
    return EngineView(
        **{
            "engine": ENGINE,
            "taken_at": NOW,
            "containers": tuple(thing for thing in objects if isinstance(thing, Container)),
            "images": tuple(thing for thing in objects if isinstance(thing, Image)),
            "networks": tuple(thing for thing in objects if isinstance(thing, Network)),
            "volumes": tuple(thing for thing in objects if isinstance(thing, Volume)),
            "build_cache": tuple(thing for thing in objects if isinstance(thing, CacheRecord)),
            "kinds": frozenset(get_args(Kind)),
            **further,
        }
    )


def disk(used: int, of: int = 100, **further: Any) -> Disk:
    """Return a disk with so many bytes used."""
    return Disk(path="/var/lib/docker", used=used, available=of - used, **further)


def disks(full: Disk) -> dict[Kind, Disk]:
    """Return the disks of an engine that has everything on one."""
    return dict.fromkeys(("container", "image", "volume", "build_cache"), full)


def seen_long_ago(look: EngineView, since: float = NOW - 30 * DAY) -> dict[Key, Observation]:
    """Return what is known when everything was there, unused and without a tag since then."""
    known: dict[Key, Observation] = {}
    for subject in look.subjects():
        dangles = isinstance(subject, Image) and not subject.tags
        known[subject.kind, subject.identity] = Observation(since, since, dangling_since=since if dangles else None)
    return known


def policy(name: str, kind: str, *, when: Mapping[str, str] | None = None, **further: Any) -> dict[str, Any]:
    """Return a policy as the file has it."""
    return {"name": name, "kind": kind, "when": dict(when or {}), **further}


EXITED = policy("exited", "container", when={"finished_for": "0s"})
CREATED = policy("created", "container", when={"never_started_for": "0s"})
UNUSED_NETWORKS = policy("networks", "network", when={"unused_for": "0s"})
UNUSED_VOLUMES = policy("volumes", "volume", when={"unused_for": "0s"})
UNUSED_CACHE = policy("cache", "build_cache", when={"unused_for": "0s"})
UNUSED = policy("unused", "image", when={"unused_for": "0s"})
DANGLING = policy("dangling", "image", when={"dangling_for": "0s"}, select={"class": ["dangling"]})


def cleanup(*policies: Mapping[str, Any], **settings: Any) -> Cleanup:
    """Return the settings of cleaning: in force and without a grace period, unless told otherwise."""
    return checked(Cleanup, {"mode": "enforce", "grace": "0s", "policies": list(policies), **settings})


def plan(
    look: EngineView,
    settings: Cleanup,
    *,
    known: Observations | None = None,
    now: float = NOW,
    **trigger: Any,
) -> Plan:
    """Return the plan for a look; what is in it was seen long ago."""
    return planner.plan(look, settings, seen_long_ago(look) if known is None else known, now, Trigger(**trigger))


def decisions(made: Plan) -> dict[str, str]:
    """Return "action reason" of each object by its name, which an untagged image shares with all others."""
    return {item.name: f"{item.action} {item.reason}" for item in made.items if item.action != "untag"}


def steps(made: Plan) -> list[str]:
    """Return what carrying it out would do, in that order: "remove image app:1"."""
    return [f"{item.action} {item.kind} {item.name}" for item in made.in_force]


def item_of(made: Plan, subject: Subject) -> Item:
    """Return the one decision about an object."""
    (item,) = [item for item in made.items if item.id == subject.id and item.action != "untag"]
    return item


def why(made: Plan, subject: Subject) -> str:
    """Return "action reason" of an object."""
    item = item_of(made, subject)
    return f"{item.action} {item.reason}"
