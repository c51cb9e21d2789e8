"""The configurations in docs/cookbook.md remove what their text says, and keep what it says."""

import re
import tomllib
from dataclasses import replace

from tests import ROOT
from tests.unit.cleanup.builders import (
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
    untagged,
    view,
    volume,
    why,
)
from tests.unit.settings import checked
from watchd.config import Cleanup
from watchd.model import EngineView, FormerReference, Image, Key, Observation

TOML = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)
DOCUMENT = (ROOT / "docs/cookbook.md").read_text()
WRITTEN = [tomllib.loads(block)["cleanup"] for block in TOML.findall(DOCUMENT)]
CI, DEVELOPER, HOME, CRON, PRODUCTION, DEPLOYMENTS, SWARM, MIRROR = (
    checked(Cleanup, {**each, "mode": "enforce"}) for each in WRITTEN
)
GIB = 1024**3


def unused(look: EngineView, **days: float) -> dict[Key, Observation]:
    """Return what is known when images came 60 days ago and were last used so many days ago, by their names."""
    known = seen_long_ago(look, NOW - 60 * DAY)
    for name, ago in days.items():
        key: Key = ("image", image_id(name))
        known[key] = replace(known[key], last_used=NOW - ago * DAY)
    return known


def arrived(look: EngineView, **days: float) -> dict[Key, Observation]:
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
    assert [each["mode"] for each in WRITTEN] == ["report"] * 8


def test_a_ci_runner() -> None:
    job, last = container("job"), container("last", finished_at=NOW - HOUR, of="build-2")
    build, recent = image("build-1"), image("build-2")
    base, other = image("base", tags=("ghcr.io/acme/ci-base:7",)), image("postgres")
    net, cache, nameless = network("job"), record("step", last_used_at=NOW - 4 * DAY), anonymous("scratch")
    fresh = record("fresh")
    job = replace(job, volumes=(nameless.name,), networks=(net.name,))
    look = view(job, last, build, recent, base, other, net, cache, fresh, nameless, untagged("former"))
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
    assert why(full, fresh) == "remove pressure", "the cache holds the layers of images"


def test_a_developers_machine() -> None:
    tests, work = {"org.testcontainers": "true"}, {"devcontainer.local_folder": "/home/me/project"}
    test = container("test", labels=tests, finished_at=NOW - 2 * HOUR)
    ended, dev = container("old", finished_at=NOW - 20 * DAY), container("dev", labels=work, finished_at=NOW - 40 * DAY)
    builder = container("buildx_buildkit_b0", finished_at=NOW - 40 * DAY)
    old, recent, kind = image("old-image"), image("recent"), image("kind", tags=("kindest/node:v1",))
    data, step = volume("shop_database"), record("step", last_used_at=NOW - 3 * DAY)
    look = view(test, ended, dev, builder, old, recent, kind, data, step, network("left"))
    known = unused(look, recent=3)
    made = plan(look, DEVELOPER, known=known)
    assert why(made, test) == "remove exited_too_long"
    assert why(made, ended) == "remove exited_too_long"
    assert why(made, dev) == "keep not_selected"
    assert why(made, builder) == "keep in_use"
    assert why(made, old) == "remove unused_too_long"
    assert why(made, recent) == "keep condition_not_met"
    assert why(made, kind) == "keep protected"
    assert why(made, data) == "keep named_volume"
    full = plan(replace(look, disks=disks(disk(190 * GIB, 200 * GIB))), DEVELOPER, known=known)
    assert why(full, recent) == "remove pressure"
    assert why(full, step) == "remove pressure"
    assert why(full, kind) == "keep protected"


def test_a_home_server() -> None:
    web, ended = running("web", of="now"), container("ended", of="now", finished_at=NOW - 20 * DAY)
    now, before, long_before = image("now", tags=("nextcloud:30",)), pulled("b", "nextcloud"), pulled("l", "nextcloud")
    tried, data = image("tried"), volume("data")
    look = view(web, ended, now, before, long_before, tried, data)
    known = seen_long_ago(look, NOW - 100 * DAY)
    known["image", before.id] = replace(known["image", before.id], arrived_at=NOW - 30 * DAY)
    made = plan(look, HOME, known=known)
    assert why(made, ended) == "remove exited_too_long"
    assert why(made, now) == "keep in_use"
    assert why(made, before) == "keep keep"
    assert why(made, long_before) == "remove unused_too_long"
    assert why(made, tried) == "remove unused_too_long"
    assert why(made, data) == "keep named_volume"


