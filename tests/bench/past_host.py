"""A generated past, from a seed: images that are built every day and services that run, for the bench and the tests."""

import random
from typing import TYPE_CHECKING

from tests.unit.cleanup.builders import DAY, HOUR, container, hex_id, image
from tests.unit.cleanup.past.lives import life, past
from watchd.cleanup.past.record import Past
from watchd.model import Layer

if TYPE_CHECKING:
    from watchd.model.history.timeline import Life

SIZES = (20e6, 80e6, 300e6)  # bytes of a layer of its own, of the layers of a base


def past_of(days: int, images: int, runs: int, *, seed: int = 1, repositories: int = 100) -> Past:
    """Return a past of so many images and runs of containers, each evenly spread over the days.

    An image is one more version of a repository, on one of ten bases. Half of the runs are removed at their end
    (`docker run --rm`), the others lie for up to three days; 60% take the newest version of their repository.
    """
    chance = random.Random(seed)  # noqa: S311 - the same each time
    lives: list[Life] = []
    versions: list[list[tuple[float, str]]] = [[] for _ in range(repositories)]
    span = days * DAY
    for number in range(images):
        at, of = span * number / images, number % repositories
        name = f"repo-{of}-{number}"
        base = [Layer(f"base-{of % 10}-{depth}", int(SIZES[depth % 3]), 0) for depth in range(5)]
        own = [Layer(f"{name}-{depth}", int(chance.choice(SIZES)), 0) for depth in range(3)]
        made = image(
            name,
            tags=(f"repo-{of}:{number}",),
            layers=tuple(layer.id for layer in (*base, *own)),
            history=(*base, *own),
            size=sum(layer.size for layer in (*base, *own)),
        )
        lives.append(life(made, at, how="pull" if of % 2 else "build"))
        versions[of].append((at, name))
    for number in range(runs):
        at = span * number / runs
        there = [version for version in versions[chance.randrange(repositories)] if version[0] <= at]
        if not there:
            continue
        _, name = there[-1] if chance.random() < 0.6 else chance.choice(there)
        ended = at + chance.uniform(10, 2 * HOUR)
        left = ended if chance.random() < 0.5 else ended + chance.uniform(HOUR, 3 * DAY)
        described = container(f"job-{number}", id=hex_id(f"{seed} {number}"), of=name)
        lives.append(life(described, at, left=left, uses=[(at, ended)], sizes=[(ended, 1_000_000)]))
    return past(*lives, watched=[(0.0, span)])
