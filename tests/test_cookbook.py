"""The configurations in docs/cookbook.md remove what their text says, and keep what it says."""

import re
import tomllib
from dataclasses import replace
from pathlib import Path

from tests.prune.builders import (
    DAY,
    HOUR,
    NOW,
    anonymous,
    container,
    disk,
    disks,
    image,
    image_id,
    network,
    plan,
    record,
    running,
    seen_long_ago,
    snapshot,
    untagged,
    volume,
    why,
)
from watchd.config import Cleanup
from watchd.model import Image, Key, Observation, Snapshot

TOML = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)
DOCUMENT = (Path(__file__).parents[1] / "docs/cookbook.md").read_text()
WRITTEN = [tomllib.loads(block)["cleanup"] for block in TOML.findall(DOCUMENT)]
CI, HOME, PRODUCTION, SWARM, MIRROR = (Cleanup.model_validate({**each, "mode": "enforce"}) for each in WRITTEN)
GIB = 1024**3


def unused(look: Snapshot, **days: float) -> dict[Key, Observation]:
    """Return what is known when images came 60 days ago and were last used so many days ago, by their names."""
    known = seen_long_ago(look, NOW - 60 * DAY)
    for name, ago in days.items():
        key: Key = ("image", image_id(name))
        known[key] = replace(known[key], last_used=NOW - ago * DAY)
    return known


def arrived(look: Snapshot, **days: float) -> dict[Key, Observation]:
    """Return what is known when images came so many days ago, and were not used since."""
    known = seen_long_ago(look, NOW - 60 * DAY)
    for name, ago in days.items():
        key: Key = ("image", image_id(name))
        known[key] = replace(known[key], first_seen=NOW - ago * DAY, arrived_at=NOW - ago * DAY)
    return known


def pulled(name: str, repository: str) -> Image:
    """Return an image that a later pull took the tag of."""
    return untagged(name, digests=(f"{repository}@sha256:{name * 8}",))


def test_all_of_them_begin_in_report_mode() -> None:
    assert [each["mode"] for each in WRITTEN] == ["report"] * 5


def test_a_ci_runner() -> None:
    job, last = container("job"), container("last", finished_at=NOW - HOUR, of="build-2")
    build, recent = image("build-1"), image("build-2")
    base, other = image("base", tags=("ghcr.io/acme/ci-base:7",)), image("postgres")
    net, cache, nameless = network("job"), record("step", last_used_at=NOW - 4 * DAY), anonymous("scratch")
    job = replace(job, volumes=(nameless.name,), networks=(net.name,))
    look = snapshot(job, last, build, recent, base, other, net, cache, nameless, untagged("former"))
    made = plan(look, CI, known=unused(look))
    assert why(made, job) == "remove exited_too_long"
    assert why(made, last) == "keep condition_not_met"
    assert why(made, nameless) == "remove exited_too_long"
    assert why(made, build) == "remove unused_too_long"
    assert why(made, recent) == "keep in_use"
    assert why(made, base) == "keep protected"
    assert why(made, other) == "keep below_watermark"
    assert why(made, net) == "remove unused_too_long"
    assert why(made, cache) == "remove unused_too_long"
    full = plan(replace(look, disks=disks(disk(85 * GIB, 100 * GIB))), CI, known=unused(look))
    assert why(full, other) == "remove pressure"
    assert why(full, base) == "keep protected"


def test_a_home_server() -> None:
    web, ended = running("web", of="now"), container("ended", of="now", finished_at=NOW - 20 * DAY)
    now, before, long_before = image("now", tags=("nextcloud:30",)), pulled("b", "nextcloud"), pulled("l", "nextcloud")
    tried, data = image("tried"), volume("data")
    look = snapshot(web, ended, now, before, long_before, tried, data)
    known = seen_long_ago(look, NOW - 100 * DAY)
    known["image", before.id] = replace(known["image", before.id], arrived_at=NOW - 30 * DAY)
    made = plan(look, HOME, known=known)
    assert why(made, ended) == "remove exited_too_long"
    assert why(made, now) == "keep in_use"
    assert why(made, before) == "keep keep"
    assert why(made, long_before) == "remove unused_too_long"
    assert why(made, tried) == "remove unused_too_long"
    assert why(made, data) == "keep named_volume"


def test_a_production_host() -> None:
    releases = [image(f"r{number}", tags=(f"registry.acme.example/shop:{number}",)) for number in range(5)]
    service = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}
    runs = running("shop-web-3", image="registry.acme.example/shop:4", image_id=releases[4].id)
    ended = [
        container(f"shop-web-{number}", labels=service, of="gone", finished_at=NOW - number * 10 * DAY)
        for number in (1, 2)
    ]
    aside = container("aside", of="gone", finished_at=NOW - 30 * DAY, labels={"watchd.keep": "true"})
    database = container("db", of="gone", finished_at=NOW - 30 * DAY, labels={"com.acme.tier": "database"})
    look = snapshot(runs, *ended, aside, database, *releases)
    made = plan(look, PRODUCTION, known=arrived(look, r0=50, r1=40, r2=30, r3=20, r4=15))
    assert [why(made, each) for each in releases] == [
        "remove unused_too_long",
        "remove unused_too_long",
        "keep keep",
        "keep keep",
        "keep in_use",
    ]
    assert [why(made, each) for each in ended] == ["keep keep", "remove exited_too_long"]
    assert why(made, aside) == why(made, database) == "keep protected"


def test_a_production_host_of_which_the_disk_fills() -> None:
    public, own = image("public", digests=(f"public@sha256:{'1' * 64}",), size=30 * GIB), image("own", size=30 * GIB)
    look = snapshot(public, own, disks=disks(disk(90 * GIB, 100 * GIB)))
    made = plan(look, PRODUCTION, known=unused(look))
    assert why(made, public) == "remove pressure"
    assert why(made, own) == "keep not_selected"


def test_a_swarm_node() -> None:
    task = container("web.1.x", of="service", labels={"com.docker.swarm.task.id": "x"}, finished_at=NOW - 9 * DAY)
    by_hand, service, former = (
        container("by-hand", of="service", finished_at=NOW - 9 * DAY),
        image("service"),
        image("f"),
    )
    look = snapshot(task, by_hand, service, former, anonymous("old"))
    look = replace(look, engine=replace(look.engine, swarm="worker"))
    made = plan(look, SWARM, known=unused(look))
    assert why(made, task) == "keep swarm"
    assert why(made, by_hand) == "remove exited_too_long"
    assert why(made, service) == "keep in_use"
    assert why(made, former) == "remove unused_too_long"


def test_a_registry_mirror() -> None:
    mirror = image("registry", tags=("registry:2",), size=10 * GIB)
    old, recent = image("old", size=10 * GIB), image("recent", size=10 * GIB)
    look = snapshot(mirror, old, recent, untagged("dangling"))
    calm = plan(look, MIRROR, known=unused(look, old=40, recent=1))
    assert [why(calm, each) for each in (mirror, old, recent)] == ["keep protected", *["keep below_watermark"] * 2]
    assert why(calm, look.images[3]) == "remove dangling_too_long"
    full = replace(look, disks=disks(disk(91 * GIB, 110 * GIB)))
    assert why(plan(full, MIRROR, known=unused(look, old=40, recent=1)), old) == "keep below_watermark"
    full = replace(look, disks=disks(disk(91 * GIB, 100 * GIB)))
    made = plan(full, MIRROR, known=unused(look, old=40, recent=1))
    assert [why(made, each) for each in (mirror, old, recent)] == ["keep protected", *["remove pressure"] * 2]