def test_a_home_server_keeps_one_older_image_of_each_service_where_none_has_a_digest() -> None:
    was = {f"{service}-{number}": service for service in ("web", "api", "db") for number in range(4)}
    former = {name: (FormerReference(f"{service}:latest", NOW - DAY),) for name, service in was.items()}
    look = view(*(untagged(name, former=of) for name, of in former.items()))
    made = plan(look, HOME, known=arrived(look, **{name: 50 - number for number, name in enumerate(was)}))
    for name in was:
        kept = "keep keep" if name.endswith("-3") else "remove unused_too_long"
        assert why(made, untagged(name)) == kept


def test_a_host_cleaned_by_cron() -> None:
    ended, unused_, backup = container("job"), image("old"), image("b", tags=("backup-tool:1",))
    look = view(replace(ended, finished_at=NOW - 8 * DAY), unused_, backup, image("recent"))
    made = plan(look, CRON, known=unused(look, recent=29))
    assert CRON.count_unwatched
    assert why(made, ended) == "remove exited_too_long"
    assert why(made, unused_) == "remove unused_too_long"
    assert why(made, backup) == "keep protected"
    assert why(made, look.images[2]) == "keep condition_not_met"


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
    look = view(runs, *ended, aside, database, *releases)
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
    look = view(public, own, disks=disks(disk(90 * GIB, 100 * GIB)))
    made = plan(look, PRODUCTION, known=unused(look))
    assert why(made, public) == "remove pressure"
    assert why(made, own) == "keep not_selected"


def test_deployments_with_a_label_and_versions() -> None:
    ended = [
        container(f"web-{of}-{days}", labels={"app.destination": of}, of="gone", finished_at=NOW - days * DAY)
        for of in ("stage", "prod")
        for days in (1, 2, 3)
    ]
    other = container("other", of="gone", finished_at=NOW - 9 * DAY)
    tags = [f"registry.acme.example/shop:{tag}" for tag in ("1.10", "1.9", "1.8", "1.7", "latest")]
    images = [image(f"i{number}", tags=(tag,)) for number, tag in enumerate(tags)]
    base = [image(f"b{number}", tags=(f"registry.acme.example/base:{number}",)) for number in range(5)]
    look = view(*ended, other, *images, *base)
    made = plan(look, DEPLOYMENTS, known=unused(look))
    assert [why(made, each).partition(" ")[0] for each in ended] == ["keep", "keep", "remove"] * 2
    assert why(made, other) == "keep keep"
    assert [why(made, each).partition(" ")[0] for each in images] == ["keep", "keep", "keep", "remove", "keep"]
    assert {why(made, each) for each in base} == {"keep not_selected"}


def test_a_swarm_node() -> None:
    task = container("web.1.x", of="service", labels={"com.docker.swarm.task.id": "x"}, finished_at=NOW - 9 * DAY)
    by_hand, service, former = (
        container("by-hand", of="service", finished_at=NOW - 9 * DAY),
        image("service"),
        image("f"),
    )
    look = view(task, by_hand, service, former, anonymous("old"))
    look = replace(look, engine=replace(look.engine, swarm="worker"))
    made = plan(look, SWARM, known=unused(look))
    assert why(made, task) == "keep swarm"
    assert why(made, by_hand) == "remove exited_too_long"
    assert why(made, service) == "keep in_use"
    assert why(made, former) == "remove unused_too_long"


def test_a_registry_mirror() -> None:
    mirror = image("registry", tags=("registry:2",), size=10 * GIB)
    old, recent = image("old", size=10 * GIB), image("recent", size=10 * GIB)
    look = view(mirror, old, recent, untagged("dangling"))
    calm = plan(look, MIRROR, known=unused(look, old=40, recent=1))
    assert [why(calm, each) for each in (mirror, old, recent)] == ["keep protected", *["keep below_watermark"] * 2]
    assert why(calm, look.images[3]) == "remove dangling_too_long"
    full = replace(look, disks=disks(disk(91 * GIB, 110 * GIB)))
    assert why(plan(full, MIRROR, known=unused(look, old=40, recent=1)), old) == "keep below_watermark"
    full = replace(look, disks=disks(disk(91 * GIB, 100 * GIB)))
    made = plan(full, MIRROR, known=unused(look, old=40, recent=1))
    assert [why(made, each) for each in (mirror, old, recent)] == ["keep protected", *["remove pressure"] * 2]
