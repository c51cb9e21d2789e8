"""Pasts of random hosts, by a seed: many coincidences in little time."""

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.unit.cleanup.builders import DAY, HOUR, anonymous, cleanup, container, network, policy, volume
from tests.unit.cleanup.past.lives import BEGIN, layered, life, past
from watchd.cleanup.past.record import Past
from watchd.config import Cleanup
from watchd.model import COMPOSE_PROJECT, Image, Network, Volume
from watchd.model.history.timeline import DiskMark

if TYPE_CHECKING:
    from watchd.model.history.timeline import Life

SPAN = 6 * DAY


def random_past(seed: int) -> Past:
    """Return the past of a host."""
    chance = random.Random(seed)  # noqa: S311 - the same each time
    lives: list[Life] = []
    images: list[Image] = []
    for number in range(chance.randrange(2, 9)):
        on = chance.choice([None, *images])
        tags = chance.choice([(), (f"repo-{number % 3}:{number}",), (f"other:{number}", f"repo-{number % 3}:{number}")])
        parent = chance.choice([None, None, images[0].id if images else None])
        labels = chance.choice([{}, {}, {}, {COMPOSE_PROJECT: "web"}, {"watchd.keep": "2027-01-18"}])
        made = layered(f"image-{number}", chance.randrange(100), on=on, tags=tags, parent_id=parent, labels=labels)
        images.append(made)
        at = chance.uniform(0, SPAN)
        left = chance.choice([None, at + chance.uniform(0, SPAN)])
        untagged = (at + HOUR * chance.randrange(1, 50), replace(made, tags=()), "")
        again = (at + HOUR * chance.randrange(1, 50), made, "pull")
        looks = chance.choice([(), (), (untagged,), (again,)])
        by = chance.choice(["", "unused"]) if left else ""
        lives.append(life(made, at, left=left, by=by, looks=looks, how=chance.choice(["pull", "build"])))
        if left and chance.random() < 0.5:
            lives.append(life(made, left + chance.uniform(0, DAY)))
    volumes = [volume("data"), anonymous("one"), anonymous("two")]
    networks = [network("net"), network("web_default", labels={COMPOSE_PROJECT: "web"})]
    others: list[Volume | Network] = [*volumes, *networks]
    for each in others:
        at = chance.uniform(0, DAY)
        lives.append(life(each, at, sizes=[(at, chance.randrange(100))] if each in volumes else ()))
    for number in range(chance.randrange(1, 12)):
        at = chance.uniform(0, SPAN)
        of = chance.choice(images)
        described = container(
            f"job-{number}",
            image=chance.choice([of.name, "repo-0:0", "gone:1", of.id[7:19]]),
            image_id=of.id,
            volumes=chance.choice([(), (volumes[0].name,), (volumes[1].name,)]),
            networks=chance.choice([(), ("net",), ("web_default",)]),
            labels=chance.choice([{}, {}, {COMPOSE_PROJECT: "web"}]),
            restart_policy=chance.choice(["no", "no", "always"]),
        )
        uses: list[Any] = []
        began = at
        for _ in range(chance.randrange(3)):
            ended = began + chance.uniform(60, DAY)
            uses.append((began, ended, *chance.choice([(), (2, min(HOUR, (ended - began) / 2))])))
            began = ended + chance.uniform(HOUR, 2 * DAY)
        last = uses[-1][1] if uses else at
        left = chance.choice([None, last, last + chance.uniform(0, DAY)])
        sizes = [(at, chance.randrange(100))]
        lives.append(
            life(described, at, left=left, uses=uses, sizes=sizes, by=chance.choice(["", "exited"]) if left else "")
        )
    gap = chance.uniform(0, SPAN)
    watched = chance.choice([[(0.0, SPAN)], [(0.0, gap), (min(SPAN - 1, gap + DAY), SPAN)]])
    marks = [
        DiskMark(BEGIN + at * HOUR, "/data", ("image", "container", "volume"), used=400, available=600)
        for at in sorted(chance.sample(range(100), chance.randrange(3)))
    ]
    return past(*lives, watched=watched, disks=marks)


def random_settings(seed: int) -> Cleanup:
    """Return settings with some policies of each kind."""
    chance = random.Random(seed)  # noqa: S311 - the same each time
    durations = ["0s", "1h", "5h", "1d"]
    schedules = ["1h", "5h", "0 4 * * *"]

    def some(name: str, kind: str, clocks: list[str], keeps: list[Any], selects: list[Any]) -> dict[str, Any]:
        found = policy(name, kind, when={chance.choice(clocks): chance.choice(durations)})
        for key, value in (("keep", chance.choice(keeps)), ("select", chance.choice(selects))):
            found |= {key: value} if value else {}
        return found | {"schedule": chance.choice(schedules)}

    keeps: list[Any] = [None, None, {"within": "12h"}]
    of_images = [*keeps, {"last": 1, "per": "repository"}, {"last": 2, "per": "host"}, {"newest_tag": True}]
    versions = {"last": 1, "per": "repository", "by": "version"}
    images = ["unused_for", "arrived_for", "dangling_for"]
    policies = [
        some("exited", "container", ["finished_for", "never_started_for"], [*keeps, {"last": 1, "per": "name"}], [None])
        | {"anonymous_volumes": chance.random() < 0.5},
        some("unused", "image", images, [*of_images, versions], [None, None, {"class": ["tagged"]}]),
        some("dangling", "image", images, of_images, [{"class": ["dangling"]}]),
        some("volumes", "volume", ["unused_for"], keeps, [None, {"name": ["*"], "named": True}]),
        some("networks", "network", ["unused_for", "arrived_for"], [*keeps, {"last": 1}], [None]),
        policy("full", "image", when={"unused_for": chance.choice(durations)}, pressure={"high": "45%", "low": "42%"}),
        policy("total", "volume", pressure={"total_above": "50B", "total_until": "10B"}),
    ]
    chosen = chance.sample(policies, chance.randrange(1, len(policies)))
    limits: dict[str, Any] = {"max_items": chance.choice([1, 2])} if chance.random() < 0.3 else {}
    limits |= {"max_bytes": "100B"} if chance.random() < 0.2 else {}
    quiet = chance.choice([[], [], ["02:00-09:00"]])
    return cleanup(*chosen, grace=chance.choice(["0s", "2h"]), quiet_hours=quiet, **limits)
